// Requests of the data plane as values: what a body in OpenAI's JSON asks of an engine.
//
// Rules for every body: it is one JSON object of valid UTF-8, nested at most kJsonDepthMax deep,
// with nothing behind it. `null` means absent. Unknown fields are ignored; a known field given
// twice, of a wrong type or out of range is refused. What would change the answer and is not
// supported (image parts, keywords of JSON schemas) is refused rather than
// ignored.
//
// Errors are Code::kInvalidArgument with Error::field as a path ("messages[2].content[0].type"),
// and a message that names field, value and limit. Pure and re-entrant; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "api/padded_view.h"
#include "base/result.h"

namespace penstock {

inline constexpr std::size_t kJsonDepthMax = 64;
inline constexpr std::size_t kStopsMax = 4;
inline constexpr std::size_t kInputsMax = 2048;  // Prompts of a completion, inputs of an embedding.
inline constexpr std::size_t kLogitBiasesMax = 1024;
inline constexpr std::int32_t kChoicesMax = 128;  // `n`.
inline constexpr std::size_t kToolsMax = 128;
inline constexpr std::size_t kToolNameBytesMax = 64;

using TokenId = std::int32_t;  // Never negative. Whether a vocabulary has it, the engine knows.

// How the next token is drawn. The defaults leave the model's distribution as it is.
struct Sampling {
  double temperature = 1;         // [0, 2]; 0 always takes the likeliest token.
  double top_p = 1;               // (0, 1].
  std::int32_t top_k = 0;         // 0 (or -1 on the wire) is off.
  double min_p = 0;               // [0, 1]; 0 is off.
  double presence_penalty = 0;    // [-2, 2].
  double frequency_penalty = 0;   // [-2, 2].
  double repetition_penalty = 1;  // (0, 10]; 1 is off.
  std::optional<std::int64_t> seed;
  std::vector<std::pair<TokenId, double>> logit_bias;  // Biases in [-100, 100]; no id twice.
};

// What chat and text completion share.
struct GenerationOptions {
  Sampling sampling;
  // The lower of `max_tokens` and `max_completion_tokens` where both are given; at least 1. Absent:
  // up to the end of the context.
  std::optional<std::int32_t> tokens_max;
  std::int32_t tokens_min = 0;    // `min_tokens`: no end before so many. At most tokens_max.
  std::vector<std::string> stop;  // At most kStopsMax, none empty.
  bool ignore_eos = false;
  std::int32_t n = 1;        // [1, kChoicesMax]. Whether more than 1 is served, the engine says.
  std::int32_t best_of = 1;  // At least n: so many are generated, the n likeliest answered.
  // `logprobs`, `top_logprobs`: the log probability of each token, and of so many of the likeliest
  // in its place, 0 to kTopLogprobsMax. Absent: none.
  std::optional<std::int32_t> top_logprobs;
  // `response_format`: what the answer must match, as a grammar (see json_schema.h); "": anything.
  std::string grammar;
  bool stream = false;
  bool include_usage = false;  // `stream_options.include_usage`; refused unless streaming.
  std::string user;
};

struct ToolCall {
  std::string id;
  std::string name;
  std::string arguments;  // JSON, as the model wrote it.
  bool operator==(const ToolCall&) const = default;
};

struct ChatMessage {
  std::string role;     // system, developer, user, assistant or tool.
  std::string content;  // Text parts of a list are joined without anything between them.
  std::string name;     // "" if none.
  std::vector<ToolCall> tool_calls;  // An assistant's.
  std::string tool_call_id;          // A tool's: the call that it answers. "" if none.
};

struct Tool {
  std::string name;  // 1 to kToolNameBytesMax of a-z, A-Z, 0-9, _ and -; no name twice.
  std::string description;
  std::string parameters;  // A JSON schema, minified. Of a strict tool: one that has a grammar.
};

enum class ToolChoice : std::uint8_t { kNone, kAuto, kRequired };

struct ChatRequest {
  std::string model;                  // "" where the path names the model.
  std::vector<ChatMessage> messages;  // At least one.
  // At most kToolsMax; empty with ToolChoice::kNone. Where the choice names one tool: that one
  // alone, with kRequired and without parallel calls.
  std::vector<Tool> tools;
  ToolChoice tool_choice = ToolChoice::kNone;
  bool parallel_tool_calls = true;
  GenerationOptions options;
};

using Prompt = std::variant<std::string, std::vector<TokenId>>;

// What OpenAI's text completions generate where no limit is given. (Chats: the rest of the
// context.)
inline constexpr std::int32_t kCompletionTokensDefault = 16;

struct CompletionRequest {
  std::string model;
  std::vector<Prompt>
      prompts;  // At least one, at most kInputsMax; a text may be empty, ids may not.
  bool echo = false;
  std::string suffix;  // What stands behind the text to be written; "" if nothing.
  GenerationOptions options;
};

enum class EncodingFormat : std::uint8_t { kFloat, kBase64 };

struct EmbeddingRequest {
  std::string model;
  std::vector<Prompt>
      inputs;  // At least one, at most kInputsMax, none empty. `instruction` is in front.
  EncodingFormat encoding_format = EncodingFormat::kFloat;
  std::optional<std::int32_t> dimensions;  // At least 1.
  std::string user;
};

struct TokenizeRequest {
  std::string model;
  std::string prompt;  // Used where `messages` is empty.
  std::vector<ChatMessage> messages;
  bool add_special_tokens = true;
};

struct DetokenizeRequest {
  std::string model;
  std::vector<TokenId> tokens;  // May be empty.
};

Result<ChatRequest> ParseChatRequest(PaddedView body);
Result<CompletionRequest> ParseCompletionRequest(PaddedView body);
Result<EmbeddingRequest> ParseEmbeddingRequest(PaddedView body);
// `{"prompt": text}` or `{"messages": [...]}`, not both.
Result<TokenizeRequest> ParseTokenizeRequest(PaddedView body);
// `{"tokens": [ids]}`.
Result<DetokenizeRequest> ParseDetokenizeRequest(PaddedView body);

}  // namespace penstock
