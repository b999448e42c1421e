// What ChunkReader does, for plain chunks and the members that answers usually have.
#include "api/quick_chunk.h"

#include "api/quick_json.h"

namespace penstock::internal {
namespace {

class QuickChunk {
 public:
  QuickChunk(std::string_view data, ChunkFindings& found)
      : data_(data), json_(data), found_(found) {}

  bool Run() {
    return json_.TakeObject([this](std::string_view key) { return ReadTop(key); }) && json_.AtEnd();
  }

 private:
  bool Skip() { return json_.Skip(ignored_); }

  bool ReadTop(std::string_view key) {
    if (key == "choices" && json_.Next() == '[') {
      return json_.TakeArray([this] { return ReadChoice(); });
    }
    if (key == "usage" && json_.Next() == '{') return ReadUsage();
    if (key == "error_code" || key == "error") found_.has_error |= json_.Next() != 'n';
    return Skip();
  }

  bool ReadChoice() {
    if (json_.Next() != '{') return Skip();
    return json_.TakeObject([this](std::string_view key) {
      if ((key == "delta" || key == "message") && json_.Next() == '{') return ReadDelta();
      if (key == "text") return ReadText(found_.content_bytes);
      if (key == "finish_reason") return ReadFinish();
      return Skip();
    });
  }

  bool ReadDelta() {
    found_.has_delta = true;
    return json_.TakeObject([this](std::string_view key) {
      const bool list = json_.Next() == '[';
      if (list && (key == "content" || key == "tool_calls")) return false;
      if (key == "content") return ReadText(found_.content_bytes);
      if (key == "reasoning_content" || key == "reasoning") return ReadText(found_.reasoning_bytes);
      return Skip();
    });
  }

  bool ReadFinish() {
    if (json_.Next() != '"') return Skip();
    QuickJson::String word;
    if (!json_.TakeString(word) || !word.plain()) return false;
    if (found_.chunk.finish == FinishReason::kNone) found_.chunk.finish = FinishReasonOf(word.raw);
    return true;
  }

  bool ReadText(std::size_t& bytes) {
    if (json_.Next() != '"') return Skip();
    QuickJson::String text;
    if (!json_.TakeString(text)) return false;
    bytes += text.bytes;
    if (found_.text_bytes != 0 || text.bytes == 0) return true;
    found_.text_bytes = text.bytes;
    found_.text_characters = text.bytes;  // A plain text is ASCII.
    found_.text_offset = static_cast<std::size_t>(text.raw.data() - data_.data());
    found_.text_length = text.raw.size();
    return true;
  }

  bool ReadUsage() {
    Usage usage;
    const bool read = json_.TakeObject([&](std::string_view key) {
      if (key == "prompt_tokens") return ReadCount(usage.prompt_tokens);
      if (key == "completion_tokens") return ReadCount(usage.completion_tokens);
      if (key != "prompt_tokens_details" || json_.Next() != '{') return Skip();
      return json_.TakeObject([&](std::string_view detail) {
        return detail == "cached_tokens" ? ReadCount(usage.cached_tokens) : Skip();
      });
    });
    found_.chunk.usage = usage;
    return read;
  }

  bool ReadCount(std::uint64_t& out) {
    const char first = json_.Next();
    if (first != '-' && (first < '0' || first > '9')) return Skip();
    QuickJson::Number number;
    if (!json_.TakeNumber(number)) return false;
    if (number.whole) out = number.value;
    return true;
  }

  std::string_view data_;
  QuickJson json_;
  ChunkFindings& found_;
  JsonTotals ignored_;
};

}  // namespace

bool QuickReadChunk(std::string_view data, ChunkFindings& found) {
  return data.size() <= QuickJson::kBytesMax && QuickChunk(data, found).Run();
}

}  // namespace penstock::internal
