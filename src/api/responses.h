// Responses of the data plane: domain values written as JSON, straight into a caller's string.
//
// Every function appends to `out` and never fails; texts that are not valid UTF-8 come out with
// U+FFFD in place of each bad sequence. Ids and times are given, never made here.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/requests.h"
#include "api/usage.h"

namespace penstock {

// What opens every answer.
struct ResponseHead {
  std::string_view id;         // "chatcmpl-...", "cmpl-...".
  std::string_view model;      // The name that the client used.
  std::int64_t created_s = 0;  // Unix time.
};

struct Choice {
  std::string_view text;
  FinishReason finish = FinishReason::kStop;
  std::string_view logprobs = "null";      // JSON: see logprobs.h.
  std::span<const ToolCall> tool_calls{};  // Chat only. With them an empty text is `null`.
};

// Where a request's time went, in the replica: a member `penstock` of our own beside `usage`.
struct Timing {
  double queue_ms = 0;    // Until its first prompt token was computed.
  double prefill_ms = 0;  // Until its first token.
  double decode_ms = 0;   // From its first token to the last.
};

struct ModelCard {
  std::string_view id;
  std::int64_t created_s = 0;
  std::string_view owner = "penstock";
};

// Choices are numbered in their order. `timing` is left out where it is null.
void AppendChatCompletion(std::string& out, const ResponseHead& head,
                          std::span<const Choice> choices, const Usage& usage,
                          const Timing* timing = nullptr);
void AppendCompletion(std::string& out, const ResponseHead& head, std::span<const Choice> choices,
                      const Usage& usage, const Timing* timing = nullptr);
// `head.id` and `created_s` are not used: the format has no place for them. kBase64 writes
// little-endian float32. A value that is not finite is written as `null` in kFloat.
void AppendEmbeddings(std::string& out, const ResponseHead& head,
                      std::span<const std::vector<float>> vectors, EncodingFormat format,
                      const Usage& usage);
void AppendModel(std::string& out, const ModelCard& card);
void AppendModelList(std::string& out, std::span<const ModelCard> cards);
// `{"count", "max_model_len", "tokens"}`.
void AppendTokens(std::string& out, std::span<const TokenId> tokens,
                  std::int64_t context_tokens_max);
// `{"prompt"}`.
void AppendDetokenized(std::string& out, std::string_view text);

}  // namespace penstock
