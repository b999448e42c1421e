#include "gateway/limits_replay.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "base/test_folder.h"
#include "meter/ledger.h"

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kNow = TimePoint(seconds(1'000'003));
const WallTime kWallNow = WallTime(seconds(1'800'000'000));

meter::UsageRecord RecordOf(const char* user, Duration ago, std::uint64_t tokens) {
  return {.ended_at = kWallNow - std::chrono::duration_cast<milliseconds>(ago),
          .endpoint = "chat",
          .endpoint_id = "id",
          .requester = user,
          .end = meter::RequestEnd::kCompleted,
          .status = 200,
          .input_tokens = tokens / 2,
          .output_tokens = tokens - tokens / 2};
}

policy::KeyTable Keys() {
  return policy::KeyTable(
      {{.hash = policy::HashSecret("a"), .name = "ann"},
       {.hash = policy::HashSecret("b"), .name = "bob", .groups = {"interns"}}});
}

std::shared_ptr<const LiveTable> TableWith(PoolSet& pools, std::vector<policy::RateLimit> limits) {
  policy::EndpointRoute route{.id = "id", .name = "chat"};
  route.policy.rate_limits = std::move(limits);
  route.served.emplace_back().name = "one";
  policy::RoutingTable table;
  table.Add(std::move(route));
  return pools.Apply(table, kNow);
}

TEST(LimitsReplay, WhatWasServedBeforeARestartCounts) {
  PoolSet pools;
  const auto table = TableWith(pools, {{.key = policy::LimitKey::kUser, .calls = 3},
                                       {.key = policy::LimitKey::kUserGroup, .tokens = 1000}});
  LimitsReplay replay(*table, kWallNow, kNow);
  for (const int ago : {40, 10, 25}) replay.Add(RecordOf("ann", seconds(ago), 10));
  replay.Add(RecordOf("bob", seconds(2), 900));
  EXPECT_EQ(replay.Apply(Keys()), 4u);
  EndpointLimits& limits = *table->Find("chat")->limits;
  const auto refused = limits.Arrive({.user = "ann"}, 1, kNow);
  ASSERT_TRUE(refused) << "three calls were made already";
  EXPECT_EQ(refused->current, 3);
  EXPECT_LE(refused->retry_after, seconds(25)) << "the first of them leaves the window";
  const std::vector<std::string> interns = {"interns"};
  EXPECT_TRUE(limits.Arrive({.user = "bob", .groups = interns}, 101, kNow));
  EXPECT_FALSE(limits.Arrive({.user = "bob", .groups = interns}, 100, kNow));
  EXPECT_FALSE(limits.Arrive({.user = "ann"}, 1, kNow + seconds(70)));
}

TEST(LimitsReplay, WhatNoLimitCountedIsLeftOut) {
  PoolSet pools;
  const auto table = TableWith(pools, {{.calls = 1}});
  LimitsReplay replay(*table, kWallNow, kNow);
  replay.Add(RecordOf("ann", LimitsReplay::kReach, 1));
  meter::UsageRecord record = RecordOf("ann", seconds(1), 1);
  record.end = meter::RequestEnd::kRefused;
  replay.Add(record);
  record = RecordOf("ann", seconds(1), 1);
  record.endpoint = "gone";
  replay.Add(record);
  record.endpoint = "chat";
  record.endpoint_id = "";  // It never became a request of that endpoint.
  replay.Add(record);
  EXPECT_EQ(replay.Apply(Keys()), 0u);
  EXPECT_FALSE(table->Find("chat")->limits->Arrive({.user = "ann"}, 1, kNow));
}

// A limiter that was there all the time and one that was made of the records are of one mind.
TEST(LimitsReplay, AgreesWithALimiterThatNeverEnded) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const std::vector<policy::RateLimit> rules = {
        {.calls = static_cast<std::int64_t>(1 + random.Below(60))},
        {.key = policy::LimitKey::kUser,
         .tokens = static_cast<std::int64_t>(1 + random.Below(900))},
        {.key = policy::LimitKey::kUserGroup, .principal = "interns", .calls = 20}};
    policy::RateLimiter lasting;
    lasting.Configure(rules);
    PoolSet pools;
    const auto table = TableWith(pools, rules);
    LimitsReplay replay(*table, kWallNow, kNow);
    const std::vector<std::string> interns = {"interns"};
    const auto caller = [&interns](bool bob) {
      return bob ? policy::Caller{.user = "bob", .groups = interns} : policy::Caller{.user = "ann"};
    };
    std::vector<Duration> ages;
    for (int i = 0; i < 80; ++i) ages.push_back(milliseconds(random.Below(100'000)));
    std::ranges::sort(ages, std::greater{});
    for (const Duration age : ages) {
      const bool bob = random.Below(2) == 0;
      const auto tokens = static_cast<std::int64_t>(random.Below(100));
      const bool passed = !lasting.Arrive(caller(bob), tokens, kNow - age);
      if (!passed) continue;
      replay.Add(RecordOf(bob ? "bob" : "ann", age, static_cast<std::uint64_t>(tokens)));
    }
    static_cast<void>(replay.Apply(Keys()));
    for (const Duration later : {Duration{}, Duration(seconds(17)), Duration(seconds(50))}) {
      for (const bool bob : {false, true}) {
        const auto expected = lasting.HeadroomOf(caller(bob), kNow + later);
        const auto actual = table->Find("chat")->limits->HeadroomOf(caller(bob), kNow + later);
        EXPECT_EQ(actual.remaining_calls, expected.remaining_calls);
        EXPECT_EQ(actual.remaining_tokens, expected.remaining_tokens);
        EXPECT_EQ(actual.reset_calls, expected.reset_calls);
        EXPECT_EQ(actual.reset_tokens, expected.reset_tokens);
      }
    }
  }
}

TEST(LimitsReplay, ReadsTheLedger) {
  const TestFolder folder;
  {
    auto ledger = *meter::Ledger::Open(folder.path());
    auto writer = ledger->MakeWriter();
    meter::UsageRecord record = RecordOf("ann", seconds(3), 5);
    record.id = {.high = 1, .low = 1};
    writer->Record(record);
  }
  PoolSet pools;
  const auto table = TableWith(pools, {{.calls = 1}});
  const auto counted = ReplayLimits(*table, Keys(), folder.path(), kWallNow, kNow);
  ASSERT_TRUE(counted) << counted.error().message;
  EXPECT_EQ(*counted, 1u);
  EXPECT_TRUE(table->Find("chat")->limits->Arrive({.user = "ann"}, 1, kNow));
  const auto unlimited = TableWith(pools, {});
  EXPECT_EQ(*ReplayLimits(*unlimited, Keys(), "/nowhere", kWallNow, kNow), 0u);
}

}  // namespace
}  // namespace penstock::gateway
