#include "bench/judge/significance.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <random>

#include "base/check.h"
#include "bench/judge/early_stop.h"
#include "bench/record/statistics.h"

namespace penstock::bench {
namespace {

constexpr std::size_t kSamplesMin = 4;
constexpr std::uint64_t kSeed = 20'240'607;

// Two-sided 97.5 % quantile of Student's t, by degrees of freedom 1 to 30; 1.96 beyond.
constexpr std::array<double, 30> kStudent = {
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228,
    2.201,  2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086,
    2.080,  2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042};

// A value of a resampled set's quantile: the set is never built, only its order statistic's place.
double ResampledQuantile(std::span<const double> sorted, double q, std::mt19937_64& random,
                         std::vector<std::size_t>& picks) {
  picks.resize(sorted.size());
  for (std::size_t& pick : picks) pick = random() % sorted.size();
  const auto rank = static_cast<std::size_t>(
      std::max(std::ceil(q * static_cast<double>(sorted.size()) - 1e-9), 1.0));
  const auto place = picks.begin() + static_cast<std::ptrdiff_t>(rank - 1);
  std::ranges::nth_element(picks, place);
  return sorted[*place];
}

std::vector<double> Sorted(std::span<const double> values) {
  std::vector<double> sorted(values.begin(), values.end());
  std::ranges::sort(sorted);
  return sorted;
}

}  // namespace

double MannWhitneyP(std::span<const double> a, std::span<const double> b) {
  if (a.size() < kSamplesMin || b.size() < kSamplesMin) return 1;
  std::vector<std::pair<double, bool>> all;  // Value, and whether it is one of a's.
  for (const double value : a) all.emplace_back(value, true);
  for (const double value : b) all.emplace_back(value, false);
  std::ranges::sort(all);
  const auto n = static_cast<double>(all.size());
  const auto n_a = static_cast<double>(a.size());
  const auto n_b = static_cast<double>(b.size());
  double rank_sum = 0;  // Of a.
  double ties = 0;
  for (std::size_t from = 0; from < all.size();) {
    std::size_t to = from;
    while (to < all.size() && all[to].first == all[from].first) ++to;
    const auto count = static_cast<double>(to - from);
    const double rank = static_cast<double>(from + to + 1) / 2;  // Mean of from+1 … to.
    for (std::size_t i = from; i < to; ++i) rank_sum += all[i].second ? rank : 0;
    ties += count * count * count - count;
    from = to;
  }
  const double u = rank_sum - n_a * (n_a + 1) / 2;
  const double variance = n_a * n_b / 12 * (n + 1 - ties / (n * (n - 1)));
  if (variance <= 0) return 1;  // All values are equal.
  const double distance = std::max(std::abs(u - n_a * n_b / 2) - 0.5, 0.0);
  return std::erfc(distance / std::sqrt(variance) / std::sqrt(2.0));
}

Interval QuantileRatioInterval(std::span<const double> a, std::span<const double> b, double q,
                               int resamples) {
  CHECK(!a.empty() && !b.empty(), "a ratio needs samples on both sides");
  const std::vector<double> sorted_a = Sorted(a);
  const std::vector<double> sorted_b = Sorted(b);
  if (Quantile(sorted_a, q) == 0) return {};
  std::mt19937_64 random(kSeed);
  std::vector<std::size_t> picks;
  std::vector<double> ratios;
  for (int i = 0; i < resamples; ++i) {
    const double below = ResampledQuantile(sorted_a, q, random, picks);
    const double above = ResampledQuantile(sorted_b, q, random, picks);
    if (below > 0) ratios.push_back(above / below);
  }
  if (ratios.empty()) return {};
  std::ranges::sort(ratios);
  return {.low = Quantile(ratios, 0.025), .high = Quantile(ratios, 0.975)};
}

Interval MeanInterval(std::span<const double> values) {
  if (values.empty()) return {};
  const auto n = static_cast<double>(values.size());
  const double mean = std::accumulate(values.begin(), values.end(), 0.0) / n;
  if (values.size() < 2) return {.low = mean, .high = mean};
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  const std::size_t freedom = values.size() - 1;
  const double t = freedom <= kStudent.size() ? kStudent[freedom - 1] : 1.96;
  const double half = t * std::sqrt(squares / (n - 1) / n);
  return {.low = mean - half, .high = mean + half};
}

Interval QuantileInterval(std::span<const double> sorted, double q) {
  CHECK(!sorted.empty(), "a quantile needs samples");
  const auto n = std::ssize(sorted);
  if (q >= 1 || n < 2) return {.low = sorted.back(), .high = sorted.back()};
  // The number of samples below the true quantile is binomial.
  const double mean = q * static_cast<double>(n);
  const double spread = std::sqrt(mean * (1 - q));
  auto low = static_cast<std::int64_t>(std::floor(mean - 4 * spread)) - 1;
  low = std::max<std::int64_t>(low, 0);
  while (low < n && BinomialAtMost(n, low, q) < 0.025) ++low;
  std::int64_t high = low;
  while (high < n && BinomialAtMost(n, high, q) < 0.975) ++high;
  const auto at = [&](std::int64_t rank) {
    return sorted[static_cast<std::size_t>(std::clamp<std::int64_t>(rank, 0, n - 1))];
  };
  return {.low = at(low - 1), .high = at(high)};
}

std::vector<double> HolmAdjusted(const std::vector<double>& p_values) {
  std::vector<std::size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::sort(order, {}, [&p_values](std::size_t i) { return p_values[i]; });
  std::vector<double> adjusted(p_values.size());
  double least = 0;
  for (std::size_t rank = 0; rank < order.size(); ++rank) {
    const auto left = static_cast<double>(order.size() - rank);
    least = std::max(least, std::min(p_values[order[rank]] * left, 1.0));
    adjusted[order[rank]] = least;
  }
  return adjusted;
}

}  // namespace penstock::bench
