// Capacity arithmetic: what tokens per second promise, cost, and need in replicas.
//
// Cost is counted in normalised tokens: one uncached input token costs 1. A promise of X tokens/s
// is made at the reference workload; any other shape gets what the same cost rate buys.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"

namespace penstock::policy {

// The reference workload: what a figure in tokens per second means, input and output added.
inline constexpr int kReferenceInputTokens = 2048;
inline constexpr int kReferenceOutputTokens = 256;

// Share of a pool's capacity that guarantees may take; the rest absorbs bursts and estimates.
inline constexpr double kGuaranteeShare = 0.85;

// The chunk of a model that was never calibrated: any whole number of tokens/s is a multiple.
inline constexpr std::int64_t kUncalibratedChunk = 1;

// What a token costs beside an uncached input token. From calibration.
struct CostWeights {
  double output = 4;  // Decode time per token / prefill time per token; about 3 to 8.
  double cached = 0;  // A prompt token found in the prefix cache; 0 is Azure's accounting.
  bool operator==(const CostWeights&) const = default;
};

// Tokens of one request, or of many together.
struct TokenCounts {
  std::int64_t input = 0;   // Cached ones included.
  std::int64_t cached = 0;  // At most `input`.
  std::int64_t output = 0;
};

// Normalised tokens that `tokens` consume.
double Cost(const TokenCounts& tokens, const CostWeights& weights);

// Cost per second that a promise of `tokens_per_s` at the reference workload buys:
// X * (2048 + w_out * 256) / 2304.
double ContractCostPerSecond(double tokens_per_s, const CostWeights& weights);

// The range that an endpoint provisions, in tokens/s at the reference workload. minimum <= maximum;
// maximum 0 means no promise and no ceiling.
struct ThroughputRange {
  std::int64_t minimum = 0;
  std::int64_t maximum = 0;
  bool operator==(const ThroughputRange&) const = default;
};

// What calibration found for one replica of a model on this hardware.
struct ReplicaCapacity {
  double cost_per_s = 0;  // K of the design; more than 0.
  std::int64_t chunk_tokens_per_s = kUncalibratedChunk;
  CostWeights weights;
};

// Refuses a range that cannot be meant. `chunk_tokens_per_s` >= 1. The error names the field under
// `field_prefix` ("" or "config.served_entities[0]."), its value, and the nearest good ones.
Status CheckRange(const ThroughputRange& range, std::int64_t chunk_tokens_per_s,
                  const std::string& field_prefix);

struct ReplicaRange {
  int minimum = 1;
  int maximum = 1;
  bool operator==(const ReplicaRange&) const = default;
};

// Replicas that keep the promise at the range's ends: ceil(contract cost / (0.85 K)), at least one
// (scaling to zero needs a cold start on demand, which does not exist yet). Without a calibration
// nobody knows what a replica can do: one.
ReplicaRange ReplicasForRange(const ThroughputRange& range,
                              const std::optional<ReplicaCapacity>& capacity);

// Largest range that is accepted, so that no arithmetic overflows: far above any machine.
inline constexpr std::int64_t kThroughputMax = 1'000'000'000;

}  // namespace penstock::policy
