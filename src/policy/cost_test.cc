#include "policy/cost.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace penstock::policy {
namespace {

TEST(TokenQuantile, IsNeverBelowAndAtMostAFifthAboveTheTrueOne) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    TokenQuantile quantile;
    std::vector<std::int64_t> seen;
    const std::uint64_t high = 1 + random.Below(5000);
    const std::uint64_t count = 1 + random.Below(TokenQuantile::kRemembered - 1);
    for (std::uint64_t i = 0; i < count; ++i) {
      seen.push_back(static_cast<std::int64_t>(random.Below(high)));
      quantile.Add(seen.back());
    }
    std::ranges::sort(seen);
    const auto rank = static_cast<std::size_t>(
        std::max(0.0, std::ceil(TokenQuantile::kQuantile * static_cast<double>(count)) - 1));
    const std::int64_t exact = std::max<std::int64_t>(1, seen[std::min(rank, seen.size() - 1)]);
    EXPECT_GE(quantile.value(), exact);
    EXPECT_LE(static_cast<double>(quantile.value()), 1.19 * static_cast<double>(exact) + 1);
  }
}

TEST(TokenQuantile, FollowsWhatChanges) {
  TokenQuantile quantile;
  for (int i = 0; i < 2000; ++i) quantile.Add(10);
  EXPECT_LE(quantile.value(), 11);
  for (int i = 0; i < 1000; ++i) quantile.Add(1000);
  EXPECT_GE(quantile.value(), 1000);
}

TEST(TokenQuantile, TakesTheExtremes) {
  TokenQuantile quantile;
  quantile.Add(-5);
  EXPECT_EQ(quantile.value(), 1);
  for (int i = 0; i < 100; ++i) quantile.Add(INT64_MAX);
  EXPECT_GT(quantile.value(), 1'000'000);
}

TEST(CostEstimator, TakesTheLimitWhereItIsLowerThanWhatWasLearned) {
  CostEstimator estimator;
  const LanePolicy lane{.weights = {.output = 5}};
  for (int i = 0; i < 20; ++i) estimator.Learn({.prompt_bytes = 400}, {.input = 100, .output = 64});
  EXPECT_EQ(estimator.Guess({.prompt_bytes = 400, .tokens_max = 10}, lane).cost, 100 + 5 * 10);
  EXPECT_EQ(estimator.Guess({.prompt_bytes = 400, .tokens_max = 10'000}, lane).cost, 100 + 5 * 64);
  EXPECT_EQ(estimator.Guess({.prompt_bytes = 400}, lane).cost, 100 + 5 * 64);
}

TEST(CostEstimator, ReservesTheLimitWhereThePolicySaysSo) {
  const CostEstimator estimator;
  const LanePolicy lane{.weights = {.output = 5}, .reserve = Reserve::kLimit};
  EXPECT_EQ(estimator.Guess({.tokens_max = 10'000}, lane).output_tokens, 10'000);
  EXPECT_EQ(estimator.Guess({}, lane).output_tokens, CostEstimator::kOutputTokens);
}

TEST(CostEstimator, CountsEveryChoice) {
  const CostEstimator estimator;
  EXPECT_EQ(estimator.Guess({.tokens_max = 10, .choices = 8}, {}).output_tokens, 80);
  EXPECT_EQ(estimator.Guess({.tokens_max = 0, .choices = 0}, {}).output_tokens, 1);
}

TEST(CostEstimator, LearnsTheBytesOfAToken) {
  CostEstimator estimator;
  EXPECT_EQ(estimator.Guess({.prompt_bytes = 401}, {}).input_tokens, 101);
  for (int i = 0; i < 300; ++i) estimator.Learn({.prompt_bytes = 200}, {.input = 100, .output = 1});
  EXPECT_EQ(estimator.Guess({.prompt_bytes = 400}, {}).input_tokens, 200);
  EXPECT_EQ(estimator.Guess({.prompt_token_ids = 7}, {}).input_tokens, 7);
}

// An upstream that lies in usage cannot make prompts free, nor overflow anything.
TEST(CostEstimator, BoundsWhatALyingUpstreamTeaches) {
  CostEstimator estimator;
  for (int i = 0; i < 300; ++i) {
    estimator.Learn({.prompt_bytes = 1'000'000}, {.input = 1, .output = INT64_MAX});
  }
  EXPECT_EQ(estimator.Guess({.prompt_bytes = 1600}, {}).input_tokens, 100);
  EXPECT_LT(estimator.Guess({}, {}).output_tokens, 10'000'000);
}

TEST(CostEstimator, AnEmbeddingHasNoOutput) {
  const CostEstimator estimator;
  EXPECT_EQ(estimator.Guess({.prompt_bytes = 40, .generates = false}, {}).cost, 10);
}

}  // namespace
}  // namespace penstock::policy
