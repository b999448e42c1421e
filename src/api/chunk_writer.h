// ChunkWriter: the server-sent events of one streamed answer, at the cost of an append per token.
//
// Everything that stays the same over a stream is written once, into a prefix and a suffix.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/error_body.h"
#include "api/responses.h"
#include "base/result.h"

namespace penstock {

enum class ChunkFormat : std::uint8_t { kChat, kCompletion };

// Order of a stream: Role (chat only, per choice), Text..., Finish (per choice), Usage if asked
// for, Done. Or, at any point, Error and nothing after it. Methods append whole events to `out`.
class ChunkWriter {
 public:
  // With `include_usage`, every chunk before the usage chunk carries `"usage":null`.
  ChunkWriter(ChunkFormat format, const ResponseHead& head, bool include_usage);

  void AppendRole(std::string& out, std::int32_t index = 0) const;
  void AppendText(std::string& out, std::string_view text, std::int32_t index = 0) const;
  // `logprobs` is JSON (see logprobs.h).
  void AppendText(std::string& out, std::string_view text, std::string_view logprobs,
                  std::int32_t index) const;
  // The `call_index`-th tool call begins (its id and name, and what there is of its arguments), or
  // its arguments go on. Chat only.
  void AppendToolCall(std::string& out, const ToolCall& call, std::int32_t call_index,
                      std::int32_t index) const;
  void AppendToolArguments(std::string& out, std::string_view arguments, std::int32_t call_index,
                           std::int32_t index) const;
  void AppendFinish(std::string& out, FinishReason reason, std::int32_t index = 0) const;
  // A chunk with `choices: []`. `timing` is left out where it is null.
  void AppendUsage(std::string& out, const Usage& usage, const Timing* timing = nullptr) const;

  static void AppendDone(std::string& out) { out.append("data: [DONE]\n\n"); }

 private:
  void AppendOpening(std::string& out, std::int32_t index) const;
  void AppendToolOpening(std::string& out, std::int32_t call_index, std::int32_t index) const;

  std::string head_;         // `data: {"id":...,"choices":[`.
  std::string text_prefix_;  // A chunk of choice 0 up to its text, and
  std::string text_suffix_;  // from the end of its text.
  std::string_view before_index_;
  std::string_view before_text_;
  std::string_view after_text_;
  std::string_view before_logprobs_;
  std::string_view empty_delta_;
  std::string_view end_;  // From behind the finish reason.
};

// The event that ends a stream which failed after its head was sent. No [DONE] follows it: a client
// must be able to tell a failed stream from a whole one.
void AppendErrorEvent(std::string& out, const Error& error, std::string_view api_code = {});

}  // namespace penstock
