// Chunks put together from parts made once a stream.
#include "api/chunk_writer.h"

#include "api/json_text.h"
#include "api/response_parts.h"

namespace penstock {
namespace {

constexpr std::string_view kEventEnd = "}\n\n";
constexpr std::string_view kToolCallEnd = R"("}}]},"logprobs":null,"finish_reason":null)";

}  // namespace

ChunkWriter::ChunkWriter(ChunkFormat format, const ResponseHead& head, bool include_usage) {
  const bool chat = format == ChunkFormat::kChat;
  head_ = "data: ";
  internal::AppendHead(head_, chat ? "chat.completion.chunk" : "text_completion", head);
  head_.append(",\"choices\":[");
  before_index_ = "{\"index\":";
  before_text_ = chat ? R"(,"delta":{"content":")" : R"(,"text":")";
  after_text_ =
      chat ? R"("},"logprobs":null,"finish_reason":)" : R"(","logprobs":null,"finish_reason":)";
  before_logprobs_ = chat ? R"("},"logprobs":)" : R"(","logprobs":)";
  end_ = include_usage ? "}],\"usage\":null}\n\n" : "}]}\n\n";
  empty_delta_ = chat ? R"(,"delta":{},"logprobs":null,"finish_reason":)"
                      : R"(,"text":"","logprobs":null,"finish_reason":)";
  text_prefix_.append(head_).append(before_index_).append("0").append(before_text_);
  text_suffix_.append(after_text_).append("null").append(end_);
}

void ChunkWriter::AppendRole(std::string& out, std::int32_t index) const {
  AppendOpening(out, index);
  out.append(R"(,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null)");
  out.append(end_);
}

void ChunkWriter::AppendText(std::string& out, std::string_view text, std::int32_t index) const {
  if (index == 0) {
    out.append(text_prefix_);
  } else {
    AppendOpening(out, index);
    out.append(before_text_);
  }
  AppendJsonEscaped(out, text);
  out.append(text_suffix_);
}

void ChunkWriter::AppendText(std::string& out, std::string_view text, std::string_view logprobs,
                             std::int32_t index) const {
  AppendOpening(out, index);
  out.append(before_text_);
  AppendJsonEscaped(out, text);
  out.append(before_logprobs_).append(logprobs).append(",\"finish_reason\":null").append(end_);
}

void ChunkWriter::AppendToolOpening(std::string& out, std::int32_t call_index,
                                    std::int32_t index) const {
  AppendOpening(out, index);
  out.append(R"(,"delta":{"tool_calls":[{"index":)");
  internal::AppendNumber(out, call_index);
  out.push_back(',');
}

void ChunkWriter::AppendToolCall(std::string& out, const ToolCall& call, std::int32_t call_index,
                                 std::int32_t index) const {
  AppendToolOpening(out, call_index, index);
  internal::AppendToolCallOpening(out, call);
  out.append(kToolCallEnd).append(end_);
}

void ChunkWriter::AppendToolArguments(std::string& out, std::string_view arguments,
                                      std::int32_t call_index, std::int32_t index) const {
  AppendToolOpening(out, call_index, index);
  out.append(R"("function":{"arguments":")");
  AppendJsonEscaped(out, arguments);
  out.append(kToolCallEnd).append(end_);
}

void ChunkWriter::AppendFinish(std::string& out, FinishReason reason, std::int32_t index) const {
  AppendOpening(out, index);
  out.append(empty_delta_);
  internal::AppendFinishReason(out, reason);
  out.append(end_);
}

void ChunkWriter::AppendUsage(std::string& out, const Usage& usage, const Timing* timing) const {
  out.append(head_).append("],\"usage\":");
  internal::AppendUsageObject(out, usage);
  internal::AppendTiming(out, timing);
  out.append(kEventEnd);
}

void ChunkWriter::AppendOpening(std::string& out, std::int32_t index) const {
  out.append(head_).append(before_index_);
  internal::AppendNumber(out, index);
}

void AppendErrorEvent(std::string& out, const Error& error, std::string_view api_code) {
  out.append("data: ");
  AppendErrorBody(out, Dialect::kOpenAi, error, api_code);
  out.append("\n\n");
}

}  // namespace penstock
