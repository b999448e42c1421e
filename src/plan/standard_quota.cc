#include "plan/standard_quota.h"

#include <algorithm>
#include <cmath>

namespace penstock::plan {

QuotaEstimate EstimateQuota(const TokensPerMinute& tokens, double max_tokens,
                            const QuotaUnit& unit) {
  QuotaEstimate estimate;
  estimate.counted_tpm =
      tokens.input + (max_tokens > 0 ? max_tokens * tokens.requests : tokens.output);
  const double by_tokens = estimate.counted_tpm / unit.tokens_per_minute;
  const double by_requests = tokens.requests / unit.requests_per_minute;
  estimate.bound_by_requests = by_requests > by_tokens;
  estimate.units = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::ceil(std::max(by_tokens, by_requests) - 1e-9)));
  const auto units = static_cast<double>(estimate.units);
  estimate.tokens_per_minute = units * unit.tokens_per_minute;
  estimate.requests_per_minute = units * unit.requests_per_minute;
  return estimate;
}

}  // namespace penstock::plan
