#include "bench/curve.h"

#include <gtest/gtest.h>

#include "bench/drive/loopback_model.h"
#include "bench/record/test_records.h"

namespace penstock::bench {
namespace {

using testing::LoopbackModel;

TEST(Curve, IsTheSummarysFigures) {
  const RunSummary summary = Summarise(testing::MakeSweep({1, 4, 16}));
  const Curve curve = CurveOf(summary);
  ASSERT_EQ(curve.points.size(), 3u);
  EXPECT_EQ(curve.points[1].concurrency, 4);
  EXPECT_EQ(curve.points[1].samples, 20);
  EXPECT_EQ(curve.points[1].ttft_ms, summary.levels[1].ttft_ms);
  EXPECT_EQ(curve.points[1].output_tokens_per_s,
            summary.levels[1].best_rates().output_tokens_per_s);
  EXPECT_EQ(curve.points[1].output_tokens_mean, 256);
  EXPECT_EQ(curve.balanced, summary.balanced);
}

TEST(Curve, MeasuresAndTellsItsProgress) {
  LoopbackModel server;
  const std::string url = server.Start();
  const std::atomic<bool> stop = false;
  int told = 0;
  const auto curve = MeasureCurve(
      {.url = url, .model = "m"}, {.input_tokens = 256, .output_tokens = 8},
      {.concurrency = {1, 2}, .requests = 4}, stop, [&told](const ProgressState& state) {
        ++told;
        EXPECT_FALSE(state.stage.empty());
      });
  ASSERT_TRUE(curve) << curve.error().message;
  ASSERT_EQ(curve->points.size(), 2u);
  EXPECT_EQ(curve->points[1].samples, 4);
  EXPECT_GT(curve->points[1].output_tokens_per_s, 0);
  EXPECT_FALSE(curve->interrupted);
  EXPECT_GT(told, 0);
}

TEST(Curve, StoppedBeforeItsFirstLevelItIsCancelled) {
  LoopbackModel server;
  const std::string url = server.Start();
  const std::atomic<bool> stop = true;
  const auto curve =
      MeasureCurve({.url = url, .model = "m"}, {.input_tokens = 256, .output_tokens = 8}, {}, stop);
  if (curve) {
    EXPECT_TRUE(curve->interrupted);
  } else {
    EXPECT_EQ(curve.error().code, Code::kCancelled) << curve.error().message;
  }
}

}  // namespace
}  // namespace penstock::bench
