#include "convert/elements.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>

#include "base/random.h"

namespace penstock::convert {
namespace {

TEST(Half, EveryOneComesBack) {
  for (std::uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const auto half = static_cast<std::uint16_t>(bits);
    const float value = FloatOfHalf(half);
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(FloatOfHalf(HalfOfFloat(value))));
    } else {
      EXPECT_EQ(HalfOfFloat(value), half) << bits;
    }
  }
}

// The compiler's own 16-bit type is an independent judge.
TEST(Half, RoundsAsTheCompilerDoes) {
  Random random(1);
  for (int i = 0; i < 200'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random.Next()));
    if (std::isnan(value)) continue;
    const auto expected = std::bit_cast<std::uint16_t>(static_cast<_Float16>(value));
    ASSERT_EQ(HalfOfFloat(value), expected) << value;
  }
}

TEST(BFloat, IsTheNearestOfTwo) {
  Random random(2);
  for (int i = 0; i < 200'000; ++i) {
    const auto value = std::bit_cast<float>(static_cast<std::uint32_t>(random.Next()));
    if (!std::isfinite(value) || std::abs(value) > 1e38F) continue;
    const auto back = [](std::uint32_t bits) { return std::bit_cast<float>(bits << 16); };
    const std::uint16_t rounded = BFloatOfFloat(value);
    const double error = std::abs(double(back(rounded)) - value);
    EXPECT_LE(error, std::abs(double(back(rounded + 1U)) - value));
    if ((rounded & 0x7FFFU) != 0) EXPECT_LE(error, std::abs(double(back(rounded - 1U)) - value));
  }
}

TEST(Q8, KeepsWithinHalfAStep) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    std::vector<float> values(kQ8Block);
    const double scale = std::pow(10, 4 * random.Uniform() - 1.5);
    for (float& value : values) value = static_cast<float>(scale * (random.Uniform() - 0.5));
    std::vector<std::uint8_t> bytes;
    AppendAs(OutputType::kQ8_0, values, bytes);
    ASSERT_EQ(bytes.size(), kQ8BlockBytes);
    std::uint16_t half = 0;
    std::memcpy(&half, bytes.data(), sizeof half);
    const float step = FloatOfHalf(half);
    for (std::size_t i = 0; i < values.size(); ++i) {
      const float back = step * static_cast<float>(static_cast<std::int8_t>(bytes[2 + i]));
      EXPECT_NEAR(back, values[i], 0.51 * step + 0.001 * std::abs(values[i]));
    }
  }
}

TEST(Q8, OfZerosIsZeros) {
  std::vector<std::uint8_t> bytes;
  AppendAs(OutputType::kQ8_0, std::vector<float>(kQ8Block, 0.0F), bytes);
  EXPECT_EQ(bytes, std::vector<std::uint8_t>(kQ8BlockBytes, 0));
}

TEST(ToFloats, ReadsEveryFloatingType) {
  const double wide = 0.75;
  const float single = -1.5F;
  std::vector<float> one(1);
  const auto bytes = [](const auto& value) {
    std::vector<std::uint8_t> raw(sizeof value);
    std::memcpy(raw.data(), &value, sizeof value);
    return raw;
  };
  ToFloats(ElementType::kF64, bytes(wide), one);
  EXPECT_EQ(one[0], 0.75F);
  ToFloats(ElementType::kF32, bytes(single), one);
  EXPECT_EQ(one[0], -1.5F);
  ToFloats(ElementType::kF16, bytes(std::uint16_t{0x3C00}), one);
  EXPECT_EQ(one[0], 1.0F);
  ToFloats(ElementType::kBF16, bytes(std::uint16_t{0xC000}), one);
  EXPECT_EQ(one[0], -2.0F);
}

TEST(OutputType, ReadsItsWords) {
  EXPECT_EQ(ParseOutputType("q8_0"), OutputType::kQ8_0);
  EXPECT_EQ(ParseOutputType("q4_k").error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock::convert
