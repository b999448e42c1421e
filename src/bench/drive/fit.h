// Fit: before the load, finds what the server takes and how long its prompts must be.
//
// A few small requests, one at a time, which also wake the server up. They enter no figure.
#pragma once

#include <functional>
#include <optional>

#include "base/clock.h"
#include "base/result.h"
#include "bench/drive/driver.h"
#include "io/task.h"

namespace penstock::bench {

struct FitLimits {
  int probes_max = 32;                              // Requests with a whole prompt each.
  int counts_max = 400;                             // Of the tokenizer, which costs no prefill.
  Duration time_max = std::chrono::seconds(15);     // Then the load's own usage goes on fitting.
  std::uint64_t first_id = std::uint64_t{1} << 38;  // Apart from the ids of the load.
};

struct FitReport {
  int probes = 0;
  bool by_tokenizer = false;
  // The worst distance of a prompt tried from its wanted tokens; none where the server counts none.
  std::optional<int> error_tokens_max;
};

// Told how many of how many bodies are settled, after each step.
using OnFitStep = std::function<void(int settled, int bodies)>;

// Sets the driver's enforcement to what its server takes, and teaches its pool. Errors: the first
// probe's failure, with the server's own words: kUnavailable (no connection), kUnauthenticated,
// kForbidden, kNotFound, kRateLimited, kDeadline, kCancelled, kUpstream.
io::Task<Result<FitReport>> Fit(Driver& driver, FitLimits limits, OnFitStep on_step);

}  // namespace penstock::bench
