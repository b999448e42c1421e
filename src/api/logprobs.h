// Log probabilities of an answer's tokens, in OpenAI's two forms. Pure.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace penstock {

inline constexpr std::int32_t kTopLogprobsMax = 20;

struct TokenLogprob {
  std::string piece;  // The token's bytes: perhaps a part of a character.
  double logprob = 0;
  std::vector<std::pair<std::string, double>> top;  // The likeliest tokens, likeliest first.
};

// `{"content":[{"token","logprob","bytes","top_logprobs"}...],"refusal":null}`.
void AppendChatLogprobs(std::string& out, std::span<const TokenLogprob> tokens);

// `{"tokens":[...],"token_logprobs":[...],"top_logprobs":[{...}...],"text_offset":[...]}`. The
// first token stands at byte `text_offset` of the choice's text.
void AppendCompletionLogprobs(std::string& out, std::span<const TokenLogprob> tokens,
                              std::size_t text_offset);

}  // namespace penstock
