#include "plan/usage_series.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>

namespace penstock::plan {
namespace {

constexpr policy::CostWeights kWeights{.output = 4};

TEST(UsageSeries, CountsSilentMinutesAndNamesTheGreatestOne) {
  UsageSeries series;
  series.Add(60, {.input = 100, .cached = 40, .output = 10});
  series.Add(119, {.input = 50, .output = 20});
  series.Add(60 * 10 + 5, {.input = 10, .output = 1});  // Eight silent minutes between.
  series.Add(61, {});
  const UsageSummary summary = series.Summarize().value();
  EXPECT_EQ(summary.first_minute, 1);
  EXPECT_EQ(summary.minutes, 10);
  EXPECT_EQ(summary.empty_minutes, 8);
  EXPECT_EQ(summary.requests, 4);
  EXPECT_EQ(summary.tokenless_requests, 1);
  EXPECT_EQ(summary.tokens.input, 160);
  EXPECT_DOUBLE_EQ(summary.cache_rate(), 0.25);
  EXPECT_DOUBLE_EQ(summary.input.mean, 16);
  EXPECT_EQ(summary.input.p50, 0);
  EXPECT_EQ(summary.input.p99, 150);
  EXPECT_EQ(summary.input.max, 150);
  EXPECT_EQ(summary.input.min, summary.empty_minutes > 0 ? 0 : 100);
  EXPECT_EQ(summary.input.max_minute, 1);
  EXPECT_EQ(summary.uncached.max, 110);
  EXPECT_EQ(summary.total.max, 180);
}

TEST(UsageSeries, MinutesBefore1970AreNotMixed) {
  UsageSeries series;
  series.Add(-1, {.input = 1});
  series.Add(0, {.input = 2});
  EXPECT_EQ(series.Summarize()->minutes, 2);
}

// Memory goes by the quarters of an hour that had requests: not by requests, nor by minutes.
TEST(UsageSeries, KeepsQuartersOfAnHour) {
  UsageSeries series;
  for (int i = 0; i < 1000; ++i) series.Add(900 + i % 900, {.input = 1});
  EXPECT_EQ(series.quarters(), 1u);
  EXPECT_TRUE(series.Keeps(900));
  EXPECT_TRUE(series.Keeps(1799));
  EXPECT_FALSE(series.Keeps(899));
  EXPECT_FALSE(series.Keeps(1800));
  series.Add(1800, {.input = 1});
  EXPECT_EQ(series.quarters(), 2u);
  EXPECT_EQ(series.Summarize()->minutes, 16);
  EXPECT_EQ(series.Summarize()->requests, 1001);
}

TEST(UsageSeries, AnImpossibleSpanIsRefused) {
  UsageSeries series;
  series.Add(0, {.input = 1});
  series.Add(kMinutesMax * 60, {.input = 1});
  const auto summary = series.Summarize();
  ASSERT_FALSE(summary);
  EXPECT_NE(summary.error().message.find("unit"), std::string::npos);
}

// Whatever the order of the requests: the same as sorting every minute by itself.
TEST(UsageSeries, AgreesWithTheObviousWay) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    UsageSeries series;
    std::map<std::int64_t, policy::TokenCounts> minutes;
    for (int i = 0; i < 300; ++i) {
      const auto at = static_cast<std::int64_t>(random() % 12'000);
      const auto input = static_cast<std::int64_t>(random() % 500);
      const policy::TokenCounts tokens{
          .input = input, .cached = input / 2, .output = static_cast<std::int64_t>(random() % 100)};
      series.Add(at, tokens);
      policy::TokenCounts& minute = minutes[at / 60];
      minute.input += tokens.input;
      minute.cached += tokens.cached;
      minute.output += tokens.output;
    }
    std::vector<double> costs;
    for (std::int64_t m = minutes.begin()->first; m <= minutes.rbegin()->first; ++m) {
      costs.push_back(minutes.contains(m) ? policy::Cost(minutes[m], kWeights) : 0);
    }
    std::ranges::sort(costs);
    for (const double quantile : {0.01, 0.5, 0.9, 0.99, 1.0}) {
      const auto rank = static_cast<std::size_t>(
          std::max(1.0, std::ceil(quantile * static_cast<double>(costs.size()))));
      const TokensPerMinute at = series.MinuteAt(quantile, kWeights);
      EXPECT_DOUBLE_EQ(at.input - at.cached + kWeights.output * at.output, costs[rank - 1]);
    }
  }
}

}  // namespace
}  // namespace penstock::plan
