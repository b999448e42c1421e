// Where a request goes through the real gateway, and what it is told: quotas, limits, spill-over,
// fallback, retries, dialects.
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

// Provisioned units that one request fills.
policy::EndpointRoute& AddFullUnits(World& world, const std::string& name) {
  policy::EndpointRoute& route = world.Add(name);
  policy::LanePolicy& lane = route.served[0].lane;
  lane.guarantee_per_s = lane.cap_per_s = 1;
  lane.cap_burst = lane.guarantee_burst = seconds(1);
  lane.accounting = policy::Accounting::kUtilization;
  lane.overload = policy::Overload::kReject;
  return route;
}

TEST(PlacesSim, StandardQuotaSpeaksAzuresWords) {
  World world;
  world.Add("std").served[0].lane.quota =
      policy::StandardQuota{.tokens_per_minute = 1000, .requests_per_minute = 6};
  world.Publish();
  const std::string path =
      "/openai/deployments/std/chat/completions?api-version=2024-02-15-preview";
  const auto told = world.Run({{.endpoint = "std", .path = path},
                               {.endpoint = "std", .at = milliseconds(500), .path = path}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_EQ(told[0].headers.at("x-ratelimit-limit-tokens"), "1000");
  EXPECT_EQ(told[0].headers.at("x-ratelimit-remaining-requests"), "0");
  EXPECT_EQ(told[0].headers.at("x-ms-deployment-name"), "std");
  ASSERT_EQ(told[1].status, 429);
  EXPECT_THAT(told[1].body,
              HasSubstr("Requests to the ChatCompletions_Create Operation under Azure OpenAI API "
                        "version 2024-02-15-preview have exceeded call rate limit of your current "
                        "OpenAI S0 pricing tier. Please retry after 10 seconds. Please go here: "
                        "https://aka.ms/oai/quotaincrease if you would like to further increase "
                        "the default rate limit."));
  EXPECT_THAT(told[1].body, HasSubstr(R"("code":"429")"));
}

TEST(PlacesSim, RateLimitsCountTheKeysOwnerAndNotTheBodysUser) {
  World world;
  world.Add("chat").policy.rate_limits = {
      {.key = policy::LimitKey::kUser, .calls = 1},
      {.key = policy::LimitKey::kUserGroup, .principal = "interns", .calls = 1}};
  world.Publish();
  const std::string spoofed =
      R"({"model":"chat","stream":true,"max_tokens":1,"user":"bob","messages":[]})";
  const auto told = world.Run({{.endpoint = "chat"},
                               {.endpoint = "chat", .at = milliseconds(10), .body = spoofed},
                               {.endpoint = "chat", .at = milliseconds(20), .key = "psk_bob"}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_EQ(told[0].headers.at("x-ratelimit-limit-requests"), "1");
  ASSERT_EQ(told[1].status, 429);
  EXPECT_THAT(told[1].body, HasSubstr("User defined rate limit(s) exceeded"));
  EXPECT_EQ(told[2].status, 200);
}

TEST(PlacesSim, AListOfPermissionsIsKept) {
  World world;
  world.Add("chat").policy.access = {{.principal = "bob", .level = policy::PermissionLevel::kView}};
  world.Add("open");
  world.Publish();
  const auto told = world.Run(
      {{.endpoint = "chat"}, {.endpoint = "chat", .key = "psk_bob"}, {.endpoint = "open"}});
  ASSERT_EQ(told[0].status, 404);
  EXPECT_THAT(told[0].body, HasSubstr("no endpoint has this name"));
  ASSERT_EQ(told[1].status, 403);
  EXPECT_THAT(told[1].body, HasSubstr("the key 'bob' may see it; to query it, it needs CAN_QUERY"));
  EXPECT_EQ(told[2].status, 200);
  EXPECT_EQ(world.one.started, 1);
}

TEST(PlacesSim, NobodySpillsToWhatItMayNotQuery) {
  World world;
  AddFullUnits(world, "ptu");
  auto& secret = world.Add("secret");
  secret.policy.access = {{.principal = "bob", .level = policy::PermissionLevel::kQuery}};
  secret.served[0].replicas = {{.id = 2, .address = "unix:/two"}};
  world.Publish();
  const std::vector<http::Field> wish = {{"x-ms-spillover-deployment", "secret"}};
  const auto told =
      world.Run({{.endpoint = "ptu"},
                 {.endpoint = "ptu", .at = milliseconds(300), .fields = wish},
                 {.endpoint = "ptu", .at = milliseconds(310), .key = "psk_bob", .fields = wish}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_EQ(told[1].status, 429);
  EXPECT_EQ(told[2].status, 200);
  EXPECT_EQ(world.two.started, 1);
}

TEST(PlacesSim, SpillsOverFromProvisionedToStandardAndChargesOnce) {
  World world;
  AddFullUnits(world, "ptu").policy.spillover = "std";
  auto& standard = world.Add("std");
  standard.served[0].replicas = {{.id = 2, .address = "unix:/two"}};
  world.Publish();
  const auto told = world.Run({{.endpoint = "ptu"}, {.endpoint = "ptu", .at = milliseconds(300)}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_EQ(told[1].status, 200);
  EXPECT_EQ(told[1].headers.at("x-ms-spillover-from-ptu"), "ptu");
  EXPECT_EQ(told[1].headers.at("x-ms-deployment-name"), "std");
  EXPECT_EQ(world.one.started, 1);
  EXPECT_EQ(world.two.started, 1);
  EXPECT_NEAR(world.pools.LoadOf("ptu/ptu-1")->served_cost_total, 20, 1e-9);
  EXPECT_NEAR(world.pools.LoadOf("std/std-1")->served_cost_total, 20, 1e-9);
  ExpectAllGivenBack(world);
}

TEST(PlacesSim, AFailedSpillOverTellsTheFirstAnswer) {
  World world;
  AddFullUnits(world, "ptu");
  auto& standard = world.Add("std");
  standard.served[0].replicas = {{.id = 2, .address = "unix:/two"}};
  world.two.status = 500;
  world.Publish();
  const std::vector<http::Field> wish = {{"x-ms-spillover-deployment", "std"}};
  const auto told = world.Run({{.endpoint = "ptu"},
                               {.endpoint = "ptu", .at = milliseconds(300), .fields = wish},
                               {.endpoint = "ptu", .at = milliseconds(310)}});
  EXPECT_EQ(told[1].status, 429);
  EXPECT_EQ(told[1].headers.at("x-ms-spillover-error"), "500");
  EXPECT_EQ(told[1].headers.count("azure-openai-deployment-utilization"), 1u);
  EXPECT_EQ(told[1].headers.count("retry-after-ms"), 1u);
  EXPECT_EQ(told[2].status, 429) << "without property and header nothing spills";
  EXPECT_EQ(told[2].headers.count("x-ms-spillover-error"), 0u);
  EXPECT_EQ(world.two.started, 1);
  ExpectAllGivenBack(world);
}

TEST(PlacesSim, FallsBackToTheOtherServedEntitiesInOrder) {
  World world;
  auto& route = world.Add("chat");
  route.policy.fallback = true;
  route.served[0].traffic_percentage = 100;
  auto& second = route.served.emplace_back(route.served[0]);
  second.name = "chat-2";
  second.traffic_percentage = 0;
  second.replicas = {{.id = 2, .address = "unix:/two"}};
  world.one.status = 500;
  world.Publish();
  const auto told =
      world.Run({{.endpoint = "chat", .path = "/serving-endpoints/chat/invocations"}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_EQ(told[0].headers.at("served-model-name"), "chat-2");
  ExpectAllGivenBack(world);
}

TEST(PlacesSim, AllFallbacksFailingTellsTheLastError) {
  World world;
  auto& route = world.Add("chat");
  route.policy.fallback = true;
  auto& second = route.served.emplace_back(route.served[0]);
  second.name = "chat-2";
  second.traffic_percentage = 0;
  second.replicas = {{.id = 2, .address = "unix:/two"}};
  world.one.status = 500;
  world.two.status = 502;
  world.Publish();
  EXPECT_EQ(world.Run({{.endpoint = "chat"}})[0].status, 502);
  ExpectAllGivenBack(world);
}

TEST(PlacesSim, SplitsTrafficByItsPercentages) {
  World world;
  auto& route = world.Add("chat");
  route.served[0].traffic_percentage = 75;
  auto& second = route.served.emplace_back(route.served[0]);
  second.name = "chat-2";
  second.traffic_percentage = 25;
  second.replicas = {{.id = 2, .address = "unix:/two"}};
  world.Publish();
  std::vector<Ask> asks;
  for (int i = 0; i < 200; ++i) {
    asks.push_back({.endpoint = "chat", .max_tokens = 1, .at = milliseconds(i)});
  }
  (void)world.Run(asks);
  EXPECT_EQ(world.one.started + world.two.started, 200);
  EXPECT_NEAR(world.one.started, 150, 30);
}

TEST(PlacesSim, AnUpstreamsOwn429IsRetriedElsewhereThenTold) {
  World world;
  world.Add("chat").served[0].replicas = {{.id = 1, .address = "unix:/one"},
                                          {.id = 2, .address = "unix:/two"}};
  world.Publish();
  world.one.status = 429;
  EXPECT_EQ(world.Run({{.endpoint = "chat"}, {.endpoint = "chat"}})[0].status, 200);
  World alone;
  alone.Add("chat");
  alone.Publish();
  alone.one.status = 429;
  alone.one.retry_after = "7";
  const auto told = alone.Run(std::vector<Ask>(30, Ask{.endpoint = "chat"}));
  for (const Told& one : told) {
    EXPECT_EQ(one.status, 429);
    EXPECT_EQ(one.headers.at("retry-after"), "7");
  }
  EXPECT_EQ(alone.one.started, 30) << "thirty refusals are thirty requests, and no more";
  ExpectAllGivenBack(alone);
}

// When an upstream says when to come back, so is the client told: in every dialect, after a
// fallback too.
TEST(PlacesSim, AnUpstreamsRetryTimeIsPassedOn) {
  for (const bool fallback : {false, true}) {
    for (const std::string path :
         {"/v1/chat/completions", "/serving-endpoints/chat/invocations",
          "/openai/deployments/chat/chat/completions?api-version=2024-10-21"}) {
      SCOPED_TRACE(testing::Message() << path << " fallback=" << fallback);
      World world;
      auto& route = world.Add("chat");
      route.policy.fallback = fallback;
      auto& second = route.served.emplace_back(route.served[0]);
      second.name = "chat-2";
      second.traffic_percentage = 0;
      world.one.status = 429;
      world.one.retry_after = "7";
      world.one.retry_after_ms = "6500";
      world.Publish();
      const auto told = world.Run({{.endpoint = "chat", .path = path}});
      EXPECT_EQ(told[0].status, 429);
      ASSERT_EQ(told[0].headers.count("retry-after-ms"), 1u);
      EXPECT_EQ(told[0].headers.at("retry-after-ms"), "6500");
      EXPECT_EQ(told[0].headers.at("retry-after"), "7");
    }
  }
}

// Usage that claims the impossible neither overflows the buckets nor empties them for ever.
TEST(PlacesSim, AnUpstreamThatLiesInUsageChangesLittle) {
  World world;
  auto& lane = world.Add("chat").served[0].lane;
  lane.cap_per_s = 1000;
  lane.cap_burst = seconds(1);
  world.one.claimed_tokens = 1'000'000'000;
  world.Publish();
  const auto told = world.Run({{.endpoint = "chat"}, {.endpoint = "chat", .at = seconds(2)}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_EQ(told[1].status, 200);
  EXPECT_LE(told[1].first, seconds(1));
  ExpectAllGivenBack(world);
}

// Nor does usage that claims to have made nothing make an answer free.
TEST(PlacesSim, AnUpstreamThatClaimsTooLittleIsCounted) {
  for (const bool stream : {false, true}) {
    for (const std::uint64_t claimed : {0u, 3u, 500u, 600u}) {
      SCOPED_TRACE(testing::Message() << "stream=" << stream << " claimed=" << claimed);
      World world;
      world.Add("chat");
      world.one.claimed_tokens = claimed;
      world.Publish();
      (void)world.Run({{.endpoint = "chat", .max_tokens = 500, .stream = stream}});
      ASSERT_EQ(world.usage.records.size(), 1u);
      const meter::UsageRecord& record = world.usage.records[0];
      // A whole answer tells its size alone, and 460 bytes may be 8 tokens.
      const bool believed = claimed >= (stream ? 499u : 8u);
      if (believed) {
        EXPECT_EQ(record.source, meter::UsageSource::kUpstream);
        EXPECT_EQ(record.output_tokens, claimed);
      } else {
        EXPECT_NE(record.source, meter::UsageSource::kUpstream);
        EXPECT_GE(record.output_tokens, stream ? 500u : 125u);
      }
    }
  }
}

// Where nobody counted, Databricks' formula: characters, and not the bytes that they take.
TEST(PlacesSim, EstimatesByCharacters) {
  World world;
  world.Add("chat");
  world.one.body = R"({"choices":[{"index":0,"message":{"content":"日本語日本語日"}}]})";
  world.one.answers_body = true;
  world.Publish();
  (void)world.Run(
      {{.body = R"({"model":"chat","messages":[{"content":"ééééééé"}]})"},
       {.body = R"({"model":"chat","messages":[{"content":"\u00e9\u00e9\u00e9ééaa"}]})"}});
  ASSERT_EQ(world.usage.records.size(), 2u);
  for (const meter::UsageRecord& record : world.usage.records) {
    EXPECT_EQ(record.source, meter::UsageSource::kEstimated);
    EXPECT_EQ(record.input_tokens, 2u) << "(7 + 1) / 4";
    EXPECT_EQ(record.output_tokens, 2u);
  }
}

TEST(PlacesSim, AzuresPathsNeedAnApiVersionAndKnowTheirErrors) {
  World world;
  world.Add("chat");
  world.Publish();
  const std::string classic = "/openai/deployments/chat/chat/completions";
  const std::string unknown = "/openai/deployments/nobody/chat/completions?api-version=2024-10-21";
  const auto told = world.Run(
      {{.endpoint = "chat", .path = classic},
       {.endpoint = "x", .path = unknown},
       {.endpoint = "chat", .path = "/openai/v1/chat/completions"},
       {.endpoint = "chat", .path = classic + "?api-version=2024-10-21", .key = "psk_wrong"}});
  EXPECT_EQ(told[0].status, 404);
  EXPECT_EQ(told[0].body, R"({"error":{"code":"404","message":"Resource not found"}})");
  EXPECT_EQ(told[1].status, 404);
  EXPECT_THAT(told[1].body, HasSubstr("DeploymentNotFound"));
  EXPECT_EQ(told[2].status, 200);
  EXPECT_EQ(told[3].status, 401);
  EXPECT_THAT(told[3].body, HasSubstr("invalid subscription key"));
}

TEST(PlacesSim, PromptsThatBeginAlikeMeetOnOneReplica) {
  World world;
  world.Add("chat").served[0].replicas = {{.id = 1, .address = "unix:/one"},
                                          {.id = 2, .address = "unix:/two"}};
  world.Publish();
  std::vector<Ask> asks;
  for (int i = 0; i < 40; ++i) {
    const std::string shared(6000, static_cast<char>('a' + i % 2));
    asks.push_back(
        {.at = milliseconds(150 * i),
         .body = fmt::format(R"({{"model":"chat","stream":true,"max_tokens":5,"messages":)"
                             R"([{{"role":"user","content":"{}{}"}}]}})",
                             shared, i)});
  }
  (void)world.Run(asks);
  // Two beginnings: each stays where it was first. Both may have met on the same one.
  EXPECT_EQ(world.one.started % 20, 0);
  EXPECT_EQ(world.two.started % 20, 0);
}

// Whatever operation fails: what was reserved is given back, and nobody waits for ever.
TEST(PlacesSim, GivesEverythingBackWhateverFails) {
  for (std::uint64_t number = 1;; ++number) {
    SCOPED_TRACE(testing::Message() << "operation " << number << " fails");
    World world;
    world.loop.network().FailOperation(number);
    auto& served = world.Add("chat").served[0];
    served.pool_policy = {.replica_concurrency = 1};
    served.lane.cap_per_s = 50;
    served.lane.cap_burst = seconds(1);
    world.Publish();
    (void)world.Run(std::vector<Ask>(3, Ask{.endpoint = "chat", .max_tokens = 3}), seconds(5));
    ExpectAllGivenBack(world);
    if (world.loop.network().operations() < number) break;
  }
}

}  // namespace
}  // namespace penstock::gateway
