#include "base/random.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

// Published first outputs of SplitMix64 for seed 1234567.
TEST(Random, MatchesThePublishedSequence) {
  Random random(1234567);
  EXPECT_EQ(random.Next(), 6457827717110365317u);
  EXPECT_EQ(random.Next(), 3203168211198807973u);
}

TEST(Random, StaysInBounds) {
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_LT(random.Below(7), 7u);
    const double uniform = random.Uniform();
    EXPECT_GE(uniform, 0.0);
    EXPECT_LT(uniform, 1.0);
  }
}

}  // namespace
}  // namespace penstock
