#include "base/distributions.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>

#include "base/portable_math.h"

namespace penstock {
namespace {

TEST(PortableMath, IsWithinAFewUnitsOfTheLibrary) {
  Random random(1);
  for (int i = 0; i < 20'000; ++i) {
    const double x = std::ldexp(0.5 + random.Uniform(), static_cast<int>(random.Below(80)) - 60);
    const double log = PortableLog(x);
    ASSERT_NEAR(log, std::log(x), 1e-15 * std::max(1.0, std::abs(std::log(x)))) << x;
    const double y = -40 + 80 * random.Uniform();
    ASSERT_NEAR(PortableExp(y) / std::exp(y), 1.0, 1e-15) << y;
  }
  EXPECT_EQ(PortableLog(1), 0);
  EXPECT_EQ(PortableExp(0), 1);
  EXPECT_EQ(PortableExp(-800), 0);
  EXPECT_TRUE(std::isinf(PortableExp(800)));
  EXPECT_NEAR(PortablePow(2, 10), 1024, 1e-11);
}

struct Moments {
  double mean = 0;
  double variance = 0;
};

template <typename Draw>
Moments MomentsOf(Draw draw) {
  constexpr int kDraws = 200'000;
  Random random(7);
  double sum = 0;
  double squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double value = draw(random);
    sum += value;
    squares += value * value;
  }
  const double mean = sum / kDraws;
  return {.mean = mean, .variance = squares / kDraws - mean * mean};
}

TEST(Distributions, HaveTheirMoments) {
  const Moments exponential = MomentsOf(DrawExponential);
  EXPECT_NEAR(exponential.mean, 1, 0.01);
  EXPECT_NEAR(exponential.variance, 1, 0.03);
  const Moments normal = MomentsOf(DrawNormal);
  EXPECT_NEAR(normal.mean, 0, 0.01);
  EXPECT_NEAR(normal.variance, 1, 0.02);
  for (const double shape : {0.25, 0.5, 1.0, 4.0}) {
    const Moments gamma = MomentsOf([shape](Random& random) { return DrawGamma(random, shape); });
    EXPECT_NEAR(gamma.mean, shape, 0.02 * shape) << shape;
    EXPECT_NEAR(gamma.variance, shape, 0.06 * shape) << shape;
  }
  const Moments weibull = MomentsOf([](Random& random) { return DrawWeibull(random, 2); });
  EXPECT_NEAR(weibull.mean, std::tgamma(1.5), 0.01);
}

// Golden bits: a change of compiler, library or machine must not move them.
TEST(Distributions, AreTheSameBitsEverywhere) {
  std::uint64_t sum = 0;
  Random random(42);
  for (int i = 0; i < 1000; ++i) {
    for (const double value : {DrawExponential(random), DrawNormal(random), DrawGamma(random, 0.3),
                               DrawGamma(random, 2.5), DrawWeibull(random, 0.7)}) {
      sum = sum * 0x9E3779B97F4A7C15u + std::bit_cast<std::uint64_t>(value);
    }
  }
  EXPECT_EQ(sum, 2435891347969136807u);
}

}  // namespace
}  // namespace penstock
