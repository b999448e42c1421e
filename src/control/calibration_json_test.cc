#include "control/calibration_json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/random.h"

namespace penstock::control {
namespace {

policy::CurvePoint RandomPoint(Random& random) {
  const auto percentiles = [&random] {
    return policy::Percentiles{1000 * random.Uniform(), 1000 * random.Uniform(),
                               1000 * random.Uniform()};
  };
  return {.concurrency = 1 + static_cast<int>(random.Below(100)),
          .input_tokens = 4000 * random.Uniform(),
          .output_tokens = 1 + 400 * random.Uniform(),
          .requests_per_s = random.Uniform(),
          .ttft_ms = percentiles(),
          .tpot_ms = percentiles(),
          .latency_ms = percentiles(),
          .requests = static_cast<std::int64_t>(random.Below(1000))};
}

policy::Calibration RandomCalibration(std::uint64_t seed) {
  Random random(seed);
  policy::Calibration calibration{
      .model_hash = "ab12",
      .hardware_hash = "cd34",
      .hardware = "2 x \"CPU\"",
      .cost_per_s = 1 + 5000 * random.Uniform(),
      .weights = {.output = 1 + 7 * random.Uniform(), .cached = random.Uniform()},
      .chunk_tokens_per_s = 1 + static_cast<std::int64_t>(random.Below(5000)),
      .concurrency = {.latency = 1, .balanced = 4, .throughput = 16},
      .step = {.fixed_s = random.Uniform(),
               .per_prefill_token_s = random.Uniform(),
               .per_decode_sequence_s = random.Uniform(),
               .per_context_token_s = random.Uniform()},
      .mode = policy::CalibrationMode::kQuick,
      .measured_at = WallTime(std::chrono::milliseconds(1'700'000'000'000)),
      .how = "seed " + std::to_string(seed)};
  for (std::uint64_t i = 0; i < seed % 5; ++i) calibration.curve.push_back(RandomPoint(random));
  for (std::uint64_t i = 0; i < seed % 3; ++i) calibration.probes.push_back(RandomPoint(random));
  if (seed % 3 > 0) {
    calibration.probes.back().means = policy::MeanTimes{
        1000 * random.Uniform(), 1000 * random.Uniform(), 1000 * random.Uniform()};
    if (seed % 2 == 0) calibration.probes.back().spread = random.Uniform();
  }
  return calibration;
}

// Equal but for the last bits of fractions, which the JSON parser does not promise.
void ExpectSame(const boost::json::value& a, const boost::json::value& b) {
  if (a.is_double() && b.is_double()) {
    EXPECT_NEAR(a.get_double(), b.get_double(), 1e-12 * std::abs(a.get_double()));
  } else if (a.is_object() && b.is_object()) {
    ASSERT_EQ(a.get_object().size(), b.get_object().size());
    for (const auto& member : a.get_object()) {
      SCOPED_TRACE(member.key());
      ExpectSame(member.value(), b.at(member.key()));
    }
  } else if (a.is_array() && b.is_array()) {
    ASSERT_EQ(a.get_array().size(), b.get_array().size());
    for (std::size_t i = 0; i < a.get_array().size(); ++i) {
      ExpectSame(a.get_array()[i], b.get_array()[i]);
    }
  } else {
    EXPECT_EQ(a, b);
  }
}

TEST(CalibrationJson, ReadsBackTheSame) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    const policy::Calibration calibration = RandomCalibration(seed);
    const auto again = ParseCalibration(boost::json::serialize(CalibrationJson(calibration)));
    ASSERT_TRUE(again) << again.error().message;
    ExpectSame(CalibrationJson(*again), CalibrationJson(calibration));
  }
}

TEST(CalibrationJson, EveryMemberIsNeeded) {
  const boost::json::object whole = CalibrationJson(RandomCalibration(4));
  for (const auto& member : whole) {
    boost::json::object damaged = whole;
    damaged.erase(member.key());
    const auto parsed = ParseCalibration(boost::json::serialize(damaged));
    ASSERT_FALSE(parsed) << member.key();
    EXPECT_EQ(parsed.error().code, Code::kCorrupt);
    EXPECT_NE(parsed.error().message.find(member.key()), std::string::npos);
  }
  EXPECT_FALSE(ParseCalibration("[]"));
  EXPECT_FALSE(ParseCalibration(""));
}

}  // namespace
}  // namespace penstock::control
