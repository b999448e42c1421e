#include "policy/capacity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace penstock::policy {
namespace {

int ReplicasFor(std::int64_t tokens_per_s, const ReplicaCapacity& capacity) {
  const double cost = ContractCostPerSecond(static_cast<double>(tokens_per_s), capacity.weights);
  const double replicas = std::ceil(cost / (kGuaranteeShare * capacity.cost_per_s));
  constexpr double kReplicasMax = 1'000'000;  // Keeps the conversion to int defined.
  return static_cast<int>(std::clamp(replicas, 1.0, kReplicasMax));
}

Status CheckOne(const std::string& field, std::int64_t value, std::int64_t chunk) {
  if (value < 0 || value > kThroughputMax) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("{} must be 0 to {} tokens per second, got {}", field, kThroughputMax, value),
        field);
  }
  if (value % chunk == 0) return {};
  const std::int64_t below = value - value % chunk;
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must be a multiple of the model's chunk of {} tokens per second, got "
                          "{}; the nearest are {} and {}",
                          field, chunk, value, below, below + chunk),
              field);
}

}  // namespace

double Cost(const TokenCounts& tokens, const CostWeights& weights) {
  return static_cast<double>(tokens.input - tokens.cached) +
         weights.cached * static_cast<double>(tokens.cached) +
         weights.output * static_cast<double>(tokens.output);
}

double ContractCostPerSecond(double tokens_per_s, const CostWeights& weights) {
  constexpr double kReferenceTokens = kReferenceInputTokens + kReferenceOutputTokens;
  return tokens_per_s * (kReferenceInputTokens + weights.output * kReferenceOutputTokens) /
         kReferenceTokens;
}

Status CheckRange(const ThroughputRange& range, std::int64_t chunk_tokens_per_s,
                  const std::string& field_prefix) {
  CHECK(chunk_tokens_per_s >= 1, "a chunk is at least one token per second");
  const std::string minimum_field = field_prefix + "min_provisioned_throughput";
  const std::string maximum_field = field_prefix + "max_provisioned_throughput";
  if (auto good = CheckOne(minimum_field, range.minimum, chunk_tokens_per_s); !good) return good;
  if (auto good = CheckOne(maximum_field, range.maximum, chunk_tokens_per_s); !good) return good;
  if (range.maximum == 0) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} must be more than 0 tokens per second, got 0", maximum_field),
                maximum_field);
  }
  if (range.minimum > range.maximum) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} must not exceed {} ({}), got {}", minimum_field, maximum_field,
                            range.maximum, range.minimum),
                minimum_field);
  }
  return {};
}

ReplicaRange ReplicasForRange(const ThroughputRange& range,
                              const std::optional<ReplicaCapacity>& capacity) {
  if (!capacity) return {};
  CHECK(capacity->cost_per_s > 0, "a calibrated replica does some work");
  const int minimum = ReplicasFor(range.minimum, *capacity);
  return {.minimum = minimum, .maximum = std::max(minimum, ReplicasFor(range.maximum, *capacity))};
}

}  // namespace penstock::policy
