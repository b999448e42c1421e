// Sizing: one workload, answered for every way to buy it, side by side. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "plan/chunk.h"
#include "plan/prices.h"
#include "plan/ptu.h"
#include "plan/standard_quota.h"
#include "plan/usage_series.h"
#include "policy/capacity.h"

namespace penstock::plan {

// A model of ours that was calibrated on this hardware.
struct OwnModel {
  std::string name;
  policy::ReplicaCapacity capacity{};
};

// What to buy of. Every part is optional but one is needed.
struct Offers {
  std::optional<PtuModel> azure{};
  std::optional<ChunkModel> databricks{};
  std::vector<OwnModel> own{};
  std::optional<QuotaUnit> standard{};
  double max_tokens = 0;  // As requests carry it, x best_of; 0: what they generate.
  Prices prices{};
};

// One answer.
struct SizingRow {
  std::string offer;  // "Azure OpenAI provisioned, global".
  std::string model;
  std::string unit;         // "PTU", "tokens/s", "quota units".
  double raw = 0;           // Before steps and minimum.
  std::int64_t amount = 0;  // What to buy, in `unit`.
  std::string note{};       // "4 chunks of 980", "minimum".
  std::optional<double> cost_per_hour{};
};

struct Sizing {
  std::string name;  // Of the endpoint; "" for the one workload.
  std::string peak;  // "as given", "p99 minute", "greatest minute".
  TokensPerMinute tokens{};
  std::vector<SizingRow> rows{};
  std::optional<UsageSummary> usage{};  // Where it comes from a history.
};

Sizing SizeFor(const TokensPerMinute& tokens, const Offers& offers);

// The peak that is sized for, by each offer's own weights.
enum class Peak : std::uint8_t { kMean, kP95, kP99, kMax };
Result<Peak> ParsePeak(std::string_view word);  // "mean", "p95", "p99", "max"
std::string_view Name(Peak peak);               // "mean minute", "p95 minute", …

// REQUIRES: the series is not empty.
Result<Sizing> SizeFor(const std::string& name, const UsageSeries& series, Peak peak,
                       const Offers& offers);

// What `tokens_per_s` of range buys of a shape, with and without its cache hits.
struct Bought {
  double requests_per_minute = 0;
  double input_tpm = 0;
  double output_tpm = 0;
};
Bought Buys(double tokens_per_s, const Workload& shape, const policy::CostWeights& weights);

// The same by each offer that is sold in tokens/s.
struct BoughtRow {
  std::string offer;
  std::string model;
  Bought bought{};
};
std::vector<BoughtRow> Buys(double tokens_per_s, const Workload& shape, const Offers& offers);

}  // namespace penstock::plan
