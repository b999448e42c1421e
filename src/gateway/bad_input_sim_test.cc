// What clients, upstreams and clocks may do wrong, through the real gateway.
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
using testing::Not;

std::string Body(const std::string& fields) {
  return fmt::format(R"({{"model":"chat","stream":true,{},"messages":[]}})", fields);
}

TEST(BadInputSim, TokenLimitsThatAreNoneAreRefusedAndReserveNothing) {
  World world;
  world.Add("chat").served[0].lane.quota = policy::StandardQuota{.tokens_per_minute = 1000};
  world.Publish();
  std::vector<Ask> asks;
  for (const char* field :
       {"max_tokens", "max_completion_tokens", "max_output_tokens", "max_new_tokens"}) {
    for (const char* value :
         {"0", "-1", "2147483648", "9223372036854775808", "\"5\"", "1.5", "[]"}) {
      asks.push_back({.body = Body(fmt::format(R"("{}":{})", field, value))});
    }
  }
  for (const Told& told : world.Run(asks)) {
    EXPECT_EQ(told.status, 400);
    EXPECT_THAT(told.body, HasSubstr("max_"));
  }
  EXPECT_EQ(world.one.started, 0);
  for (const meter::UsageRecord& record : world.usage.records) EXPECT_EQ(record.reserved_milli, 0u);
  ExpectAllGivenBack(world);
}

// BerriAI/litellm#34223: a small limit in one field hid a large one in another.
TEST(BadInputSim, OfContradictoryLimitsTheHighestIsReserved) {
  for (const char* fields : {R"("max_tokens":1,"max_completion_tokens":738)",
                             R"("max_completion_tokens":738,"max_tokens":1)",
                             R"("max_new_tokens":1,"max_output_tokens":738)"}) {
    World world;
    world.Add("chat").served[0].lane.quota = policy::StandardQuota{.tokens_per_minute = 700};
    world.Publish();
    const auto told = world.Run({{.body = Body(fields)}, {.at = seconds(1), .body = Body(fields)}});
    EXPECT_EQ(told[0].status, 200) << "the first request always passes";
    EXPECT_EQ(told[0].headers.at("x-ratelimit-remaining-tokens"), "0") << fields;
    EXPECT_EQ(told[1].status, 429) << fields;
  }
}

