#include "policy/calibration.h"

#include <gtest/gtest.h>

#include <cmath>
#include <tuple>

#include "base/random.h"

namespace penstock::policy {
namespace {

// What an engine with these step times would show a load test.
CurvePoint Measured(const StepTimes& step, const Shape& shape, int concurrency) {
  const Predicted seen = Predict(step, shape, concurrency);
  const double latency_ms = 1e3 * concurrency / seen.requests_per_s;
  const auto spread = [](double value) { return Percentiles{value, value * 1.1, value * 1.2}; };
  return {.concurrency = concurrency,
          .input_tokens = shape.input_tokens,
          .output_tokens = shape.output_tokens,
          .requests_per_s = seen.requests_per_s,
          .ttft_ms = spread(seen.ttft_s * 1e3),
          .tpot_ms = spread(seen.tpot_s * 1e3),
          .latency_ms = spread(latency_ms),
          .requests = 10};
}

StepTimes RandomStep(Random& random) {
  const double prefill = 1e-5 * std::pow(10, 2 * random.Uniform());
  return {.fixed_s = prefill * (5 + 200 * random.Uniform()),
          .per_prefill_token_s = prefill,
          .per_decode_sequence_s = prefill * (0.5 + 4 * random.Uniform()),
          .per_context_token_s = prefill * 1e-3 * random.Uniform()};
}

CalibrationPoints Measure(const StepTimes& step, const Shape& curve) {
  CalibrationPoints points;
  for (const int concurrency : {1, 2, 4, 8, 16}) {
    points.curve.push_back(Measured(step, curve, concurrency));
  }
  for (const Shape& shape : {Shape{1024, 1}, Shape{64, 256}, Shape{128, 128}, Shape{1024, 64}}) {
    points.probes.push_back(Measured(step, shape, 1));
  }
  points.probes.push_back(Measured(step, {64, 256}, 8));
  return points;
}

TEST(FitStepTimes, FindsTheTimesThatMadeThePoints) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const StepTimes truth = RandomStep(random);
    const CalibrationPoints points = Measure(truth, {});
    std::vector<CurvePoint> all = points.curve;
    all.insert(all.end(), points.probes.begin(), points.probes.end());
    const StepTimes found = FitStepTimes(all);
    EXPECT_NEAR(found.per_prefill_token_s / truth.per_prefill_token_s, 1, 0.05);
    for (const CurvePoint& point : all) {
      const Shape shape{point.input_tokens, point.output_tokens};
      const double again = Predict(found, shape, point.concurrency).requests_per_s;
      EXPECT_NEAR(again / point.requests_per_s, 1, 0.05) << point.concurrency;
    }
  }
}

TEST(FitStepTimes, StaysWithinNoise) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const StepTimes truth = RandomStep(random);
    CalibrationPoints points = Measure(truth, {});
    std::vector<CurvePoint> all = points.curve;
    all.insert(all.end(), points.probes.begin(), points.probes.end());
    for (CurvePoint& point : all) point.requests_per_s *= 0.95 + 0.1 * random.Uniform();
    const StepTimes found = FitStepTimes(all);
    for (const double time : {found.fixed_s, found.per_prefill_token_s, found.per_decode_sequence_s,
                              found.per_context_token_s}) {
      EXPECT_GE(time, 0);
      EXPECT_TRUE(std::isfinite(time));
    }
    for (const CurvePoint& point : all) {
      const Shape shape{point.input_tokens, point.output_tokens};
      const double again = Predict(found, shape, point.concurrency).requests_per_s;
      EXPECT_NEAR(again / point.requests_per_s, 1, 0.3) << point.concurrency;
    }
  }
}

TEST(FitStepTimes, OfNothingIsNothing) { EXPECT_EQ(FitStepTimes({}), StepTimes{}); }

