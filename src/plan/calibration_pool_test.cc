#include "plan/calibration_pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "plan/closed_loop.h"

namespace penstock::plan {
namespace {

using policy::CurvePoint;

CurvePoint Point(int concurrency, double input, double ttft_ms) {
  return {.concurrency = concurrency,
          .input_tokens = input,
          .output_tokens = 32,
          .requests_per_s = 1000 / ttft_ms,
          .ttft_ms = {.p50 = ttft_ms, .p90 = 2 * ttft_ms, .p99 = 3 * ttft_ms},
          .tpot_ms = {.p50 = ttft_ms / 10},
          .latency_ms = {.p50 = 4 * ttft_ms},
          .requests = 5};
}

TEST(CalibrationPool, EqualLoadsBecomeTheirMedian) {
  const std::vector<CurvePoint> pooled = PoolPoints(
      std::vector{Point(1, 256, 40), Point(2, 256, 50), Point(1, 257, 1000), Point(1, 255, 44)});
  ASSERT_EQ(pooled.size(), 2u);
  EXPECT_EQ(pooled[0].concurrency, 1);
  EXPECT_EQ(pooled[0].ttft_ms.p50, 44);  // One slow measurement of three moves nothing.
  EXPECT_EQ(pooled[0].ttft_ms.p90, 88);
  EXPECT_EQ(pooled[0].latency_ms.p50, 176);
  EXPECT_EQ(pooled[0].requests, 15);
  EXPECT_EQ(pooled[1], Point(2, 256, 50));
  EXPECT_EQ(PoolPoints(std::vector{Point(1, 256, 40), Point(1, 512, 40)}).size(), 2u);
  EXPECT_EQ(PoolPoints(std::vector{Point(1, 256, 40), Point(1, 256, 60)})[0].ttft_ms.p50, 50);
}

// Who has slept is fast or slow by chance: all of it counts.
TEST(CalibrationPool, LoadsWithPausesBecomeTheirMean) {
  const auto paused = [](double ttft_ms) {
    CurvePoint point = Point(1, 256, ttft_ms);
    point.requests_per_s = 0.1 * 1000 / point.latency_ms.p50;
    return point;
  };
  const std::vector<CurvePoint> pooled =
      PoolPoints(std::vector{paused(42), paused(43), paused(62), Point(1, 512, 40)});
  ASSERT_EQ(pooled.size(), 2u);
  EXPECT_TRUE(HasPauses(pooled[0]));
  EXPECT_DOUBLE_EQ(pooled[0].ttft_ms.p50, 49);
  EXPECT_EQ(pooled[0].requests, 15);
}

// Those of old have their means in the p50.
TEST(CalibrationPool, MeansArePooledToo) {
  std::vector<CurvePoint> points = {Point(1, 256, 40), Point(1, 256, 40), Point(1, 256, 60)};
  for (CurvePoint& point : points) point.requests_per_s = 0.1;
  points[0].means = policy::MeanTimes{.ttft_ms = 44, .tpot_ms = 4, .latency_ms = 170};
  points[1].means = policy::MeanTimes{.ttft_ms = 52, .tpot_ms = 5, .latency_ms = 200};
  const std::vector<CurvePoint> pooled = PoolPoints(points);
  ASSERT_EQ(pooled.size(), 1u);
  EXPECT_TRUE(HasPauses(pooled[0]));
  ASSERT_TRUE(pooled[0].means.has_value());
  EXPECT_DOUBLE_EQ(pooled[0].means->ttft_ms, 52);
  EXPECT_DOUBLE_EQ(pooled[0].means->tpot_ms, (9 + points[2].tpot_ms.p50) / 3);
}

// Lengths were drawn, so each has means of its own; and no linear fit may see them.
TEST(CalibrationPool, LoadsOfDifferingLengthsBecomeTheirMean) {
  const auto mixed = [](double input, double ttft_ms) {
    CurvePoint point = Point(4, input, ttft_ms);
    point.spread = 0.75;
    point.means = point.typical();
    return point;
  };
  const std::vector<CurvePoint> pooled =
      PoolPoints(std::vector{mixed(220, 40), Point(4, 256, 100), mixed(280, 50)});
  ASSERT_EQ(pooled.size(), 2u);
  EXPECT_DOUBLE_EQ(pooled[0].input_tokens, 250);
  EXPECT_DOUBLE_EQ(pooled[0].means->ttft_ms, 45);
  EXPECT_EQ(pooled[0].spread, 0.75);
  EXPECT_TRUE(IsForStepsAlone(pooled[0]));
  EXPECT_FALSE(IsForStepsAlone(pooled[1]));
}

policy::Calibration Measured(double pace) {
  const StepModel truth{.decode = {{.sequences = 1, .seconds = 0.01 * pace},
                                   {.sequences = 4, .seconds = 0.015 * pace}},
                        .prefill_pass_s = 0.005 * pace,
                        .per_prefill_token_s = 2e-4 * pace};
  policy::CalibrationPoints points;
  const auto measure = [&](int concurrency, double input, double output) {
    const LoopTimes times = PlayLoop(truth, concurrency, {input, output});
    return CurvePoint{.concurrency = concurrency,
                      .input_tokens = input,
                      .output_tokens = output,
                      .requests_per_s = concurrency / times.latency_s,
                      .ttft_ms = {.p50 = times.ttft_s * 1e3},
                      .tpot_ms = {.p50 = times.tpot_s * 1e3},
                      .latency_ms = {.p50 = times.latency_s * 1e3},
                      .requests = 8};
  };
  for (const int concurrency : {1, 2, 4}) points.curve.push_back(measure(concurrency, 256, 32));
  points.probes = {measure(1, 512, 1), measure(1, 64, 64)};
  policy::Calibration calibration = *policy::FitCalibration(points, {});
  calibration.model_hash = "m";
  return calibration;
}

TEST(CalibrationPool, ASlowCalibrationOfThreeMovesNothing) {
  const policy::Calibration usual = Measured(1);
  const std::vector<policy::Calibration> all = {usual, Measured(1.6), usual};
  const policy::Calibration pooled = PoolCalibrations(all).value();
  EXPECT_DOUBLE_EQ(pooled.cost_per_s, usual.cost_per_s);
  EXPECT_EQ(pooled.step, usual.step);
  EXPECT_EQ(pooled.concurrency, usual.concurrency);
  EXPECT_EQ(pooled.model_hash, "m");
  EXPECT_THAT(pooled.how, testing::HasSubstr("3 calibrations"));
  EXPECT_EQ(PoolCalibrations(std::span(&usual, 1)).value(), usual);
  // Nor does a load that tells of steps alone.
  std::vector<policy::Calibration> told = all;
  for (policy::Calibration& each : told) {
    each.probes.push_back(Point(4, 256, 9000));
    each.probes.back().spread = 0.75;
  }
  const policy::Calibration with = PoolCalibrations(told).value();
  EXPECT_EQ(with.step, usual.step);
  EXPECT_EQ(with.probes.back().spread, 0.75);
}

TEST(CalibrationPool, OnlyOfOneModelAndMachine) {
  EXPECT_FALSE(PoolCalibrations({}));
  policy::Calibration other = Measured(1);
  other.hardware_hash = "h";
  const std::vector<policy::Calibration> all = {Measured(1), other};
  const auto pooled = PoolCalibrations(all);
  ASSERT_FALSE(pooled);
  EXPECT_EQ(pooled.error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::plan
