// Replies that grow only at their ends.
#include "engine/face/reply_stream.h"

#include <fmt/format.h>

namespace penstock::engine {
namespace {

// `now`, where what was told before is its beginning.
void Extend(std::string& told, const std::string& now) {
  if (now.starts_with(told)) told = now;
}

}  // namespace

void ReplyStream::Feed(const ReplyReader& reader, std::string_view text, bool last, Random& ids) {
  text_ += text;
  if (text.empty() && !last) return;
  auto reply = reader.Read(text_, !last);
  const bool cut = last && !reply;
  if (cut) reply = reader.Read(text_, true);
  if (reply) {
    Extend(content_, reply->content);
    TakeCalls(reply->tool_calls, last && !cut, ids);
  }
  if (cut && calls_.empty()) Extend(content_, text_);
}

// A call is told once its name is whole: when its arguments have begun, or something follows it.
void ReplyStream::TakeCalls(const std::vector<ChatToolCall>& calls, bool last, Random& ids) {
  for (std::size_t i = 0; i < calls.size(); ++i) {
    if (calls_max_ > 0 && i >= calls_max_) {
      complete_ = true;
      return;
    }
    const ChatToolCall& call = calls[i];
    const bool whole = last || i + 1 < calls.size();
    if (i >= calls_.size()) {
      if (call.name.empty() || (call.arguments.empty() && !whole)) return;
      calls_.push_back({.id = call.id.empty() ? fmt::format("call_{:016x}", ids.Next()) : call.id,
                        .name = call.name,
                        .arguments = {}});
    }
    Extend(calls_[i].arguments, call.arguments);
  }
}

void ReplyStream::AppendNew(const ChunkWriter& writer, std::int32_t index, std::string& out) {
  if (content_.size() > content_told_) {
    writer.AppendText(out, std::string_view(content_).substr(content_told_), index);
    content_told_ = content_.size();
  }
  for (std::size_t i = 0; i < calls_.size(); ++i) {
    const penstock::ToolCall& call = calls_[i];
    const auto number = static_cast<std::int32_t>(i);
    if (i >= arguments_told_.size()) {
      writer.AppendToolCall(out, call, number, index);
      arguments_told_.push_back(call.arguments.size());
    } else if (call.arguments.size() > arguments_told_[i]) {
      writer.AppendToolArguments(out, std::string_view(call.arguments).substr(arguments_told_[i]),
                                 number, index);
      arguments_told_[i] = call.arguments.size();
    }
  }
}

}  // namespace penstock::engine
