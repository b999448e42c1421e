// Contracts through the real gateway: queues, caps, units, floods.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/random.h"
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

// Who hangs up before there is an answer has used the replica all the same.
TEST(ContractSim, HangingUpIsNotFree) {
  for (const bool stream : {false, true}) {
    SCOPED_TRACE(testing::Message() << "stream=" << stream);
    World world;
    auto& lane = world.Add("chat").served[0].lane;
    lane.cap_per_s = 20;
    lane.cap_burst = seconds(10);
    lane.overload = policy::Overload::kReject;
    world.Publish();
    // 10 tokens of prompt each; those that do not stream have made 50 more after half a second.
    std::vector<Ask> asks = {{.endpoint = "chat", .max_tokens = 20, .stream = false}};
    for (int i = 1; i <= 40; ++i) {
      asks.push_back({.endpoint = "chat",
                      .max_tokens = 80,
                      .at = milliseconds(600 * i),
                      .leave_after = stream ? milliseconds(5) : milliseconds(500),
                      .stream = stream});
    }
    world.Run(asks);
    ASSERT_EQ(world.usage.records.size(), 41u);
    std::uint64_t cost_milli = 0;
    int refused = 0;
    for (std::size_t i = 1; i < world.usage.records.size(); ++i) {
      const meter::UsageRecord& record = world.usage.records[i];
      cost_milli += record.cost_milli;
      refused += record.status == 429;
      if (record.status == 429) continue;
      EXPECT_EQ(record.end, meter::RequestEnd::kDisconnected);
      EXPECT_EQ(record.source, meter::UsageSource::kEstimated);
      EXPECT_GE(record.input_tokens, 10u);
      if (stream) {
        EXPECT_EQ(record.output_tokens, 0u);
      } else {
        EXPECT_NEAR(static_cast<double>(record.output_tokens), 50, 2);
      }
      EXPECT_EQ(record.cost_milli, 1000 * (record.input_tokens + record.output_tokens));
    }
    EXPECT_LE(cost_milli, 1000u * (200 + 20 * 25 + 90)) << "no more than the cap lets through";
    if (!stream) EXPECT_GT(refused, 20) << "and it does hold them";
    ExpectAllGivenBack(world);
  }
}

// Whatever clients do: what is billed is what was made, to what a clock can tell.
TEST(ContractSim, BillsWhatWasMadeForWhoeverLeaves) {
  for (std::uint64_t seed = 0; seed < 30 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    World world;
    world.Add("chat");
    world.Publish();
    std::vector<Ask> asks = {{.endpoint = "chat", .max_tokens = 100, .stream = false}};
    for (int i = 0; i < 60; ++i) {
      asks.push_back({.endpoint = "chat",
                      .max_tokens = 1 + static_cast<int>(random.Below(100)),
                      .at = seconds(2) + milliseconds(random.Below(5000)),
                      .leave_after = milliseconds(random.Below(3) == 0 ? 0 : 5 + random.Below(900)),
                      .stream = random.Below(3) == 0});
    }
    world.Run(asks);
    ASSERT_EQ(world.usage.records.size(), asks.size());
    std::uint64_t billed = 0;
    for (const meter::UsageRecord& record : world.usage.records) {
      EXPECT_NE(record.source, meter::UsageSource::kNone);
      EXPECT_GE(record.input_tokens, 10u);
      billed += record.output_tokens;
    }
    EXPECT_NEAR(static_cast<double>(billed), static_cast<double>(world.one.produced),
                2.0 * static_cast<double>(asks.size()));
    ExpectAllGivenBack(world);
  }
}

// Who waits in the queue and gives up has cost nothing.
TEST(ContractSim, NothingIsBilledBeforeItWasSent) {
  World world;
  world.Add("chat").served[0].pool_policy = {.replica_concurrency = 1};
  world.Publish();
  world.Run({{.endpoint = "chat", .max_tokens = 50, .stream = false},
             {.endpoint = "chat",
              .at = milliseconds(10),
              .leave_after = milliseconds(100),
              .stream = false}});
  ASSERT_EQ(world.usage.records.size(), 2u);
  const meter::UsageRecord& waited = world.usage.records[0];
  EXPECT_EQ(waited.end, meter::RequestEnd::kDisconnected);
  EXPECT_EQ(waited.source, meter::UsageSource::kNone);
  EXPECT_EQ(waited.cost_milli, 0u);
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
