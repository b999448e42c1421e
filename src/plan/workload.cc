#include "plan/workload.h"

#include <array>
#include <cmath>
#include <string>
#include <utility>

#include <fmt/format.h>

namespace penstock::plan {

Status CheckWorkload(const Workload& workload) {
  const std::array<std::pair<const char*, double>, 3> amounts = {
      {{"requests_per_minute", workload.requests_per_minute},
       {"input_tokens", workload.input_tokens},
       {"output_tokens", workload.output_tokens}}};
  for (const auto& [field, value] : amounts) {
    if (!std::isfinite(value) || value < 0 || value > kAmountMax) {
      return Fail(
          Code::kInvalidArgument,
          fmt::format("{} is {}; it must lie between 0 and {:.0e}", field, value, kAmountMax),
          field);
    }
  }
  if (!(workload.cache_rate >= 0 && workload.cache_rate <= 1)) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("cache_rate is {}; it is a share, between 0 and 1", workload.cache_rate),
        "cache_rate");
  }
  return {};
}

TokensPerMinute Sum(std::span<const Workload> workloads) {
  TokensPerMinute sum;
  for (const Workload& workload : workloads) {
    const double input = workload.requests_per_minute * workload.input_tokens;
    sum.requests += workload.requests_per_minute;
    sum.input += input;
    sum.cached += input * workload.cache_rate;
    sum.output += workload.requests_per_minute * workload.output_tokens;
  }
  return sum;
}

}  // namespace penstock::plan