TEST(Predict, KeepsLittlesLaw) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const StepTimes step = RandomStep(random);
    const Shape shape{1 + 4000 * random.Uniform(), 2 + 500 * random.Uniform()};
    double before = 0;
    for (int concurrency = 1; concurrency <= 64; concurrency *= 2) {
      const Predicted seen = Predict(step, shape, concurrency);
      const double in_flight =
          seen.requests_per_s * (seen.ttft_s + (shape.output_tokens - 1) * seen.tpot_s);
      EXPECT_NEAR(in_flight, concurrency, 1e-6 * concurrency);
      EXPECT_GE(seen.requests_per_s, before * (1 - 1e-9)) << concurrency;
      before = seen.requests_per_s;
    }
  }
}

TEST(FitCalibration, SellsWhatTheReplicaDoes) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const StepTimes truth = RandomStep(random);
    const int chunks = 1 + static_cast<int>(random.Below(8));
    const auto made = FitCalibration(Measure(truth, {}), {.chunks_per_replica = chunks});
    ASSERT_TRUE(made);
    EXPECT_EQ(made->mode, CalibrationMode::kReference);
    const CurvePoint& knee = made->curve[Knee(made->curve)];
    // At the balanced point the replica really does the tokens that its cost rate promises.
    EXPECT_NEAR(ContractTokensPerSecond(made->cost_per_s, made->weights), knee.total_tokens_per_s(),
                1e-6 * knee.total_tokens_per_s());
    EXPECT_EQ(made->concurrency.balanced, knee.concurrency);
    EXPECT_LE(made->concurrency.latency, made->concurrency.balanced);
    EXPECT_LE(made->concurrency.balanced, made->concurrency.throughput);
    EXPECT_GE(made->weights.output, 1);
    // All chunks of a replica fit into its guaranteed share, and little is lost by rounding.
    const double share = kGuaranteeShare * made->cost_per_s;
    const double sold = ContractCostPerSecond(
        static_cast<double>(chunks * made->chunk_tokens_per_s), made->weights);
    EXPECT_LE(sold, share * (1 + 1e-9));
    if (made->chunk_tokens_per_s >= 100) EXPECT_GE(sold, share * 0.9);
  }
}

TEST(FitCalibration, OfAQuickCurveSaysSoAndComesNear) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const StepTimes truth = RandomStep(random);
    const auto full = FitCalibration(Measure(truth, {}), {});
    const auto quick = FitCalibration(Measure(truth, {256, 32}), {});
    ASSERT_TRUE(full && quick);
    EXPECT_EQ(quick->mode, CalibrationMode::kQuick);
    EXPECT_NEAR(quick->cost_per_s / full->cost_per_s, 1, 0.1);
  }
}

TEST(FitCalibration, RefusesWhatItCannotUse) {
  EXPECT_EQ(FitCalibration({}, {}).error().code, Code::kInvalidArgument);
  CalibrationPoints points{.curve = {CurvePoint{}}, .probes = {}};  // No rate, no latency.
  EXPECT_FALSE(FitCalibration(points, {}));
  points.curve = {{.requests_per_s = 1,
                   .ttft_ms = {10, 10, 10},
                   .tpot_ms = {4, 4, 4},
                   .latency_ms = {1000, 1200, 1300}}};
  EXPECT_TRUE(FitCalibration(points, {}));
  const auto late = FitCalibration(points, {.latency_p90_max_ms = 1100});
  ASSERT_FALSE(late);
  EXPECT_NE(late.error().message.find("1100 ms"), std::string::npos);
  EXPECT_NE(late.error().message.find("1200 ms"), std::string::npos);
}

TEST(FitCalibration, LatencyBudgetBoundsConcurrency) {
  const StepTimes step{.fixed_s = 0.01,
                       .per_prefill_token_s = 1e-5,
                       .per_decode_sequence_s = 1e-4,
                       .per_context_token_s = 0};
  const CalibrationPoints points = Measure(step, {});
  const double budget = points.curve[1].latency_ms.p90;
  const auto made = FitCalibration(points, {.latency_p90_max_ms = budget});
  ASSERT_TRUE(made);
  EXPECT_LE(made->concurrency.throughput, 2);
  EXPECT_EQ(made->curve.size(), points.curve.size());  // What was measured is kept.
}

