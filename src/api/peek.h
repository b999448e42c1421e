// PeekRequest: what a gateway must know of a request body to route, admit and meter it, in one
// pass.
//
// The body stays as it is: a gateway forwards the client's own bytes, with at most a few of them
// replaced at places that the peek found. The whole document is checked (JSON, UTF-8, depth), so no
// malformed body reaches an engine; fields that are not named here are not looked at.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/padded_view.h"
#include "base/result.h"

namespace penstock {

// Replaces `length` bytes of the body at `offset` by `text` (static storage).
struct Splice {
  std::size_t offset = 0;
  std::size_t length = 0;
  std::string_view text;

  bool operator==(const Splice&) const = default;
};

// Of a body's `stream_options` as it is put in.
inline constexpr std::string_view kWholeOptions = R"("stream_options":{"include_usage":true})";

struct RequestPeek {
  std::string model;  // "" if absent.
  bool stream = false;
  bool has_stream_options = false;  // Present and not null.
  bool include_usage = false;
  // The highest of `max_tokens`, `max_completion_tokens`, `max_output_tokens` and `max_new_tokens`:
  // what admission has to reserve.
  std::optional<std::int64_t> tokens_max;
  std::int64_t choices = 1;  // The higher of `n` and `best_of`: each costs a generation.
  // Size of `messages`, `prompt`, `input` and `tools`: bytes of text (UTF-8, unescaped), and token
  // ids. Divide the bytes by a learned ratio to estimate tokens.
  std::size_t prompt_bytes = 0;
  std::size_t prompt_characters = 0;  // Those of prompt_bytes: Unicode code points.
  std::size_t prompt_token_ids = 0;

  // Databricks: the client's own words about its request, for its usage record. "" if absent.
  std::string client_request_id;
  std::string_view usage_context;  // The JSON object as it stands in the body.

  // Where the prompt begins is where prompts can be alike: the JSON of `messages`, `prompt` or
  // `input` (with what follows it up to the next field), and that of `tools`. Views into the body.
  std::string_view prompt_text;
  std::string_view tools_text;
  std::string prompt_cache_key;  // OpenAI: requests that say the same belong together.

  // Which of the fields that tell one operation from another are there, and not null.
  bool has_messages = false;  // Chat.
  bool has_prompt = false;    // Completions.
  bool has_input = false;     // Embeddings.

  // For RewriteRequest.
  Splice usage_splice;           // Makes include_usage true. Empty text: it is so already.
  std::size_t model_offset = 0;  // The value of `model`, quotes included; where it is absent, the
  std::size_t model_length = 0;  // place to insert one, with length 0.
  bool empty = false;            // The body is `{}`.

  bool operator==(const RequestPeek&) const = default;
};

// Errors: Code::kInvalidArgument with the field at fault; a known field given twice is one, because
// two parsers might pick different ones. Re-entrant; any thread.
Result<RequestPeek> PeekRequest(PaddedView body);

struct RequestRewrite {
  bool request_usage = false;             // Set stream_options.include_usage. Only for a stream.
  std::optional<std::string_view> model;  // Replace, or add, the model.
};

// The body with the changes and every other byte as it was. `peek` must stem from this very body.
std::string RewriteRequest(std::string_view body, const RequestPeek& peek,
                           const RequestRewrite& changes);

inline std::string WithUsageRequested(std::string_view body, const RequestPeek& peek) {
  return RewriteRequest(body, peek, {.request_usage = true, .model = std::nullopt});
}
inline std::string WithModel(std::string_view body, const RequestPeek& peek,
                             std::string_view model) {
  return RewriteRequest(body, peek, {.request_usage = false, .model = model});
}

}  // namespace penstock
