#include "bench/drive/load_shape.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "base/test_folder.h"
#include "bench/drive/lag_meter.h"
#include "bench/drive/spending.h"
#include "bench/schedule/tickets.h"

namespace penstock::bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

TEST(LoadShape, EachRateIsALevel) {
  ShapeOptions options;
  options.rates = {5, 10};
  options.arrivals = "constant";
  options.duration = std::chrono::seconds(4);
  const auto shape = MakeOpenShape(options, 0, 1);
  ASSERT_TRUE(shape) << shape.error().message;
  EXPECT_EQ(shape->mode, "constant");
  ASSERT_EQ(shape->levels.size(), 2u);
  EXPECT_EQ(shape->levels[0].schedule.dues.size(), 20u);
  EXPECT_EQ(shape->levels[1].schedule.dues.size(), 40u);
  EXPECT_EQ(shape->levels[1].rate_per_s, 10);
  EXPECT_EQ(shape->levels[1].schedule.span_ns, 4 * kSecond);
}

TEST(LoadShape, RequestsEndALevelWithoutADuration) {
  ShapeOptions options;
  options.rates = {3};
  options.arrivals = "gamma";
  options.burstiness = 0.2;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto shape = MakeOpenShape(options, 200, seed);
    ASSERT_TRUE(shape) << shape.error().message;
    EXPECT_EQ(shape->levels[0].schedule.dues.size(), 200u) << "seed=" << seed;
  }
}

TEST(LoadShape, RampsAndStepsAreOneLevel) {
  ShapeOptions ramp;
  ramp.ramp = "0:20";
  ramp.duration = std::chrono::seconds(10);
  const auto rising = MakeOpenShape(ramp, 0, 1);
  ASSERT_TRUE(rising) << rising.error().message;
  EXPECT_EQ(rising->mode, "ramp");
  ASSERT_EQ(rising->levels.size(), 1u);
  EXPECT_NEAR(rising->levels[0].rate_per_s, 10, 4);
  ShapeOptions steps;
  steps.steps = {1, 9};
  steps.arrivals = "constant";
  const auto stepped = MakeOpenShape(steps, 0, 1);
  ASSERT_TRUE(stepped) << stepped.error().message;
  // A minute without a duration, 1 and 9 a second for half of it each.
  EXPECT_EQ(stepped->levels[0].schedule.dues.size(), 300u);
}

TEST(LoadShape, CutsAndSpeedsUpATrace) {
  const TestFolder folder;
  std::string rows = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  for (int i = 0; i < 20; ++i) rows += fmt::format("{},{},5\n", 100 + i, 1000 + i);
  ShapeOptions options;
  options.trace_path = folder.Write("t.csv", rows);
  options.speed = 2;
  options.trace_from_s = 5;
  options.trace_span_s = 10;
  const auto shape = MakeOpenShape(options, 4, 1);
  ASSERT_TRUE(shape) << shape.error().message;
  EXPECT_EQ(shape->mode, "replay");
  EXPECT_EQ(shape->trace, "t.csv");
  const Schedule& schedule = shape->levels[0].schedule;
  ASSERT_EQ(schedule.dues.size(), 4u);
  EXPECT_EQ(schedule.dues[0], (Due{.at_ns = 0, .input_tokens = 1005, .output_tokens = 5}));
  EXPECT_EQ(schedule.dues[3].at_ns, 3 * kSecond / 2);
}

TEST(LoadShape, NamesWhatIsWrong) {
  const auto field = [](auto spoil) {
    ShapeOptions options;
    spoil(options);
    const auto shape = MakeOpenShape(options, 0, 1);
    return shape ? std::string("none") : shape.error().field;
  };
  EXPECT_EQ(field([](ShapeOptions&) {}), "rate");
  EXPECT_EQ(field([](ShapeOptions& o) {
              o.rates = {1};
              o.ramp = "1:2";
            }),
            "rate");
  EXPECT_EQ(field([](ShapeOptions& o) {
              o.rates = {1};
              o.arrivals = "uniform";
            }),
            "arrivals");
  EXPECT_EQ(field([](ShapeOptions& o) { o.ramp = "12"; }), "ramp");
  EXPECT_EQ(field([](ShapeOptions& o) {
              o.trace_path = "x";
              o.speed = 0;
            }),
            "trace-speed");
  EXPECT_EQ(field([](ShapeOptions& o) {
              o.trace_path = "x";
              o.trace_columns = "y";
            }),
            "trace-columns");
  EXPECT_EQ(field([](ShapeOptions& o) { o.trace_path = "/no/such/file"; }), "trace");
}

TEST(Tickets, ByTimeBelongToThePartInWhichTheyWereTaken) {
  Tickets tickets(5, LevelTimes{.warmup_ns = 10, .cooldown_ns = 90, .end_ns = 100}, 2);
  EXPECT_EQ(tickets.Take(0)->phase, Phase::kWarmup);
  const auto measured = tickets.Take(10);
  EXPECT_EQ(measured->phase, Phase::kMeasured);
  EXPECT_EQ(measured->id, 7u);
  EXPECT_EQ(tickets.Take(95)->phase, Phase::kCooldown);
  EXPECT_FALSE(tickets.Take(100));
  tickets.Close();
  EXPECT_FALSE(tickets.Take(50));
}

TEST(Tickets, ByNumberEnd) {
  Tickets tickets(0, 1, 2);
  EXPECT_EQ(tickets.Take(0)->phase, Phase::kWarmup);
  EXPECT_EQ(tickets.Take(0)->phase, Phase::kMeasured);
  EXPECT_TRUE(tickets.Take(0));
  EXPECT_FALSE(tickets.Take(0));
}

TEST(Spending, StopsAtItsCapAndGivesBackWhatWasNotUsed) {
  Spending spending(100);
  EXPECT_TRUE(spending.Begin(60));
  EXPECT_FALSE(spending.Begin(41));
  EXPECT_TRUE(spending.exhausted());
  EXPECT_TRUE(spending.Begin(40));
  EXPECT_EQ(spending.TakeInFlightMax(), 2);
  spending.End(60, 10);
  EXPECT_EQ(spending.tokens(), 50);
  spending.End(40, 40);
  EXPECT_EQ(spending.TakeInFlightMax(), 2);
  EXPECT_EQ(spending.TakeInFlightMax(), 0);
}

TEST(LagMeter, KnowsQuantilesWithinSevenPercentAndMerges) {
  LagMeter one;
  LagMeter other;
  for (int i = 1; i <= 1000; ++i) (i % 2 == 0 ? one : other).Add(i * 1000);
  one.Merge(other);
  EXPECT_EQ(one.count(), 1000);
  EXPECT_EQ(one.max_ns(), 1'000'000);
  EXPECT_NEAR(static_cast<double>(one.Quantile(0.5)), 500'000, 35'000);
  EXPECT_NEAR(static_cast<double>(one.Quantile(0.99)), 990'000, 70'000);
  EXPECT_LE(one.Quantile(0.9999), one.max_ns());
  EXPECT_EQ(LagMeter().Quantile(0.5), 0);
  LagMeter small;
  for (int i = 0; i < 16; ++i) small.Add(i);
  EXPECT_EQ(small.Quantile(0), 0);
  EXPECT_EQ(small.Quantile(0.5), 8);
}

}  // namespace
}  // namespace penstock::bench
