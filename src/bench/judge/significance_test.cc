#include "bench/judge/significance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace penstock::bench {
namespace {

// Equal on every machine, unlike std::normal_distribution: sums of twelve uniforms.
std::vector<double> Bell(std::uint64_t seed, int count, double mean, double spread) {
  std::mt19937_64 random(seed);
  std::vector<double> values;
  for (int i = 0; i < count; ++i) {
    double sum = -6;
    for (int k = 0; k < 12; ++k) sum += static_cast<double>(random() >> 11) * 0x1p-53;
    values.push_back(mean + spread * sum);
  }
  return values;
}

TEST(Significance, MannWhitneyAgreesWithAKnownExample) {
  // Worked by hand: U = 3 of 36; z = (18 − 3 − 0.5) / √39 = 2.3219; p = 0.0202.
  const std::vector<double> a = {1, 2, 3, 4, 5, 9};
  const std::vector<double> b = {6, 7, 8, 10, 11, 12};
  EXPECT_NEAR(MannWhitneyP(a, b), 0.0202, 2e-4);
  EXPECT_NEAR(MannWhitneyP(b, a), MannWhitneyP(a, b), 1e-12);
}

TEST(Significance, FewOrEqualSamplesProveNothing) {
  const std::vector<double> three = {1, 2, 3};
  const std::vector<double> many = {7, 8, 9, 10, 11};
  const std::vector<double> same(5, 2.0);
  EXPECT_EQ(MannWhitneyP(three, many), 1);
  EXPECT_EQ(MannWhitneyP(same, same), 1);
}

// Sets from one distribution are called different about as often as the level says, and sets a
// third of a spread apart nearly always.
TEST(Significance, AlarmsAreAsRareAsTheyShouldBe) {
  int false_alarms = 0;
  int found = 0;
  int covered = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    const auto a = Bell(2 * seed, 150, 100, 10);
    const auto b = Bell(2 * seed + 1, 150, 100, 10);
    auto c = b;
    for (double& value : c) value += 5;
    if (MannWhitneyP(a, b) < 0.05) ++false_alarms;
    if (MannWhitneyP(a, c) < 0.05) ++found;
    if (seed < 100 && QuantileRatioInterval(a, b, 0.5, 400).Contains(1)) ++covered;
  }
  EXPECT_GE(false_alarms, 8);
  EXPECT_LE(false_alarms, 34);
  EXPECT_GE(found, 390);
  EXPECT_GE(covered, 88);
}

TEST(Significance, IntervalsOfFewFigures) {
  const std::vector<double> values = {10, 12, 14};
  const Interval interval = MeanInterval(values);
  EXPECT_NEAR(interval.low, 12 - 4.303 * 2 / std::sqrt(3.0), 1e-9);
  EXPECT_NEAR(interval.high, 12 + 4.303 * 2 / std::sqrt(3.0), 1e-9);
  const std::vector<double> one = {5};
  EXPECT_EQ(MeanInterval(one), (Interval{5, 5}));
  EXPECT_EQ(MeanInterval({}), (Interval{0, 0}));
}

TEST(Significance, AQuantilesIntervalHoldsTheTruth) {
  int covered = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    auto values = Bell(seed, 100, 0, 1);
    std::ranges::sort(values);
    const Interval interval = QuantileInterval(values, 0.5);
    EXPECT_LT(interval.low, interval.high);
    if (interval.Contains(0)) ++covered;
  }
  EXPECT_GE(covered, 372);  // 95 % would be 380.
  const std::vector<double> one = {5};
  EXPECT_EQ(QuantileInterval(one, 0.95), (Interval{5, 5}));
}

TEST(Significance, ManyTestsNeedStrongerEvidence) {
  const std::vector<double> adjusted = HolmAdjusted({0.04, 0.01, 0.5});
  EXPECT_NEAR(adjusted[1], 0.03, 1e-12);
  EXPECT_NEAR(adjusted[0], 0.08, 1e-12);
  EXPECT_NEAR(adjusted[2], 0.5, 1e-12);
  EXPECT_TRUE(HolmAdjusted({}).empty());
}

}  // namespace
}  // namespace penstock::bench
