#include "bench/record/statistics.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/check.h"

namespace penstock::bench {

double Quantile(std::span<const double> sorted, double q) {
  CHECK(!sorted.empty(), "a quantile needs samples");
  CHECK(q > 0 && q <= 1, "a quantile lies in (0, 1]");
  // The tolerance keeps q·n of exact ranks from being pushed up by binary fractions (0.95 × 20).
  const double rank = std::ceil(q * static_cast<double>(sorted.size()) - 1e-9);
  const auto index = static_cast<std::size_t>(std::max(rank, 1.0)) - 1;
  return sorted[std::min(index, sorted.size() - 1)];
}

Distribution Describe(std::vector<double> samples) {
  Distribution result;
  if (samples.empty()) return result;
  std::ranges::sort(samples);
  result.count = std::ssize(samples);
  result.mean =
      std::accumulate(samples.begin(), samples.end(), 0.0) / static_cast<double>(samples.size());
  result.minimum = samples.front();
  result.p50 = Quantile(samples, 0.50);
  result.p90 = Quantile(samples, 0.90);
  result.p95 = Quantile(samples, 0.95);
  result.p99 = Quantile(samples, 0.99);
  result.maximum = samples.back();
  return result;
}

std::int64_t SamplesNeeded(double q) {
  return static_cast<std::int64_t>(std::ceil(1 / (1 - q) - 1e-9));
}

}  // namespace penstock::bench
