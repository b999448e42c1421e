#include "bench/drive/progress.h"

#include <gtest/gtest.h>

namespace penstock::bench {
namespace {

TEST(Progress, SaysWhereTheRunStands) {
  const ProgressState state{.stage = "concurrency 8",
                            .level = 4,
                            .levels = 6,
                            .done = 12,
                            .total = 40,
                            .failed = 1,
                            .elapsed_s = 6,
                            .tokens_per_s = 812.4,
                            .ttft_p50_ms = 184};
  EXPECT_EQ(ProgressLine(state, 0),
            "concurrency 8 (4 of 6)  ██████░░░░░░░░░░░░░░ 12/40  812 tokens/s  TTFT p50 184 ms  "
            "1 failed  14.0 s left");
}

TEST(Progress, LeavesOutWhatIsNotKnownYetOrOver) {
  EXPECT_EQ(ProgressLine({.stage = "fitting prompts", .total = 24}, 0),
            "fitting prompts  ░░░░░░░░░░░░░░░░░░░░ 0/24");
  EXPECT_EQ(ProgressLine({.stage = "fitting prompts", .done = 8, .total = 8, .elapsed_s = 1}, 0),
            "fitting prompts  ████████████████████ 8/8");
}

// A stage that ends by the clock has no number of requests: the bar is the time's.
TEST(Progress, AStageOfGivenTimeCountsTime) {
  const ProgressState state{.stage = "concurrency 8", .done = 30, .limit_s = 20, .elapsed_s = 5};
  EXPECT_EQ(ProgressLine(state, 0), "concurrency 8  █████░░░░░░░░░░░░░░░ 30 done  15.0 s left");
  EXPECT_DOUBLE_EQ(SecondsLeft(state), 15);
  EXPECT_LT(SecondsLeft({.stage = "", .done = 3, .elapsed_s = 5}), 0);
}

TEST(Progress, FitsTheTerminalByCharacters) {
  const ProgressState state{.stage = "concurrency 8", .done = 20, .total = 40, .elapsed_s = 1};
  EXPECT_EQ(ProgressLine(state, 20), "concurrency 8  █████");
  EXPECT_EQ(ProgressLine(state, 3), "con");
}

TEST(Progress, TimeLeftFollowsThePaceSoFar) {
  EXPECT_DOUBLE_EQ(SecondsLeft({.stage = "", .done = 10, .total = 40, .elapsed_s = 5}), 15);
  EXPECT_DOUBLE_EQ(SecondsLeft({.stage = "", .done = 50, .total = 40, .elapsed_s = 5}), 0);
  EXPECT_LT(SecondsLeft({.stage = "", .done = 0, .total = 40, .elapsed_s = 5}), 0);
}

}  // namespace
}  // namespace penstock::bench
