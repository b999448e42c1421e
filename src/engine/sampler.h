// Sampler: draws the next token of one sequence from its logits, without sorting the vocabulary.
//
// Deterministic: the same options, seed, history and logits give the same token on every machine of
// one instruction set. Not thread-safe; the scratch memory is shared by all samplers of a thread.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "engine/request.h"

namespace penstock::engine {

// A token that survived the filters, with its unnormalised probability.
struct Candidate {
  float weight;
  TokenId token;
};

// Reused between draws so that a draw allocates nothing once warm.
struct SamplerScratch {
  std::vector<float> weights;
  std::vector<float> block_sums;
  std::vector<Candidate> candidates;
  std::vector<float> raw;  // The logits as they were, where likelihoods are asked for.
};

// The likelihood of `token`, and of the `top` likeliest, by these logits.
Likelihood LikelihoodOf(std::span<const float> logits, TokenId token, int top,
                        SamplerScratch& scratch);

// Refuses values outside their ranges; the message names field, value and limit.
Status ValidateSampling(const SamplingOptions& options, int vocabulary_size);

// Says which tokens may stand next, beyond what the options ban.
class TokenFilter {
 public:
  virtual ~TokenFilter() = default;
  virtual bool Allows(TokenId token) = 0;
  // Sets the logits of all that it does not allow to minus infinity. Much dearer than Allows().
  virtual void Mask(std::span<float> logits) = 0;
};

class Sampler {
 public:
  // Draws that a filter may refuse before it is asked about the whole vocabulary.
  static constexpr int kRedrawsMax = 4;

  // `seed` is used where options.seed is absent. `prompt` counts for repeat_penalty only.
  Sampler(SamplingOptions options, std::uint64_t seed, std::span<const TokenId> prompt);

  // Draws a token and records it. `logits` is changed in place by biases and penalties; `banned`
  // tokens cannot be drawn. If every token is banned or not a number, the lowest token that is not
  // banned.
  TokenId Sample(std::span<float> logits, std::span<const TokenId> banned, SamplerScratch& scratch);

  // The same, of what the filter allows: what is drawn and refused is banned and drawn again, which
  // leaves the others' chances as they are. nullopt: no token is left.
  std::optional<TokenId> Sample(std::span<float> logits, std::span<const TokenId> banned,
                                TokenFilter& filter, SamplerScratch& scratch);

 private:
  struct Seen {
    int generated = 0;
  };

  void Adjust(std::span<float> logits, std::span<const TokenId> banned) const;
  TokenId Draw(std::span<const float> logits, SamplerScratch& scratch);
  TokenId DrawFiltered(std::span<const float> logits, float maximum, SamplerScratch& scratch);

  SamplingOptions options_;
  Random random_;
  bool penalised_;
  std::unordered_map<TokenId, Seen> seen_;  // Filled only when a penalty is on.
};

}  // namespace penstock::engine
