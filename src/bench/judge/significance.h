// Significance: whether two sets of samples differ, and by how much. Pure.
//
// Mann-Whitney's U test asks whether values of one set tend to be larger than those of the other,
// whatever their distribution; a bootstrap gives the interval in which the ratio of two quantiles
// or means lies. Both are exact functions of their samples: resampling starts from a fixed seed.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace penstock::bench {

// Two-sided p-value: the chance of so uneven a ranking if both came from one distribution. Normal
// approximation with ties and continuity corrected; 1 where either set has fewer than 4 samples.
double MannWhitneyP(std::span<const double> a, std::span<const double> b);

struct Interval {
  double low = 0;
  double high = 0;
  bool Contains(double value) const { return low <= value && value <= high; }
  bool operator==(const Interval&) const = default;
};

// 95 % interval of quantile(b) ÷ quantile(a), by `resamples` pairs of resampled sets. REQUIRES:
// both not empty, 0 < q <= 1. Zero where a's quantile is 0.
Interval QuantileRatioInterval(std::span<const double> a, std::span<const double> b, double q,
                               int resamples = 1000);

// 95 % interval of the mean of few independent figures (repeats, windows), by Student's t. Both
// ends are the mean where there are fewer than two.
Interval MeanInterval(std::span<const double> values);

// 95 % interval of a quantile, from the order of the samples alone: no distribution is assumed.
// Both ends are samples. REQUIRES: not empty, ascending.
Interval QuantileInterval(std::span<const double> sorted, double q);

// Adjusts p-values of tests made together (Holm): still below 0.05 means that the chance of even
// one wrong alarm among them is.
std::vector<double> HolmAdjusted(const std::vector<double>& p_values);

}  // namespace penstock::bench