TEST(Knee, IsMostThroughputOverLatency) {
  const auto point = [](int concurrency, double rate, double latency) {
    return CurvePoint{.concurrency = concurrency,
                      .requests_per_s = rate,
                      .latency_ms = {latency, latency, latency}};
  };
  EXPECT_EQ(Knee({point(1, 1, 1000), point(2, 1.9, 1050), point(4, 2.2, 1800)}), 1U);
  EXPECT_EQ(Knee({point(2, 2, 1000), point(1, 2, 1000)}), 1U);  // Equals: the least concurrency.
}

TEST(ChunkFor, RoundsDownAndIsNeverNothing) {
  const CostWeights equal{.output = 1};
  EXPECT_EQ(ChunkFor(1864.0 / kGuaranteeShare, equal, 1), 1860);
  EXPECT_EQ(ChunkFor(987.9 / kGuaranteeShare, equal, 1), 980);
  EXPECT_EQ(ChunkFor(99.5 / kGuaranteeShare, equal, 1), 99);
  EXPECT_EQ(ChunkFor(123'456 / kGuaranteeShare, equal, 1), 123'000);
  EXPECT_EQ(ChunkFor(0.3, equal, 1), 1);
}

TEST(NearestMultiples, EncloseTheValue) {
  EXPECT_EQ(NearestMultiples(1000, 980), (Multiples{980, 1960}));
  EXPECT_EQ(NearestMultiples(1960, 980), (Multiples{1960, 1960}));
  EXPECT_EQ(NearestMultiples(-5, 980), (Multiples{0, 0}));
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const auto chunk = static_cast<std::int64_t>(1 + random.Below(5000));
    const auto value = static_cast<std::int64_t>(random.Below(kThroughputMax + 1000));
    const Multiples near = NearestMultiples(value, chunk);
    EXPECT_EQ(near.below % chunk, 0);
    EXPECT_EQ(near.above % chunk, 0);
    EXPECT_LE(near.below, std::max<std::int64_t>(value, 0));
    EXPECT_LE(near.above, kThroughputMax);
    EXPECT_LE(near.above - near.below, chunk);
  }
}

TEST(Contract, TurnsRound) {
  const CostWeights weights{.output = 3.7};
  EXPECT_NEAR(ContractTokensPerSecond(ContractCostPerSecond(980, weights), weights), 980, 1e-9);
}

TEST(Strategy, ReadsItsWords) {
  for (const Strategy strategy : {Strategy::kLatency, Strategy::kBalanced, Strategy::kThroughput}) {
    EXPECT_EQ(ParseStrategy(ToString(strategy), "strategy"), strategy);
  }
  const auto wrong = ParseStrategy("fast", "strategy");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().field, "strategy");
}

// An embedding model has no output: what is sold are input tokens, each at the same cost.
TEST(Calibration, EmbeddingsAreSoldByInputTokens) {
  CalibrationPoints points;
  for (const auto& [concurrency, rate, latency] :
       {std::tuple{1, 10.0, 100.0}, std::tuple{2, 18.0, 111.0}, std::tuple{4, 19.0, 210.0}}) {
    points.curve.push_back({.concurrency = concurrency,
                            .input_tokens = 500,
                            .output_tokens = 1,
                            .requests_per_s = rate,
                            .latency_ms = {.p50 = latency, .p90 = latency, .p99 = latency}});
  }
  const auto made = FitCalibration(points, {.embeds = true});
  ASSERT_TRUE(made) << made.error().message;
  EXPECT_EQ(made->concurrency.balanced, 2);
  EXPECT_DOUBLE_EQ(made->weights.output, 1);
  EXPECT_DOUBLE_EQ(made->cost_per_s, 18 * 500);
  EXPECT_DOUBLE_EQ(ContractTokensPerSecond(made->cost_per_s, made->weights), 9000);
  EXPECT_EQ(made->chunk_tokens_per_s, 1910);  // 0.85 of it over four chunks, rounded down.
}

}  // namespace
}  // namespace penstock::policy
