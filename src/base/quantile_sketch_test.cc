#include "base/quantile_sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace penstock {
namespace {

// Values as latencies are: spread over magnitudes, with repeats and zeros.
std::vector<std::uint64_t> RandomValues(Random& random) {
  std::vector<std::uint64_t> values(1 + random.Below(2000));
  const double spread = random.Uniform() * 40;
  for (std::uint64_t& value : values) {
    value = static_cast<std::uint64_t>(std::exp2(random.Uniform() * spread)) - random.Below(2);
  }
  return values;
}

std::uint64_t TrueQuantile(std::vector<std::uint64_t> values, double q) {
  std::ranges::sort(values);
  const auto rank =
      static_cast<std::size_t>(std::max(std::ceil(q * static_cast<double>(values.size())), 1.0));
  return values[rank - 1];
}

TEST(QuantileSketch, EveryQuantileIsWithinTheStatedError) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const auto values = RandomValues(random);
    QuantileSketch sketch;
    for (const std::uint64_t value : values) sketch.Add(value);
    ASSERT_EQ(sketch.count(), values.size());
    for (const double q : {0.0, 0.01, 0.25, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
      const auto truth = static_cast<double>(TrueQuantile(values, q));
      EXPECT_NEAR(sketch.Quantile(q), truth, truth * QuantileSketch::kRelativeError * 1.0000001)
          << q;
    }
  }
}

TEST(QuantileSketch, PartsMergeIntoTheWholeInAnyOrder) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    QuantileSketch whole;
    std::vector<QuantileSketch> parts(1 + random.Below(6));
    for (const std::uint64_t value : RandomValues(random)) {
      whole.Add(value);
      parts[random.Below(parts.size())].Add(value);
    }
    QuantileSketch forward;
    for (const QuantileSketch& part : parts) forward.Merge(part);
    QuantileSketch backward;
    std::ranges::reverse(parts);
    for (const QuantileSketch& part : parts) backward.Merge(part);
    EXPECT_TRUE(forward == whole);
    EXPECT_TRUE(backward == whole);
    EXPECT_EQ(forward.count(), whole.count());
    EXPECT_EQ(forward.Quantile(0.9), whole.Quantile(0.9));
  }
}

TEST(QuantileSketch, TakesTheSmallestAndTheGreatest) {
  QuantileSketch sketch;
  EXPECT_EQ(sketch.Quantile(0.5), 0);
  sketch.Add(0);
  sketch.Add(1);
  sketch.Add(std::numeric_limits<std::uint64_t>::max());
  EXPECT_EQ(sketch.Quantile(0), 0);
  EXPECT_NEAR(sketch.Quantile(0.5), 1, 0.01);
  EXPECT_NEAR(sketch.Quantile(1) / 0x1p64, 1, 0.0101);
  EXPECT_LE(sketch.counts().size(), QuantileSketch::kBucketMax + 1);
}

TEST(QuantileSketch, CountsUpToAValue) {
  QuantileSketch sketch;
  for (std::uint64_t value = 0; value <= 1000; ++value) sketch.Add(value);
  EXPECT_EQ(sketch.CountUpTo(-1), 0u);
  EXPECT_EQ(sketch.CountUpTo(0), 1u);
  EXPECT_NEAR(static_cast<double>(sketch.CountUpTo(500)), 501, 6);
  EXPECT_EQ(sketch.CountUpTo(2000), 1001u);
}

TEST(QuantileSketch, AForeignBucketIsIgnored) {
  QuantileSketch sketch;
  sketch.AddToBucket(QuantileSketch::kBucketMax + 1, 5);
  EXPECT_TRUE(sketch.empty());
}

}  // namespace
}  // namespace penstock
