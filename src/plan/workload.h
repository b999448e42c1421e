// Workload: the shape of requests and how many come, which is what sizing starts from.
#pragma once

#include <span>

#include "base/result.h"

namespace penstock::plan {

// Largest amount of anything that is accepted, so that no arithmetic overflows.
inline constexpr double kAmountMax = 1e12;

// Requests of one kind. Averages; all >= 0.
struct Workload {
  double requests_per_minute = 0;
  double input_tokens = 0;   // Of one request.
  double output_tokens = 0;  // Of one request, as generated, not as limited by max_tokens.
  double cache_rate = 0;     // Share of the input found in a prompt cache, 0 to 1.
};

// Tokens per minute (TPM) of several workloads together.
struct TokensPerMinute {
  double requests = 0;
  double input = 0;   // Cached ones included.
  double cached = 0;  // At most `input`.
  double output = 0;
  double total() const { return input + output; }
};

// Refuses what no traffic can be: negative or endless figures, a cache rate outside 0 to 1. The
// error names the flag-like field.
Status CheckWorkload(const Workload& workload);

TokensPerMinute Sum(std::span<const Workload> workloads);

}  // namespace penstock::plan
