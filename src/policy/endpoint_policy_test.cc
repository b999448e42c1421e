#include "policy/endpoint_policy.h"

#include <gtest/gtest.h>

namespace penstock::policy {
namespace {

TEST(EndpointPolicy, WordsAreReadBack) {
  for (const Overload value : {Overload::kQueue, Overload::kReject}) {
    EXPECT_EQ(*ParseOverload(ToString(value), "overload"), value);
  }
  for (const Isolation value : {Isolation::kDedicated, Isolation::kShared}) {
    EXPECT_EQ(*ParseIsolation(ToString(value), "isolation"), value);
  }
  for (const LimitKey value :
       {LimitKey::kEndpoint, LimitKey::kUser, LimitKey::kUserGroup, LimitKey::kServicePrincipal}) {
    EXPECT_EQ(*ParseLimitKey(ToString(value), "key"), value);
  }
  const auto wrong = ParseOverload("drop", "overload");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().message, "overload must be one of 'queue', 'reject', got 'drop'");
}

TEST(EndpointPolicy, AListOfPermissionsSaysWhoMayQuery) {
  EndpointPolicy policy;
  const std::vector<std::string> none;
  const std::vector<std::string> interns{"interns"};
  EXPECT_EQ(RightOf(policy, "ann", none), PermissionLevel::kQuery);
  policy.access = {{.principal = "ann", .level = PermissionLevel::kQuery},
                   {.principal = "bob", .level = PermissionLevel::kView},
                   {.principal = "interns", .is_group = true, .level = PermissionLevel::kQuery}};
  EXPECT_EQ(RightOf(policy, "ann", none), PermissionLevel::kQuery);
  EXPECT_EQ(RightOf(policy, "bob", none), PermissionLevel::kView);
  EXPECT_EQ(RightOf(policy, "bob", interns), PermissionLevel::kQuery);
  EXPECT_EQ(RightOf(policy, "carl", none), std::nullopt);
  EXPECT_EQ(RightOf(policy, "interns", none), std::nullopt) << "a key is no group";
  EXPECT_EQ(RightOf(policy, "carl", std::vector<std::string>{"ann"}), std::nullopt);
}

TEST(EndpointPolicy, ARangeBuysCostAtTheReferenceWorkload) {
  const ReplicaCapacity capacity{.cost_per_s = 10'000, .weights = {.output = 4}};
  const LanePolicy lane = LaneForRange({.minimum = 2304, .maximum = 4608}, capacity);
  EXPECT_DOUBLE_EQ(lane.guarantee_per_s, 2048 + 4 * 256);
  EXPECT_DOUBLE_EQ(lane.cap_per_s, 2 * (2048 + 4 * 256));
}

TEST(EndpointPolicy, PromisesNothingThatNobodyMeasured) {
  const LanePolicy lane = LaneForRange({.minimum = 1000, .maximum = 2000}, std::nullopt);
  EXPECT_EQ(lane.guarantee_per_s, 0);
  EXPECT_EQ(lane.cap_per_s, 0);
  EXPECT_EQ(lane.weight, 1000);
}

}  // namespace
}  // namespace penstock::policy
