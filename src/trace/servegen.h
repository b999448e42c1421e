// ServeGen: a workload as its clients: each with its own rate, burstiness and lengths.
//
// Unlike a trace it holds no requests: arrivals are drawn from it by a seed, equal ones for equal
// seeds on every machine. A client's gaps within a window are Gamma or Weibull with the shape and
// scale (seconds) of its fit; its lengths come from the distribution of the six hours around.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/result.h"
#include "trace/trace.h"

namespace penstock::trace {

// Whole numbers and how likely each is.
class LengthDistribution {
 public:
  // "{45: 0.0096, 46: 0.0117}", as ServeGen writes them; the weights need not add up to 1. "{}" is
  // empty: nobody knows. Errors: kCorrupt saying what is wrong, without a place.
  static Result<LengthDistribution> Parse(std::string_view text);

  bool empty() const { return cumulative_.empty(); }
  int Draw(Random& random) const;  // REQUIRES: not empty.
  double mean() const { return mean_; }

 private:
  std::vector<std::pair<double, int>> cumulative_;  // (sum of the weights up to it, value).
  double mean_ = 0;
};

struct ClientWindow {
  std::int64_t start_s = 0;
  double rate_per_s = 0;  // 0: the client is silent.
  bool weibull = false;   // Else Gamma.
  double shape = 1;
  double scale_s = 1;
};

struct ClientLengths {
  std::int64_t start_s = 0;
  LengthDistribution input{};
  LengthDistribution output{};
};

struct Client {
  int number = 0;
  std::vector<ClientWindow> windows{};   // In order of time, evenly apart.
  std::vector<ClientLengths> lengths{};  // In order of time. Empty: it never sent anything.
};

// Rows of window start (s), rate (requests/s), CV, distribution, shape, scale; no header. Errors:
// kCorrupt naming row and column.
Result<std::vector<ClientWindow>> ParseClientWindows(std::string_view text);

// {"0": {"input_tokens": "{…}", "output_tokens": "{…}"}, "21600": …}. Parts in which the client was
// silent have empty distributions, and are left out. Errors: kCorrupt naming the part.
Result<std::vector<ClientLengths>> ParseClientLengths(std::string_view text);

struct DrawOptions {
  std::uint64_t seed = 1;
  std::int64_t from_s = 0;  // Of the day that the windows describe.
  std::int64_t span_s = 3600;
  double rate_factor = 1;  // Times as many requests, their shape over time kept.
};

// Errors: kTooLarge beyond kArrivalsMax, kCorrupt where nobody sends anything in that span.
Result<Trace> DrawArrivals(const std::vector<Client>& clients, const DrawOptions& options);

}  // namespace penstock::trace
