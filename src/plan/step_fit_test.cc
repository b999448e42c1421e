#include "plan/step_fit.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "plan/closed_loop.h"

namespace penstock::plan {
namespace {

// The calibration that a replica of this model would have, each time off by up to `noise`.
policy::Calibration Measured(const StepModel& truth, double noise, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  const auto off = [&] { return 1 + noise * (static_cast<double>(random() % 2001) / 1000 - 1); };
  policy::CalibrationPoints points;
  const auto measure = [&](int concurrency, double input, double output) {
    const LoopTimes times = PlayLoop(truth, concurrency, {input, output});
    return policy::CurvePoint{.concurrency = concurrency,
                              .input_tokens = input,
                              .output_tokens = output,
                              .requests_per_s = concurrency / times.latency_s,
                              .ttft_ms = {.p50 = times.ttft_s * 1e3 * off()},
                              .tpot_ms = {.p50 = times.tpot_s * 1e3 * off()},
                              .latency_ms = {.p50 = times.latency_s * 1e3 * off()},
                              .requests = 8};
  };
  for (const int concurrency : {1, 2, 4, 8}) {
    points.curve.push_back(measure(concurrency, 256, 32));
  }
  points.probes = {measure(1, 512, 1), measure(1, 64, 64), measure(4, 64, 64), measure(1, 64, 2)};
  policy::Calibration calibration = *policy::FitCalibration(points, {});
  const LoopTimes mixed = PlayLoop(truth, 4, {256, 32}, 0.75);
  policy::CurvePoint& point = calibration.probes.emplace_back(points.curve[2]);
  point.spread = 0.75;
  point.means = {.ttft_ms = mixed.ttft_s * 1e3 * off(),
                 .tpot_ms = mixed.tpot_s * 1e3 * off(),
                 .latency_ms = mixed.latency_s * 1e3 * off()};
  return calibration;
}

StepModel RandomModel(std::mt19937_64& random) {
  const auto between = [&random](double least, double most) {
    const double u = static_cast<double>(random() % 1'000'001) / 1e6;
    return least * std::pow(most / least, u);
  };
  StepModel model{.per_decode_cell_s = between(1e-8, 1e-6),
                  .first_cell_share = between(0.5, 1),
                  .prefill_pass_s = between(1e-3, 2e-2),
                  .per_prefill_token_s = between(5e-5, 1e-3),
                  .per_prefill_cell_s = between(1e-9, 1e-7),
                  .new_batch_s = between(2e-4, 2e-3),
                  .overhead_s = between(2e-4, 4e-3),
                  .step_target_s = 0.2};
  double seconds = between(2e-3, 2e-2);
  for (const double sequences : {1., 2., 4., 8.}) {
    model.decode.push_back({.sequences = sequences, .seconds = seconds});
    seconds *= between(1.05, 1.7);
  }
  return model;
}

// The model that is found gives the times that were measured, and those of a load that was not.
TEST(StepFit, FindsAModelThatGivesTheMeasuredTimes) {
  const StepModel settings{.step_target_s = 0.2};
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    const StepModel truth = RandomModel(random);
    const StepFit fit = FitStepModel(Measured(truth, 0, seed), settings);
    EXPECT_LT(fit.error_mean, 0.03);
    EXPECT_NEAR(fit.model.new_batch_s / truth.new_batch_s, 1, 0.25);
    for (const int concurrency : {3, 6}) {
      const LoopTimes there = PlayLoop(truth, concurrency, {200, 40}, 0.5);
      const LoopTimes found = PlayLoop(fit.model, concurrency, {200, 40}, 0.5);
      EXPECT_NEAR(found.ttft_s / there.ttft_s, 1, 0.08) << concurrency;
      EXPECT_NEAR(found.tpot_s / there.tpot_s, 1, 0.08) << concurrency;
    }
  }
}

// Where cells take most of a step, how much less they take for the first sequence is found.
TEST(StepFit, TheFirstSequencesCellsAreToldFromTheOthers) {
  std::mt19937_64 random(7);
  StepModel truth = RandomModel(random);
  truth.cell_block = 256;
  truth.per_decode_cell_s = 4e-6;
  truth.first_cell_share = 0.65;
  truth.decode = {{1, 0.8e-3}, {2, 1.7e-3}, {4, 2.5e-3}, {8, 4e-3}};
  const StepModel settings{.cell_block = 256, .step_target_s = 0.2};
  const StepFit fit = FitStepModel(Measured(truth, 0, 7), settings);
  EXPECT_NEAR(fit.model.first_cell_share, 0.65, 0.05);
  EXPECT_NEAR(fit.model.per_decode_cell_s * 1e6, 4, 0.4);
}

TEST(StepFit, NoiseIsAveragedAndNotFollowed) {
  std::mt19937_64 random(5);
  const StepModel truth = RandomModel(random);
  const StepFit fit = FitStepModel(Measured(truth, 0.05, 5), {.step_target_s = 0.2});
  EXPECT_LT(fit.error_mean, 0.06);
  const LoopTimes there = PlayLoop(truth, 4, {200, 40}, 0.5);
  const LoopTimes found = PlayLoop(fit.model, 4, {200, 40}, 0.5);
  EXPECT_NEAR(found.tpot_s / there.tpot_s, 1, 0.10);
}

// Requests after pauses take longer than those of a closed loop: so much slower is who has slept.
TEST(StepFit, PausesTellWhatASleepCosts) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    StepModel truth = RandomModel(random);
    truth.cell_block = 256;
    truth.wake_pace = 1.3;
    policy::Calibration calibration = Measured(truth, 0, seed);
    const StepModel settings{.cell_block = 256, .step_target_s = 0.2};
    EXPECT_EQ(FitStepModel(calibration, settings).model.wake_pace, 1);  // Nothing tells it.
    const LoopTimes paused = PlayAlone(truth, {256, 16});
    calibration.probes.push_back(
        {.concurrency = 1,
         .input_tokens = 256,
         .output_tokens = 16,
         .requests_per_s = 0.4 / paused.latency_s,
         .ttft_ms = {.p50 = paused.ttft_s * 1e3, .p90 = paused.ttft_s * 1.2e3},
         .tpot_ms = {.p50 = paused.tpot_s * 1e3},
         .latency_ms = {.p50 = paused.latency_s * 1e3},
         .requests = 6});
    if (seed % 2 == 1) {  // As they are written now; even ones as calibrations of old have them.
      policy::CurvePoint& point = calibration.probes.back();
      point.means = point.typical();
      for (auto* times : {&point.ttft_ms, &point.tpot_ms, &point.latency_ms}) times->p50 *= 0.7;
    }
    const StepFit fit = FitStepModel(calibration, settings);
    EXPECT_NEAR(fit.model.wake_pace, 1.3, 0.06);
    EXPECT_NEAR(fit.model.wake_pace_high / fit.model.wake_pace, 1.2, 1e-9);
    EXPECT_LT(fit.error_mean, 0.03);
  }
}

// An operator's word has no points: the linear fit is what there is.
TEST(StepFit, WithoutPointsTheLinearFitIsTaken) {
  policy::Calibration given{.step = {.fixed_s = 0.01, .per_prefill_token_s = 1e-4}};
  const StepFit fit = FitStepModel(given, {.step_target_s = 0.2, .step_tokens_max = 256});
  EXPECT_EQ(fit.error_mean, 0);
  EXPECT_EQ(fit.model.DecodeSeconds(3), 0.01);
  EXPECT_EQ(fit.model.step_tokens_max, 256);
  EXPECT_EQ(fit.model.step_target_s, 0.2);
}

TEST(StepModel, DecodingIsLinearBetweenPointsAndBeyond) {
  const StepModel model{.decode = {{.sequences = 2, .seconds = 4}, {.sequences = 4, .seconds = 5}}};
  EXPECT_EQ(model.DecodeSeconds(0), 0);
  EXPECT_EQ(model.DecodeSeconds(1), 3.5);
  EXPECT_EQ(model.DecodeSeconds(3), 4.5);
  EXPECT_EQ(model.DecodeSeconds(8), 7);
}

}  // namespace
}  // namespace penstock::plan
