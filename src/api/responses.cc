// Whole responses, field by field in the order that the originals use.
#include "api/responses.h"

#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <iterator>

#include "api/json_text.h"
#include "api/response_parts.h"

namespace penstock {
namespace {

static_assert(std::endian::native == std::endian::little, "base64 embeddings are little-endian");

void AppendFinish(std::string& out, const Choice& choice) {
  out.append(",\"logprobs\":").append(choice.logprobs).append(",\"finish_reason\":");
  internal::AppendFinishReason(out, choice.finish);
  out.push_back('}');
}

// A chat message's content and what follows it.
void AppendMessage(std::string& out, const Choice& choice) {
  if (choice.text.empty() && !choice.tool_calls.empty()) {
    out.append("null");
  } else {
    AppendJsonString(out, choice.text);
  }
  out.append(R"(,"refusal":null)");
  for (std::size_t i = 0; i < choice.tool_calls.size(); ++i) {
    out.append(i == 0 ? ",\"tool_calls\":[{" : ",{");
    internal::AppendToolCallOpening(out, choice.tool_calls[i]);
    out.append(i + 1 == choice.tool_calls.size() ? "\"}}]" : "\"}}");
  }
  out.push_back('}');
}

void AppendFloats(std::string& out, std::span<const float> values) {
  out.push_back('[');
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (i != 0) out.push_back(',');
    if (std::isfinite(values[i])) {
      fmt::format_to(std::back_inserter(out), "{}", values[i]);
    } else {
      out.append("null");
    }
  }
  out.push_back(']');
}

void AppendVector(std::string& out, std::span<const float> values, EncodingFormat format) {
  if (format == EncodingFormat::kFloat) return AppendFloats(out, values);
  out.push_back('"');
  AppendBase64(out, {reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()});
  out.push_back('"');
}

}  // namespace

namespace internal {

void AppendHead(std::string& out, std::string_view object, const ResponseHead& head) {
  out.append("{\"id\":");
  AppendJsonString(out, head.id);
  out.append(",\"object\":\"").append(object).append("\",\"created\":");
  AppendNumber(out, head.created_s);
  out.append(",\"model\":");
  AppendJsonString(out, head.model);
}

void AppendNumber(std::string& out, std::int64_t number) {
  const fmt::format_int text(number);
  out.append(text.data(), text.size());
}

void AppendUsageObject(std::string& out, const Usage& usage) {
  fmt::format_to(std::back_inserter(out),
                 R"({{"prompt_tokens":{},"completion_tokens":{},"total_tokens":{},)"
                 R"("prompt_tokens_details":{{"cached_tokens":{}}}}})",
                 usage.prompt_tokens, usage.completion_tokens, usage.total_tokens(),
                 usage.cached_tokens);
}

void AppendTiming(std::string& out, const Timing* timing) {
  if (timing == nullptr) return;
  fmt::format_to(std::back_inserter(out),
                 R"(,"penstock":{{"queue_ms":{:.3f},"prefill_ms":{:.3f},"decode_ms":{:.3f}}})",
                 timing->queue_ms, timing->prefill_ms, timing->decode_ms);
}

void AppendToolCallOpening(std::string& out, const ToolCall& call) {
  out.append("\"id\":");
  AppendJsonString(out, call.id);
  out.append(R"(,"type":"function","function":{"name":)");
  AppendJsonString(out, call.name);
  out.append(R"(,"arguments":")");
  AppendJsonEscaped(out, call.arguments);
}

void AppendFinishReason(std::string& out, FinishReason reason) {
  if (reason == FinishReason::kNone) {
    out.append("null");
  } else {
    out.append("\"").append(ToWord(reason)).append("\"");
  }
}

}  // namespace internal

void AppendChatCompletion(std::string& out, const ResponseHead& head,
                          std::span<const Choice> choices, const Usage& usage,
                          const Timing* timing) {
  internal::AppendHead(out, "chat.completion", head);
  out.append(",\"choices\":[");
  for (std::size_t i = 0; i < choices.size(); ++i) {
    out.append(i == 0 ? "{\"index\":" : ",{\"index\":");
    internal::AppendNumber(out, static_cast<std::int64_t>(i));
    out.append(R"(,"message":{"role":"assistant","content":)");
    AppendMessage(out, choices[i]);
    AppendFinish(out, choices[i]);
  }
  out.append("],\"usage\":");
  internal::AppendUsageObject(out, usage);
  internal::AppendTiming(out, timing);
  out.push_back('}');
}

void AppendCompletion(std::string& out, const ResponseHead& head, std::span<const Choice> choices,
                      const Usage& usage, const Timing* timing) {
  internal::AppendHead(out, "text_completion", head);
  out.append(",\"choices\":[");
  for (std::size_t i = 0; i < choices.size(); ++i) {
    out.append(i == 0 ? "{\"index\":" : ",{\"index\":");
    internal::AppendNumber(out, static_cast<std::int64_t>(i));
    out.append(",\"text\":");
    AppendJsonString(out, choices[i].text);
    AppendFinish(out, choices[i]);
  }
  out.append("],\"usage\":");
  internal::AppendUsageObject(out, usage);
  internal::AppendTiming(out, timing);
  out.push_back('}');
}

void AppendEmbeddings(std::string& out, const ResponseHead& head,
                      std::span<const std::vector<float>> vectors, EncodingFormat format,
                      const Usage& usage) {
  out.append(R"({"object":"list","data":[)");
  for (std::size_t i = 0; i < vectors.size(); ++i) {
    out.append(i == 0 ? "" : ",").append(R"({"object":"embedding","index":)");
    internal::AppendNumber(out, static_cast<std::int64_t>(i));
    out.append(",\"embedding\":");
    AppendVector(out, vectors[i], format);
    out.push_back('}');
  }
  out.append("],\"model\":");
  AppendJsonString(out, head.model);
  fmt::format_to(std::back_inserter(out), R"(,"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})",
                 usage.prompt_tokens, usage.prompt_tokens);
}

void AppendModel(std::string& out, const ModelCard& card) {
  out.append("{\"id\":");
  AppendJsonString(out, card.id);
  out.append(R"(,"object":"model","created":)");
  internal::AppendNumber(out, card.created_s);
  out.append(",\"owned_by\":");
  AppendJsonString(out, card.owner);
  out.push_back('}');
}

void AppendModelList(std::string& out, std::span<const ModelCard> cards) {
  out.append(R"({"object":"list","data":[)");
  for (std::size_t i = 0; i < cards.size(); ++i) {
    if (i != 0) out.push_back(',');
    AppendModel(out, cards[i]);
  }
  out.append("]}");
}

void AppendTokens(std::string& out, std::span<const TokenId> tokens,
                  std::int64_t context_tokens_max) {
  fmt::format_to(std::back_inserter(out), R"({{"count":{},"max_model_len":{},"tokens":[{}]}})",
                 tokens.size(), context_tokens_max, fmt::join(tokens, ","));
}

void AppendDetokenized(std::string& out, std::string_view text) {
  out.append("{\"prompt\":");
  AppendJsonString(out, text);
  out.push_back('}');
}

}  // namespace penstock
