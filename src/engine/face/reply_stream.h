// ReplyStream: one answer of a model that was given tools, read as it grows: text, and calls.
//
// Reads the whole answer anew with each piece, and tells only what can no longer change: what was
// told is always a beginning of what is told in the end. Pure but for the ids, which it draws.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/chunk_writer.h"
#include "api/requests.h"
#include "base/random.h"
#include "engine/llama/chat_template.h"

namespace penstock::engine {

class ReplyStream {
 public:
  // At most `calls_max` calls are told; 0: all.
  explicit ReplyStream(std::size_t calls_max = 0) : calls_max_(calls_max) {}

  // More of the answer; `last`: all of it is there. Where it cannot be read even then, what
  // stands before the fault counts, and where that is nothing, it is text.
  void Feed(const ReplyReader& reader, std::string_view text, bool last, Random& ids);

  // Appends events for what was not told before.
  void AppendNew(const ChunkWriter& writer, std::int32_t index, std::string& out);

  // What may be told so far.
  const std::string& content() const { return content_; }
  const std::vector<penstock::ToolCall>& calls() const { return calls_; }
  bool HasCalls() const { return !calls_.empty(); }
  // More calls than may be told have begun: the answer is whole, whatever else comes.
  bool Complete() const { return complete_; }

 private:
  void TakeCalls(const std::vector<ChatToolCall>& calls, bool last, Random& ids);

  std::size_t calls_max_;
  bool complete_ = false;
  std::string text_;  // As the model wrote it.
  std::string content_;
  std::vector<penstock::ToolCall> calls_;
  std::size_t content_told_ = 0;
  std::vector<std::size_t> arguments_told_;  // Of each call that was told.
};

}  // namespace penstock::engine