// One estimate of a prompt, wherever one is needed: by its characters, and not by its bytes.
TEST(BadInputSim, RateLimitsCountAPromptAsMeteringDoes) {
  World world;
  world.Add("chat").policy.rate_limits = {{.tokens = 1000}};
  world.Publish();
  std::string prompt;
  for (int i = 0; i < 403; ++i) prompt += "\xc3\xa9";
  const auto told = world.Run(
      {{.path = "/v1/completions",
        .body = fmt::format(R"({{"model":"chat","max_tokens":20,"prompt":"{}"}})", prompt)}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_EQ(told[0].headers.at("x-ratelimit-remaining-tokens"), std::to_string(1000 - 101 - 20));
  ASSERT_EQ(world.usage.records.size(), 1u);
  EXPECT_EQ(world.usage.records[0].input_bytes, 806u);
  EXPECT_EQ(world.usage.records[0].input_characters, 403u);
  EXPECT_EQ(world.usage.records[0].output_characters, 20u);
}

TEST(BadInputSim, EveryChoiceIsReserved) {
  for (const char* fields : {R"("max_tokens":10,"n":128)", R"("max_tokens":10,"best_of":128)"}) {
    World world;
    world.Add("chat").served[0].lane.quota = policy::StandardQuota{.tokens_per_minute = 1200};
    world.Publish();
    const auto told = world.Run({{.body = Body(fields)}, {.at = seconds(1), .body = Body(fields)}});
    EXPECT_EQ(told[0].status, 200);
    EXPECT_EQ(told[1].status, 429) << "128 times 10 are more than 1,200: " << fields;
  }
}

// Clocks are set back and forth by days: limits, queues and durations go by the monotonic one.
TEST(BadInputSim, AJumpingClockChangesNoLimit) {
  for (const int days : {-1, 1}) {
    World world;
    auto& route = world.Add("chat");
    route.policy.rate_limits = {{.calls = 2}};
    route.served[0].lane.cap_per_s = 100;
    world.Publish();
    io::TaskScope scope(world.loop);
    const auto jump = [](World& at, int by) -> io::Task<void> {
      (void)co_await at.loop.Sleep(milliseconds(500));
      at.loop.JumpWallClock(std::chrono::days(by));
    };
    scope.Spawn("jump", jump(world, days));
    const auto told = world.Run({{.endpoint = "chat", .max_tokens = 100},
                                 {.endpoint = "chat", .at = seconds(2)},
                                 {.endpoint = "chat", .at = seconds(3)},
                                 {.endpoint = "chat", .at = seconds(70)}});
    EXPECT_EQ(told[0].status, 200);
    EXPECT_EQ(told[1].status, 200);
    EXPECT_EQ(told[2].status, 429) << "still within the same minute, whatever the date";
    EXPECT_EQ(told[3].status, 200);
    ASSERT_FALSE(world.usage.records.empty());
    EXPECT_NEAR(static_cast<double>(world.usage.records[0].duration_us), 1e6, 0.1e6);
    ExpectAllGivenBack(world);
    io::RunBlocking(world.loop, scope.Join());
  }
}

// Nobody told it to end, and it does not: what it makes is debited as it comes, so that the cap
// holds the others back, and ends when the client has had enough.
TEST(BadInputSim, AnUpstreamThatNeverEndsIsPaidForAsItGoes) {
  World world;
  auto& lane = world.Add("chat").served[0].lane;
  lane.cap_per_s = 50;
  lane.cap_burst = seconds(4);
  lane.overload = policy::Overload::kReject;
  world.one.tokens_instead = 1'000'000;
  world.Publish();
  const auto told = world.Run(
      {{.leave_after = seconds(10), .body = Body(R"("n":1)")},
       {.endpoint = "chat", .max_tokens = 100, .at = seconds(9)},
       {.endpoint = "chat", .max_tokens = 10, .at = seconds(40), .leave_after = seconds(1)}});
  EXPECT_EQ(told[1].status, 429) << "some 900 tokens were drawn of 200 + 9 x 50";
  EXPECT_EQ(told[2].status, 200);
  ASSERT_GE(world.usage.records.size(), 2u);
  EXPECT_EQ(world.one.running, 0);
  ExpectAllGivenBack(world);
}

// It was told to make ten tokens, and never ends: after twice as many and 64 the client gets an
// orderly end, which says that the limit was reached, and the replica is left.
TEST(BadInputSim, AnUpstreamThatIgnoresItsLimitIsEnded) {
  for (const char* fields : {R"("max_tokens":10)", R"("max_completion_tokens":10,"n":1)",
                             R"("max_tokens":10,"stream_options":{"include_usage":true})"}) {
    SCOPED_TRACE(fields);
    const bool asked_usage = std::string_view(fields).find("include_usage") != std::string::npos;
    World world;
    world.Add("chat");
    world.one.tokens_instead = 1'000'000;
    world.Publish();
    const Told told = world.Run({{.body = Body(fields)}})[0];
    EXPECT_EQ(told.status, 200);
    EXPECT_TRUE(told.whole);
    EXPECT_THAT(told.body, HasSubstr(R"("finish_reason":"length")"));
    EXPECT_TRUE(told.body.ends_with("data: [DONE]\n\n"))
        << told.body.substr(told.body.size() - 200);
    EXPECT_EQ(told.body.find("\"completion_tokens\":85") != std::string::npos, asked_usage);
    ASSERT_EQ(world.usage.records.size(), 1u);
    EXPECT_EQ(world.usage.records[0].output_tokens, 85u) << "what was passed on is billed";
    EXPECT_EQ(world.usage.records[0].end, meter::RequestEnd::kCompleted);
    EXPECT_EQ(world.usage.records[0].source, meter::UsageSource::kCounted);
    EXPECT_EQ(world.one.running, 0);
    EXPECT_THAT(world.metrics.Expose(),
                HasSubstr("penstock_stream_overruns_total{endpoint=\"chat\"} 1\n"));
    ExpectAllGivenBack(world);
  }
}

// No limit in the request: the model's context is one.
TEST(BadInputSim, AnUpstreamThatNeverEndsIsEndedBeyondItsContext) {
  World world;
  world.Add("chat").served[0].context_tokens = 50;
  world.one.tokens_instead = 1'000'000;
  world.Publish();
  const Told told = world.Run({{.body = Body(R"("n":1)")}})[0];
  EXPECT_TRUE(told.whole);
  EXPECT_THAT(told.body, HasSubstr(R"("finish_reason":"length")"));
  ASSERT_EQ(world.usage.records.size(), 1u);
  EXPECT_EQ(world.usage.records[0].output_tokens, 2u * 50 + 64 + 1);
  EXPECT_EQ(world.one.running, 0);
  ExpectAllGivenBack(world);
}

// Each choice has the limit for itself; and a server that stays below its bound ends by itself.
TEST(BadInputSim, WhatStaysWithinTheBoundIsNotTouched) {
  for (const char* fields :
       {R"("max_tokens":10)", R"("max_tokens":2,"n":5)", R"("max_tokens":1,"best_of":10)"}) {
    SCOPED_TRACE(fields);
    World world;
    world.Add("chat");
    world.one.tokens_instead = 84;
    world.Publish();
    const Told told = world.Run({{.body = Body(fields)}})[0];
    EXPECT_TRUE(told.whole);
    EXPECT_THAT(told.body, Not(HasSubstr("finish_reason")));
    ASSERT_EQ(world.usage.records.size(), 1u);
    EXPECT_EQ(world.usage.records[0].output_tokens, 84u);
    EXPECT_EQ(world.usage.records[0].source, meter::UsageSource::kUpstream);
    ExpectAllGivenBack(world);
  }
}

TEST(BadInputSim, AnUpstreamThatFallsSilentIsGivenUp) {
  for (const bool with_usage : {false, true}) {
    World world;
    world.Add("chat");
    world.one.silent_after = 5;
    world.Publish();
    const auto told = world.Run(
        {{.body = Body(with_usage ? R"("stream_options":{"include_usage":true})" : R"("n":1)")}},
        seconds(200));
    EXPECT_EQ(told[0].status, 200);
    EXPECT_THAT(told[0].body, Not(HasSubstr("[DONE]")));
    ASSERT_EQ(world.usage.records.size(), 1u);
    EXPECT_EQ(world.usage.records[0].output_tokens, 5u);
    EXPECT_EQ(world.usage.records[0].end, meter::RequestEnd::kServerError);
    EXPECT_EQ(world.one.running, 0);
    ExpectAllGivenBack(world);
  }
}

// A prompt may say that it is anybody: the key decides who is counted.
TEST(BadInputSim, ASpoofedUserIsNobody) {
  World world;
  world.Add("chat").policy.rate_limits = {{.key = policy::LimitKey::kUser, .calls = 1}};
  world.Publish();
  std::vector<Ask> asks;
  for (int i = 0; i < 5; ++i) {
    asks.push_back({.at = milliseconds(100 * i),
                    .fields = {{"x-user", "bob"}, {"user", "bob"}},
                    .body = Body(fmt::format(R"("max_tokens":1,"user":"user-{}")", i))});
  }
  const auto told = world.Run(asks);
  EXPECT_EQ(told[0].status, 200);
  for (std::size_t i = 1; i < told.size(); ++i) EXPECT_EQ(told[i].status, 429);
  for (const meter::UsageRecord& record : world.usage.records) EXPECT_EQ(record.requester, "ann");
}

}  // namespace
}  // namespace penstock::gateway
