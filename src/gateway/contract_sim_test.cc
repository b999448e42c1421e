// Contracts through the real gateway: queues, caps, units, floods.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "gateway/contract_testing.h"

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

TEST(ContractSim, HoldsAReplicaAtItsConcurrency) {
  World world;
  world.Add("chat").served[0].pool_policy.replica_concurrency = 2;
  world.Publish();
  const auto told = world.Run(std::vector<Ask>(8, Ask{.endpoint = "chat"}));
  for (const Told& one : told) EXPECT_TRUE(one.whole && one.status == 200);
  EXPECT_EQ(world.one.running_max, 2);
  EXPECT_EQ(world.one.started, 8);
  ExpectAllGivenBack(world);
}

TEST(ContractSim, AQueuedClientThatLeavesIsGoneAtOnce) {
  World world;
  world.Add("chat").served[0].pool_policy = {.replica_concurrency = 1, .queue_max = 1};
  world.Publish();
  const auto told =
      world.Run({{.endpoint = "chat", .max_tokens = 50},
                 {.endpoint = "chat", .at = milliseconds(5), .leave_after = milliseconds(50)},
                 {.endpoint = "chat", .at = milliseconds(20)},
                 {.endpoint = "chat", .at = milliseconds(80)}});
  EXPECT_EQ(told[1].status, 0);
  EXPECT_EQ(told[2].status, 429) << "the only place of the queue is taken";
  EXPECT_EQ(told[3].status, 200) << "and free again once its holder left";
  EXPECT_EQ(world.one.started, 2);
  ExpectAllGivenBack(world);
}

TEST(ContractSim, NobodyWaitsLongerThanTheQueueAllows) {
  World world;
  auto& pool = world.Add("chat").served[0].pool_policy;
  pool = {.replica_concurrency = 1, .queue_wait_max = milliseconds(200)};
  world.Publish();
  const auto told = world.Run(
      {{.endpoint = "chat", .max_tokens = 100}, {.endpoint = "chat", .at = milliseconds(5)}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_EQ(told[1].status, 429);
  EXPECT_GE(told[1].first, milliseconds(200));
  EXPECT_LE(told[1].first, milliseconds(300));
  EXPECT_THAT(told[1].body, HasSubstr("waited in its queue"));
  ExpectAllGivenBack(world);
}

// What the queue waits for may be a bucket, which tells nobody when it has refilled.
TEST(ContractSim, ACapShapesWhoQueues) {
  World world;
  auto& lane = world.Add("chat").served[0].lane;
  lane.cap_per_s = 100;
  lane.cap_burst = seconds(1);
  world.Publish();
  // Each costs 10 + 10 x 4 = 40 or so and uses 10 + 40.
  const auto told = world.Run(std::vector<Ask>(6, Ask{.endpoint = "chat", .max_tokens = 40}));
  std::vector<Duration> firsts;
  for (const Told& one : told) {
    EXPECT_EQ(one.status, 200);
    firsts.push_back(one.first);
  }
  std::ranges::sort(firsts);
  EXPECT_LE(firsts[1], milliseconds(100));
  EXPECT_GE(firsts[5], milliseconds(1500));
  EXPECT_LE(firsts[5], milliseconds(3000));
  ExpectAllGivenBack(world);
}

TEST(ContractSim, ProvisionedUnitsRefuseAtOnceWithTheExactTime) {
  World world;
  auto& lane = world.Add("ptu").served[0].lane;
  lane.guarantee_per_s = lane.cap_per_s = 10;
  lane.guarantee_burst = lane.cap_burst = seconds(1);
  lane.accounting = policy::Accounting::kUtilization;
  lane.overload = policy::Overload::kReject;
  lane.reserve = policy::Reserve::kLimit;
  world.Publish();
  const auto told = world.Run({{.endpoint = "ptu", .max_tokens = 10},
                               {.endpoint = "ptu", .at = milliseconds(20)},
                               {.endpoint = "ptu", .at = seconds(3)}});
  EXPECT_EQ(told[0].status, 200);
  const double used = std::stod(told[0].headers.at("azure-openai-deployment-utilization"));
  EXPECT_NEAR(used, 200, 30) << "a prompt of 10 tokens or so, and 10 more, on a depth of 10";
  ASSERT_EQ(told[1].status, 429);
  EXPECT_LE(told[1].first, milliseconds(10)) << "fast";
  EXPECT_EQ(told[1].headers.count("retry-after-ms"), 1u);
  const int wait = std::stoi(told[1].headers.at("retry-after-ms"));
  EXPECT_NEAR(wait, 10 * (used - 100) - 20, 5) << "20 ms of it have passed";
  EXPECT_EQ(told[1].headers.at("retry-after"), std::to_string((wait + 999) / 1000));
  EXPECT_EQ(told[2].status, 200);
  ExpectAllGivenBack(world);
}

TEST(ContractSim, AFloodedNeighbourIsNotTheTenantsProblem) {
  World world;
  for (const std::string name : {"paid", "flood"}) {
    auto& served = world.Add(name, "shared").served[0];
    served.pool_policy = {.replica_concurrency = 8};
    if (name == "paid") served.lane.guarantee_per_s = 200;
  }
  world.Publish();
  std::vector<Ask> asks;
  for (int i = 0; i < 200; ++i) {
    asks.push_back({.endpoint = "flood", .max_tokens = 50, .at = milliseconds(5 * i)});
  }
  for (int i = 0; i < 20; ++i) {
    asks.push_back({.endpoint = "paid", .max_tokens = 20, .at = milliseconds(200 * i)});
  }
  const auto told = world.Run(asks);
  Duration longest{};
  for (std::size_t i = 200; i < told.size(); ++i) {
    EXPECT_EQ(told[i].status, 200);
    longest = std::max(longest, told[i].first);
  }
  EXPECT_LE(longest, milliseconds(120)) << "one place of eight is free every 62 ms";
  EXPECT_LE(world.one.running_max, 8);
  ExpectAllGivenBack(world);
}

}  // namespace
}  // namespace penstock::gateway
