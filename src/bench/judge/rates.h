// Rates: what of some requests fell into a span of time, per second. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/judge/repeats.h"

namespace penstock::bench {

// A span of a run. Empty: seconds == 0. A moment is within (from, to].
struct Window {
  std::int64_t from_ns = 0;
  std::int64_t to_ns = 0;
  double seconds() const { return static_cast<double>(to_ns - from_ns) * 1e-9; }
  bool operator==(const Window&) const = default;
};

struct Rates {
  double seconds = 0;  // The span that they were counted over.
  double output_tokens_per_s = 0;
  double total_tokens_per_s = 0;  // Output and input.
  double requests_per_s = 0;
};

// Tokens and requests that fell into a window, per second: of a stream chunk by chunk, of a prompt
// evenly over the time to its first token. Failures count for nothing.
Rates RatesWithin(const Requests& requests, const Window& window);

// The span from the first to the last moment at which `concurrency` requests were under way, but
// not before the first measured one was sent. Of an open loop (`concurrency` 0): from the first
// measured arrival to the last. Empty where there is none.
Window SteadyWindow(const Requests& requests, int concurrency);

// From the first send to the last end. One nanosecond earlier, so that a moment at its very start
// lies within. Empty where nothing was sent.
Window WholeWindow(const Requests& requests);

// Means over all the parts' spans together.
Rates Joined(const std::vector<Rates>& parts);

}  // namespace penstock::bench
