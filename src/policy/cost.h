// Cost: what a request is expected to consume before it runs, learned from what others did.
//
// Estimate e = input + w_out * min(highest token limit given, learned P80 of this lane's outputs)
// * choices. The input is known in bytes (or in token ids); bytes become tokens by a ratio learned
// per lane. Pure: values in, values out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/clock.h"
#include "policy/capacity.h"
#include "policy/endpoint_policy.h"
#include "policy/token_quantile.h"

namespace penstock::policy {

// What a request's body says of its size.
struct RequestSize {
  std::size_t prompt_bytes = 0;                 // Text, unescaped.
  std::size_t prompt_token_ids = 0;             // Tokens that were given as numbers.
  std::optional<std::int64_t> tokens_max = {};  // The highest of all limits that it names.
  std::int64_t choices = 1;                     // n or best_of: each is a generation.
  bool generates = true;                        // False for embeddings.
  bool streams = false;                         // Its first token will be told when it comes.
};

struct Estimate {
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;  // Of all choices together.
  double cost = 0;
  bool operator==(const Estimate&) const = default;
};

class CostEstimator {
 public:
  static constexpr double kBytesPerToken = 4;         // Until kLearnedMin requests have ended.
  static constexpr std::int64_t kOutputTokens = 512;  // Likewise, where no limit is lower.
  static constexpr std::uint32_t kLearnedMin = 16;
  // Of one choice, where neither an answer nor a calibration has told: a slow replica's.
  static constexpr double kOutputTokensPerS = 20;

  Estimate Guess(const RequestSize& size, const LanePolicy& policy) const;

  // A request of `size` ended whole, and consumed this. Not for what was cut: that says nothing
  // of how long answers are.
  void Learn(const RequestSize& size, const TokenCounts& actual);

  // It took so long from its start on: the time before its first token is a part of it.
  void LearnTime(const RequestSize& size, const TokenCounts& actual, Duration took);

  double bytes_per_token() const;
  std::int64_t output_tokens() const;  // Of one choice: the learned P80, or kOutputTokens.
  double output_tokens_per_s() const;  // Of one choice, from its start on; 0: not learned.

 private:
  TokenQuantile outputs_;  // Of one choice.
  double bytes_ = 0;       // Both fade, so that the ratio follows what changes.
  double tokens_ = 0;
  double timed_tokens_ = 0;  // Of one choice, and the time that they took. Both fade, too.
  double timed_seconds_ = 0;
};

}  // namespace penstock::policy
