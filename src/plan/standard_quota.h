// Standard sizing: the quota that lets a workload through where tokens and requests per minute are
// limited, and nothing is guaranteed. Pure.
//
// Admission counts the prompt and `max_tokens`, not what is generated, and one unit of quota brings
// a fixed number of both (Microsoft, "Manage quota"): units = max(TPM ÷ TPM per unit, RPM ÷ RPM per
// unit), rounded up.
#pragma once

#include <cstdint>

#include "plan/workload.h"

namespace penstock::plan {

// What one unit of quota (`sku.capacity` 1) brings. The defaults are those of chat models.
struct QuotaUnit {
  double tokens_per_minute = 1000;  // More than 0.
  double requests_per_minute = 6;   // More than 0.
};

struct QuotaEstimate {
  double counted_tpm = 0;          // What admission will count at this rate.
  std::int64_t units = 0;          // At least 1.
  double tokens_per_minute = 0;    // Of these units.
  double requests_per_minute = 0;  // Of these units.
  bool bound_by_requests = false;  // Else by tokens.
};

// `max_tokens` of a request (x best_of); 0: as much as it generates on average.
QuotaEstimate EstimateQuota(const TokensPerMinute& tokens, double max_tokens,
                            const QuotaUnit& unit);

}  // namespace penstock::plan
