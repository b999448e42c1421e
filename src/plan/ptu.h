// PTU calculator: how many of Azure's provisioned throughput units a workload needs.
//
//   normalized = input_TPM·(1 − cache_rate) + ratio·output_TPM
//   PTUs = max(minimum, round(normalized ÷ input_TPM_per_PTU, increment))
//
// Source: Microsoft, "Provisioned throughput: sizing"; the three examples of "Performance and
// latency" for gpt-4o-mini are tests. Pure: the table is a value, parsed from text.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "plan/standard_quota.h"
#include "plan/workload.h"
#include "policy/capacity.h"

namespace penstock::plan {

// How many may be bought: a minimum, then steps.
struct PtuSteps {
  std::int64_t minimum = 1;
  std::int64_t increment = 1;  // At least 1.
};

enum class Rounding { kUp, kNearest };

struct PtuModel {
  std::string name;
  double input_tpm_per_ptu = 1;  // More than 0.
  double output_ratio = 0;       // Input tokens that one output token counts as; 0: not published.
  Rounding rounding = Rounding::kUp;
  std::optional<PtuSteps> global{};        // Global and data-zone deployments.
  std::optional<PtuSteps> regional{};      // nullopt: not sold so.
  double latency_target_tokens_per_s = 0;  // Of one stream; 0: none published.
  QuotaUnit quota_unit{};                  // Of its Standard deployments.
};

struct PtuTable {
  std::string source;
  std::string date;
  std::vector<PtuModel> models;

  // The model called `name`, whatever its case. Errors: kNotFound, naming the nearest ones;
  // kUnsupported, where its output ratio is not published.
  Result<PtuModel> Find(std::string_view name) const;
};

// Reads a table as YAML (src/plan/data/azure_ptu.yaml shows the form). The error names row and
// field.
Result<PtuTable> ParsePtuTable(const std::string& yaml);

// The table that is built in.
const PtuTable& BuiltInPtuTable();

// A model of ours as a row: a unit is one chunk, which is what a deployment's capacity counts here.
PtuModel PtuModelOf(std::string name, const policy::ReplicaCapacity& capacity);

struct PtuEstimate {
  TokensPerMinute tokens{};
  double normalized_tpm = 0;
  double raw = 0;          // Before minimum and steps.
  std::int64_t units = 0;  // What to buy.
};

PtuEstimate EstimatePtus(const TokensPerMinute& tokens, const PtuModel& model,
                         const PtuSteps& steps);

}  // namespace penstock::plan
