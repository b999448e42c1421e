#include "policy/capacity.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace penstock::policy {
namespace {

TEST(Cost, WeighsCachedAndOutputTokens) {
  const CostWeights weights{.output = 3, .cached = 0.5};
  EXPECT_DOUBLE_EQ(Cost({.input = 100, .cached = 40, .output = 10}, weights), 60 + 20 + 30);
  EXPECT_DOUBLE_EQ(Cost({.input = 100, .cached = 100, .output = 0}, CostWeights{}), 0);
}

TEST(Contract, IsTheCostOfTheReferenceWorkload) {
  // One reference request per second is 2304 tokens/s, and costs 2048 + 4 * 256 each second.
  EXPECT_DOUBLE_EQ(ContractCostPerSecond(2304, {.output = 4}), 2048 + 4 * 256);
  EXPECT_DOUBLE_EQ(
      ContractCostPerSecond(2304, {.output = 4}),
      Cost({.input = kReferenceInputTokens, .output = kReferenceOutputTokens}, {.output = 4}));
  // With equal weights a token is a token.
  EXPECT_DOUBLE_EQ(ContractCostPerSecond(980, {.output = 1}), 980);
}

TEST(CheckRange, NamesFieldValueAndLimit) {
  EXPECT_TRUE(CheckRange({.minimum = 0, .maximum = 1960}, 980, ""));
  EXPECT_TRUE(CheckRange({.minimum = 1, .maximum = 1}, kUncalibratedChunk, ""));

  const auto negative = CheckRange({.minimum = -1, .maximum = 980}, 980, "a.");
  ASSERT_FALSE(negative);
  EXPECT_EQ(negative.error().code, Code::kInvalidArgument);
  EXPECT_EQ(negative.error().field, "a.min_provisioned_throughput");
  EXPECT_NE(negative.error().message.find("got -1"), std::string::npos);

  const auto odd = CheckRange({.minimum = 0, .maximum = 1000}, 980, "");
  ASSERT_FALSE(odd);
  EXPECT_EQ(odd.error().field, "max_provisioned_throughput");
  EXPECT_NE(odd.error().message.find("980 and 1960"), std::string::npos) << odd.error().message;

  const auto crossed = CheckRange({.minimum = 1960, .maximum = 980}, 980, "");
  ASSERT_FALSE(crossed);
  EXPECT_EQ(crossed.error().field, "min_provisioned_throughput");

  EXPECT_FALSE(CheckRange({.minimum = 0, .maximum = 0}, 1, ""));
  EXPECT_TRUE(CheckRange({.minimum = 0, .maximum = kThroughputMax}, 1, ""));
  EXPECT_FALSE(CheckRange({.minimum = 0, .maximum = kThroughputMax + 1}, 1, ""));
}

TEST(ReplicasForRange, IsOneWithoutACalibration) {
  EXPECT_EQ(ReplicasForRange({.minimum = 5000, .maximum = 90000}, std::nullopt), ReplicaRange{});
}

TEST(ReplicasForRange, LeavesFifteenPercentFree) {
  // K = 1000 with equal weights: 850 tokens/s fill one replica, one token more needs a second.
  const ReplicaCapacity capacity{.cost_per_s = 1000, .weights = {.output = 1}};
  EXPECT_EQ(ReplicasForRange({.minimum = 0, .maximum = 850}, capacity),
            (ReplicaRange{.minimum = 1, .maximum = 1}));
  EXPECT_EQ(ReplicasForRange({.minimum = 850, .maximum = 851}, capacity),
            (ReplicaRange{.minimum = 1, .maximum = 2}));
}

TEST(ReplicasForRange, AlwaysCoversThePromise) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const ReplicaCapacity capacity{.cost_per_s = 1 + 5000 * random.Uniform(),
                                   .weights = {.output = 3 + 5 * random.Uniform()}};
    const ThroughputRange range{
        .minimum = static_cast<std::int64_t>(random.Below(10'000)),
        .maximum = static_cast<std::int64_t>(random.Below(90'000)) + 10'000};
    const ReplicaRange replicas = ReplicasForRange(range, capacity);
    EXPECT_GE(replicas.minimum, 1);
    EXPECT_LE(replicas.minimum, replicas.maximum);
    const double promised =
        ContractCostPerSecond(static_cast<double>(range.maximum), capacity.weights);
    EXPECT_GE(replicas.maximum * kGuaranteeShare * capacity.cost_per_s, promised * (1 - 1e-12));
    EXPECT_LT((replicas.maximum - 1) * kGuaranteeShare * capacity.cost_per_s, promised);
  }
}

}  // namespace
}  // namespace penstock::policy
