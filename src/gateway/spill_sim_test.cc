// Requests that another endpoint takes: whose limits hold, where they are metered, what is told.
// And the ids that every answer carries.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <fmt/format.h>

#include "gateway/contract_testing.h"

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// "ptu", which one request fills, spills to "std" on engine two.
void AddBoth(World& world) {
  policy::EndpointRoute& ptu = world.Add("ptu");
  policy::LanePolicy& lane = ptu.served[0].lane;
  lane.guarantee_per_s = lane.cap_per_s = 0.1;
  lane.cap_burst = lane.guarantee_burst = seconds(1);
  lane.accounting = policy::Accounting::kUtilization;
  lane.overload = policy::Overload::kReject;
  ptu.policy.spillover = "std";
  world.Add("std").served[0].replicas = {{.id = 2, .address = "unix:/two"}};
}

TEST(SpillSim, IsMeteredWhereItWasServedAndRefusedWhereItWasNot) {
  World world;
  AddBoth(world);
  world.Publish();
  const auto told = world.Run(
      {{.endpoint = "ptu"}, {.endpoint = "ptu", .max_tokens = 30, .at = milliseconds(300)}});
  EXPECT_EQ(told[1].status, 200);
  EXPECT_EQ(told[1].headers.at("x-ms-std"), "std");
  EXPECT_EQ(told[1].headers.at("x-ms-spillover-from-deployment"), "ptu");
  const std::string page = world.metrics.Expose();
  for (const char* line : {R"(penstock_tokens_total{endpoint="ptu",kind="output"} 10)",
                           R"(penstock_tokens_total{endpoint="std",kind="output"} 30)",
                           R"(penstock_requests_total{end="completed",endpoint="ptu"} 1)",
                           R"(penstock_requests_total{end="refused",endpoint="ptu"} 1)",
                           R"(penstock_requests_total{end="completed",endpoint="std"} 1)",
                           R"(penstock_requests_running{endpoint="ptu"} 0)",
                           R"(penstock_requests_running{endpoint="std"} 0)"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  ASSERT_EQ(world.usage.records.size(), 3u);
  const meter::UsageRecord& refused = world.usage.records[1];
  EXPECT_EQ(refused.endpoint, "ptu");
  EXPECT_EQ(refused.status, 429);
  EXPECT_EQ(refused.end, meter::RequestEnd::kRefused);
  EXPECT_EQ(refused.spilled_from, "ptu");
  EXPECT_FALSE(refused.is_spillover());
  EXPECT_EQ(refused.input_tokens + refused.output_tokens + refused.cost_milli, 0u);
  const meter::UsageRecord& served = world.usage.records[2];
  EXPECT_EQ(served.endpoint, "std");
  EXPECT_EQ(served.spilled_from, "ptu");
  EXPECT_TRUE(served.is_spillover());
  EXPECT_EQ(served.output_tokens, 30u);
  EXPECT_NE(served.id, refused.id);
  EXPECT_EQ(told[1].headers.at("x-request-id"), "req_" + served.id.ToString());
  ExpectAllGivenBack(world);
}

TEST(SpillSim, TheOtherPlacesLimitsHold) {
  World world;
  AddBoth(world);
  world.routes[0].policy.rate_limits = {{.calls = 100}};
  world.routes[1].policy.rate_limits = {{.key = policy::LimitKey::kUser, .calls = 1}};
  world.Publish();
  const auto told = world.Run({{.endpoint = "ptu"},
                               {.endpoint = "ptu", .at = milliseconds(300)},
                               {.endpoint = "ptu", .at = milliseconds(600)},
                               {.endpoint = "ptu", .at = milliseconds(900), .key = "psk_bob"}});
  EXPECT_EQ(told[0].headers.at("x-ratelimit-limit-requests"), "100");
  EXPECT_EQ(told[1].status, 200);
  EXPECT_EQ(told[1].headers.at("x-ratelimit-limit-requests"), "1");
  ASSERT_EQ(told[2].status, 429);
  EXPECT_EQ(told[2].headers.at("x-ms-spillover-error"), "429");
  EXPECT_EQ(told[2].headers.at("x-ratelimit-limit-requests"), "100") << "the first answer's own";
  EXPECT_EQ(told[2].headers.count("azure-openai-deployment-utilization"), 1u);
  EXPECT_EQ(told[3].status, 200) << "another user";
  EXPECT_EQ(world.two.started, 2);
  ExpectAllGivenBack(world);
}

// Tokens that were reserved at the first place are not held there while the second one works.
TEST(SpillSim, TheFirstPlacesTokensAreGivenBack) {
  World world;
  AddBoth(world);
  world.routes[0].policy.rate_limits = {{.tokens = 100}};
  world.Publish();
  const auto told = world.Run({{.endpoint = "ptu", .max_tokens = 5},
                               {.endpoint = "ptu", .max_tokens = 60, .at = milliseconds(300)},
                               {.endpoint = "ptu", .max_tokens = 60, .at = milliseconds(400)}});
  EXPECT_EQ(told[1].status, 200);
  EXPECT_EQ(told[2].status, 200);
  EXPECT_EQ(world.two.started, 2);
}

// Both places were asked in vain: both are seen, and what the client was told is the first's.
TEST(SpillSim, WhatFailsAtTheOtherPlaceTooIsSeenAtBoth) {
  World world;
  AddBoth(world);
  world.two.status = 500;
  world.Publish();
  const auto told = world.Run({{.endpoint = "ptu"}, {.endpoint = "ptu", .at = milliseconds(300)}});
  EXPECT_EQ(told[1].status, 429);
  EXPECT_EQ(told[1].headers.at("x-ms-spillover-error"), "500");
  EXPECT_EQ(told[1].headers.at("x-ms-spillover-from-deployment"), "ptu");
  ASSERT_EQ(world.usage.records.size(), 3u);
  const meter::UsageRecord& second = world.usage.records[1];
  EXPECT_EQ(second.endpoint, "std");
  EXPECT_EQ(second.spilled_from, "ptu");
  EXPECT_TRUE(second.is_spillover());
  EXPECT_EQ(second.status, 500);
  EXPECT_EQ(second.end, meter::RequestEnd::kServerError);
  const meter::UsageRecord& first = world.usage.records[2];
  EXPECT_EQ(first.endpoint, "ptu");
  EXPECT_FALSE(first.is_spillover());
  EXPECT_EQ(first.status, 429);
  EXPECT_EQ(first.reserved_milli, 0u);
  EXPECT_EQ(told[1].headers.at("x-request-id"), "req_" + first.id.ToString());
  for (const meter::UsageRecord* record : {&first, &second}) {
    EXPECT_EQ(record->input_tokens + record->output_tokens + record->cost_milli, 0u);
  }
  const std::string page = world.metrics.Expose();
  for (const char* line : {R"(penstock_requests_total{end="refused",endpoint="ptu"} 1)",
                           R"(penstock_requests_total{end="server_error",endpoint="std"} 1)",
                           R"(penstock_requests_running{endpoint="std"} 0)"}) {
    EXPECT_THAT(page, HasSubstr(line));
  }
  ExpectAllGivenBack(world);
}

TEST(SpillSim, WhoLeavesTheOtherPlacePaysThere) {
  World world;
  AddBoth(world);
  world.Publish();
  (void)world.Run({{.endpoint = "ptu"},
                   {.endpoint = "ptu",
                    .max_tokens = 100,
                    .at = milliseconds(300),
                    .leave_after = milliseconds(500),
                    .stream = false}});
  ASSERT_EQ(world.usage.records.size(), 3u);
  EXPECT_EQ(world.usage.records[1].endpoint, "ptu");
  EXPECT_EQ(world.usage.records[1].status, 429);
  const meter::UsageRecord& left = world.usage.records[2];
  EXPECT_EQ(left.endpoint, "std");
  EXPECT_EQ(left.spilled_from, "ptu");
  EXPECT_EQ(left.end, meter::RequestEnd::kDisconnected);
  EXPECT_GE(left.input_tokens, 10u);
  EXPECT_GE(left.output_tokens, 5u);
  EXPECT_THAT(world.metrics.Expose(),
              HasSubstr(R"(penstock_requests_total{end="disconnected",endpoint="std"} 1)"));
  ExpectAllGivenBack(world);
}

TEST(IdsSim, EveryAnswerCarriesTheIdOfItsRecord) {
  World world;
  world.Add("chat");
  world.Publish();
  const std::string azure = "/openai/deployments/chat/chat/completions?api-version=2024-10-21";
  const auto told = world.Run(
      {{.path = "/v1/chat/completions", .body = "{"},
       {.at = milliseconds(100), .path = azure, .body = "{"},
       {.at = milliseconds(200), .body = R"({"model":"nobody","messages":[]})"},
       {.at = milliseconds(300), .path = azure, .fields = {{"x-request-id", "mine"}}, .body = "{"},
       {.endpoint = "chat", .at = milliseconds(400), .key = "psk_wrong"},
       {.endpoint = "chat", .at = milliseconds(400), .path = "/nowhere"},
       {.endpoint = "chat", .at = milliseconds(400), .path = "/openai/nowhere"}});
  for (const Told& one : told) EXPECT_EQ(one.headers.count("x-request-id"), 1u) << one.body;
  ASSERT_EQ(world.usage.records.size(), 4u);
  for (std::size_t i : {0u, 1u, 2u}) {
    EXPECT_EQ(told[i].headers.at("x-request-id"), "req_" + world.usage.records[i].id.ToString());
  }
  EXPECT_EQ(told[1].headers.at("apim-request-id"), told[1].headers.at("x-request-id"));
  EXPECT_EQ(told[3].headers.at("x-request-id"), "mine");
  EXPECT_EQ(world.usage.records[3].client_request_id, "mine");
  EXPECT_EQ(told[6].headers.count("apim-request-id"), 1u);
}

TEST(IdsSim, AzuresClientIdIsEchoedAndNothingElse) {
  World world;
  world.Add("chat");
  world.Publish();
  const std::string path = "/openai/deployments/chat/chat/completions?api-version=2024-10-21";
  const std::string body =
      R"({"stream":true,"messages":[],"client_request_id":"of the body","max_tokens":2})";
  const auto told = world.Run(
      {{.path = path, .fields = {{"x-ms-client-request-id", "of the header"}}, .body = body},
       {.path = path, .fields = {{"x-request-id", "another"}}, .body = body}});
  EXPECT_EQ(told[0].headers.at("x-ms-client-request-id"), "of the header");
  EXPECT_EQ(told[1].headers.count("x-ms-client-request-id"), 0u);
  for (const Told& one : told) {
    EXPECT_EQ(one.headers.at("x-content-type-options"), "nosniff");
    EXPECT_EQ(one.headers.at("x-accel-buffering"), "no");
  }
}

}  // namespace
}  // namespace penstock::gateway
