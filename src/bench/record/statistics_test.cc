#include "bench/record/statistics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/random.h"

namespace penstock::bench {
namespace {

TEST(Statistics, QuantileIsTheNearestRank) {
  const std::vector<double> ten = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(Quantile(ten, 0.50), 5);
  EXPECT_EQ(Quantile(ten, 0.90), 9);
  EXPECT_EQ(Quantile(ten, 0.91), 10);
  EXPECT_EQ(Quantile(ten, 1.00), 10);
  EXPECT_EQ(Quantile(ten, 0.001), 1);
  EXPECT_EQ(Quantile(std::vector<double>{7}, 0.99), 7);
}

TEST(Statistics, RanksThatAreWholeAreNotPushedUpByBinaryFractions) {
  std::vector<double> hundred(100);
  std::iota(hundred.begin(), hundred.end(), 1);
  for (int percent = 1; percent <= 100; ++percent) {
    EXPECT_EQ(Quantile(hundred, percent / 100.0), percent);
  }
}

TEST(Statistics, DescribesSamplesInAnyOrder) {
  const Distribution of = Describe({40, 10, 30, 20});
  EXPECT_EQ(of, (Distribution{.count = 4,
                              .mean = 25,
                              .minimum = 10,
                              .p50 = 20,
                              .p90 = 40,
                              .p95 = 40,
                              .p99 = 40,
                              .maximum = 40}));
  EXPECT_EQ(Describe({}), Distribution{});
}

TEST(Statistics, SamplesNeededForATail) {
  EXPECT_EQ(SamplesNeeded(0.90), 10);
  EXPECT_EQ(SamplesNeeded(0.99), 100);
}

// Any samples: a quantile is one of them, and at least its share is not above it.
TEST(Statistics, QuantilesKeepTheirPromise) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    Random random(seed);
    std::vector<double> samples(1 + random.Below(50));
    for (double& sample : samples) sample = static_cast<double>(random.Below(20));
    std::ranges::sort(samples);
    const double q = 0.01 + 0.99 * random.Uniform();
    const double value = Quantile(samples, q);
    const auto at_most = std::ranges::count_if(samples, [&](double s) { return s <= value; });
    const auto below = std::ranges::count_if(samples, [&](double s) { return s < value; });
    const auto size = static_cast<double>(samples.size());
    EXPECT_GE(static_cast<double>(at_most) / size, q - 1e-9);
    EXPECT_LT(static_cast<double>(below) / size, q + 1e-9);
  }
}

}  // namespace
}  // namespace penstock::bench
