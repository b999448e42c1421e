#include "bench/schedule/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace penstock::bench {
namespace {

// Runs a plan against a server whose throughput is `rate(concurrency)`.
template <typename Rate>
std::vector<int> Sweep(ConcurrencyPlan& plan, Rate rate) {
  std::vector<int> levels;
  while (const auto next = plan.Next()) {
    levels.push_back(*next);
    plan.Observe({.concurrency = *next,
                  .output_tokens_per_s = rate(*next),
                  .latency_p90_ms = 1000.0 * *next,
                  .error_share = 0});
  }
  return levels;
}

TEST(Plan, DoublesUntilTwoDoublingsInARowDoNotPay) {
  ConcurrencyPlan plan({});
  const auto levels = Sweep(plan, [](int c) { return 100.0 * std::min(c, 8); });
  EXPECT_EQ(levels, (std::vector<int>{1, 2, 4, 8, 16, 32}));
  EXPECT_EQ(plan.reason(), StopReason::kNoGain);
}

TEST(Plan, OnePoorDoublingIsForgiven) {
  ConcurrencyPlan plan({});
  // 4 → 8 gives nothing, 8 → 16 does, then the end.
  const auto levels = Sweep(plan, [](int c) { return c <= 4 ? 100.0 * c : c == 8 ? 400 : 700; });
  EXPECT_EQ(levels, (std::vector<int>{1, 2, 4, 8, 16, 32, 64}));
}

TEST(Plan, AGainCountsAgainstTheBestSeenAndMustPassFivePerCent) {
  ConcurrencyPlan plan({});
  // Each doubling wins 4 %: never enough.
  const auto levels = Sweep(plan, [](int c) { return c == 1 ? 100.0 : c == 2 ? 104.0 : 108.0; });
  EXPECT_EQ(levels, (std::vector<int>{1, 2, 4}));
}

TEST(Plan, StopsAtTheLatencyLimitTheErrorLimitAndTheConcurrencyLimit) {
  const auto growing = [](int c) { return 100.0 * c; };
  ConcurrencyPlan late({.levels = {}, .latency_max_ms = 4000});
  EXPECT_EQ(Sweep(late, growing), (std::vector<int>{1, 2, 4, 8}));
  EXPECT_EQ(late.reason(), StopReason::kLatency);

  ConcurrencyPlan wide({.levels = {}, .concurrency_max = 20});
  EXPECT_EQ(Sweep(wide, growing), (std::vector<int>{1, 2, 4, 8, 16}));
  EXPECT_EQ(wide.reason(), StopReason::kConcurrencyMax);

  ConcurrencyPlan failing({});
  failing.Observe({.concurrency = 1, .output_tokens_per_s = 5, .error_share = 0.2});
  EXPECT_EQ(failing.Next(), std::nullopt);
  EXPECT_EQ(failing.reason(), StopReason::kErrors);
}

TEST(Plan, RunsTheLevelsAskedForWhateverTheyShow) {
  ConcurrencyPlan plan({.levels = {8, 1, 64}});
  EXPECT_EQ(Sweep(plan, [](int) { return 0.0; }), (std::vector<int>{8, 1, 64}));
  EXPECT_EQ(plan.reason(), StopReason::kListDone);
}

TEST(Plan, NextIsTheSameUntilSomethingIsObserved) {
  ConcurrencyPlan plan({});
  EXPECT_EQ(plan.Next(), 1);
  EXPECT_EQ(plan.Next(), 1);
}

// Any server: the sweep ends, doubles each time, and never passes its limit.
TEST(Plan, AlwaysEnds) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    Random random(seed);
    ConcurrencyPlan plan({});
    const auto levels = Sweep(plan, [&](int) { return 1000 * random.Uniform(); });
    ASSERT_LE(levels.size(), 9u);
    for (std::size_t i = 0; i < levels.size(); ++i) EXPECT_EQ(levels[i], 1 << i);
    EXPECT_NE(plan.reason(), StopReason::kNotStopped);
  }
}

TEST(Plan, DefaultRequestsGiveEveryWorkerFour) {
  EXPECT_EQ(DefaultRequests(1), 10);
  EXPECT_EQ(DefaultRequests(2), 10);
  EXPECT_EQ(DefaultRequests(16), 64);
}

}  // namespace
}  // namespace penstock::bench
