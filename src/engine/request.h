// What a caller asks of the engine, and what it gets back: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::engine {

using TokenId = std::int32_t;
using RequestId = std::uint64_t;

// How the next token is drawn. The defaults are those of OpenAI's API: temperature 1, everything
// kept.
//
// Order: logit bias, penalties, temperature, then the filters top_k, top_p, min_p, each on the
// probabilities after temperature (top_p on those that top_k left, renormalised).
struct SamplingOptions {
  double temperature = 1.0;        // 0 takes the most probable token.
  int top_k = 0;                   // 0 keeps all.
  double top_p = 1.0;              // 1 keeps all.
  double min_p = 0.0;              // Relative to the most probable token; 0 keeps all.
  double presence_penalty = 0.0;   // Subtracted once from each token generated before.
  double frequency_penalty = 0.0;  // Subtracted for each time a token was generated before.
  double repeat_penalty = 1.0;     // Divides the logits of tokens in prompt or output; 1 is off.
  std::optional<std::uint64_t> seed{};
  std::vector<std::pair<TokenId, float>> logit_bias{};
};

// The likelihood of one token as the model gave it, before biases, penalties and filters.
struct Likelihood {
  TokenId token = 0;
  float logprob = 0;
  std::vector<std::pair<TokenId, float>> top{};  // The likeliest tokens in its place.
};

// What the text must match: rules in llama.cpp's notation (GBNF), the first of them `root`.
struct GrammarSpec {
  std::string rules{};  // "": anything goes.
  // Not empty: anything goes until one of these texts appears; from there on it must match.
  std::vector<std::string> triggers{};
  std::string begun{};  // What the end of the prompt has already written of it.
};

struct GenerationRequest {
  std::vector<TokenId> prompt{};  // At least one token.
  int output_tokens_max = 0;      // 0 means: as many as the context holds.
  int output_tokens_min = 0;      // The end-of-generation tokens are masked until then.
  bool ignore_end_of_generation = false;
  std::optional<int>
      top_likelihoods{};  // How many alternatives to tell for each token; none: nothing.
  SamplingOptions sampling{};
  // With a grammar the text ends where the grammar does, whatever output_tokens_min says.
  GrammarSpec grammar{};
  std::vector<TokenId> written_specials{};  // Special tokens that are part of the text.
  std::vector<std::string> stops{};         // At most kStopsMax, none empty.
  std::string caller{};                     // Whom the work counts for: served fairly between them.
  std::optional<TimePoint> deadline{};      // For the first token; none: see scheduler.h.
};

enum class FinishReason {
  kStop,    // An end-of-generation token or a stop string.
  kLength,  // output_tokens_max or the context is exhausted.
};

// Exact counts, and where the time went.
struct Usage {
  int prompt_tokens = 0;
  int cached_tokens = 0;      // Of prompt_tokens, those that need not be computed.
  int completion_tokens = 0;  // Every token drawn, an end-of-generation token included.
  Duration queue{};           // From Submit to the first prefill step.
  Duration prefill{};         // To the first token.
  Duration decode{};          // From the first token to the last.
};

struct EmbeddingResult {
  std::vector<float> values{};  // Normalised to length 1, unless the model's pooling forbids it.
  int prompt_tokens = 0;
};

// One thing that happened to one request. Each request ends with exactly one event whose `end` is
// set; a cancelled request gets none.
struct Event {
  RequestId id = 0;
  std::string text{};  // New text, whole UTF-8 characters; may be empty.
  int tokens = 0;      // Tokens behind this event; 0 for text that was held back and is flushed.
  std::optional<Likelihood> likelihood{};  // Of its token, where asked for.
  enum class End { kNone, kFinished, kEmbedded, kFailed } end = End::kNone;
  FinishReason finish_reason = FinishReason::kStop;  // kFinished only.
  Usage usage{};                                     // kFinished only.
  EmbeddingResult embedding{};                       // kEmbedded only.
  Error error{};                                     // kFailed only.
};

}  // namespace penstock::engine
