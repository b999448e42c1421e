// Statistics: exact quantiles of samples held in memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace penstock::bench {

// Every quantile is a sample that was really seen (nearest rank: the smallest sample that at least
// the share q of all samples do not exceed), never an interpolation between two.
struct Distribution {
  std::int64_t count = 0;
  double mean = 0, minimum = 0, p50 = 0, p90 = 0, p95 = 0, p99 = 0, maximum = 0;
  bool operator==(const Distribution&) const = default;
};

// All zero for no samples.
Distribution Describe(std::vector<double> samples);

// Nearest-rank quantile of samples in ascending order. REQUIRES: not empty, 0 < q <= 1.
double Quantile(std::span<const double> sorted, double q);

// The least number of samples at which a tail quantile is anything but the worst sample: 1 / (1 -
// q).
std::int64_t SamplesNeeded(double q);

}  // namespace penstock::bench
