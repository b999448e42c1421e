// Every refusal in the words and shape of each dialect, through the real gateway.
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
using testing::MatchesRegex;

constexpr const char* kAzurePath =
    "/openai/deployments/chat/chat/completions?api-version=2024-10-21";
constexpr const char* kDatabricksOpenAi = "/serving-endpoints/chat/completions";
constexpr const char* kInvocations = "/serving-endpoints/chat/invocations";

// The first request passes, the second does not.
Told SecondOf(World& world, const std::string& path) {
  world.Publish();
  auto told =
      world.Run({{.endpoint = "chat", .max_tokens = 20, .path = path},
                 {.endpoint = "chat", .max_tokens = 20, .at = milliseconds(50), .path = path}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_EQ(told[1].status, 429);
  return told[1];
}

struct Limit {
  std::string name;
  std::string type;   // Databricks' limit_type.
  std::string azure;  // What Azure's message says.
  std::function<void(policy::EndpointRoute&)> set;
};

class LimitDialects : public testing::TestWithParam<Limit> {};

TEST_P(LimitDialects, DatabricksOpenAiPathsTellLimitAndUse) {
  World world;
  GetParam().set(world.Add("chat"));
  const Told told = SecondOf(world, kDatabricksOpenAi);
  EXPECT_THAT(
      told.body,
      MatchesRegex(R"(\{"error":\{"message":"REQUEST_LIMIT_EXCEEDED: [^"]+","type":)"
                   R"("rate_limit_exceeded","code":429,"limit_type":")" +
                   GetParam().type +
                   R"(","limit":[1-9][0-9]*,"current":[0-9]+,"retry_after":[1-9][0-9]*\}\})"));
  EXPECT_EQ(told.headers.count("retry-after-ms"), 1u);
}

TEST_P(LimitDialects, InvocationsTellDatabricksCode) {
  World world;
  GetParam().set(world.Add("chat"));
  const Told told = SecondOf(world, kInvocations);
  EXPECT_THAT(told.body, MatchesRegex(R"(\{"error_code":"REQUEST_LIMIT_EXCEEDED","message":)"
                                      R"("REQUEST_LIMIT_EXCEEDED: [^"]+"\})"));
}

TEST_P(LimitDialects, AzureSpeaksOfItsOwnLimits) {
  World world;
  GetParam().set(world.Add("chat"));
  const Told told = SecondOf(world, kAzurePath);
  EXPECT_THAT(told.body, HasSubstr(R"({"error":{"code":"429","message":")"));
  EXPECT_THAT(told.body, HasSubstr(GetParam().azure));
}

INSTANTIATE_TEST_SUITE_P(
    Each, LimitDialects,
    testing::Values(Limit{"Calls", "queries_per_minute", "User defined rate limit",
                          [](auto& route) { route.policy.rate_limits = {{.calls = 1}}; }},
                    Limit{"Tokens", "tokens_per_minute", "User defined rate limit",
                          [](auto& route) { route.policy.rate_limits = {{.tokens = 30}}; }},
                    Limit{"QuotaCalls", "queries_per_minute", "exceeded call rate limit",
                          [](auto& route) {
                            route.served[0].lane.quota =
                                policy::StandardQuota{.requests_per_minute = 6};
                          }},
                    Limit{"QuotaTokens", "tokens_per_minute", "exceeded token rate limit",
                          [](auto& route) {
                            route.served[0].lane.quota =
                                policy::StandardQuota{.tokens_per_minute = 20};
                          }},
                    Limit{"Range", "provisioned_throughput_per_minute",
                          "exceeded its provisioned throughput",
                          [](auto& route) {
                            route.served[0].lane.cap_per_s = 10;
                            route.served[0].lane.cap_burst = seconds(2);
                            route.served[0].lane.overload = policy::Overload::kReject;
                          }}),
    [](const auto& info) { return info.param.name; });

// Within its limits, and yet there is no place: that is no limit, and Azure says so.
TEST(Dialects, WantOfRoomIsNoLimit) {
  for (const char* path : {kAzurePath, kDatabricksOpenAi}) {
    World world;
    auto& served = world.Add("chat").served[0];
    served.pool_policy.replica_concurrency = 1;
    served.lane.overload = policy::Overload::kReject;
    const Told told = SecondOf(world, path);
    EXPECT_THAT(told.body, HasSubstr(path == kAzurePath ? "System is experiencing high demand"
                                                        : "every replica is full"));
    EXPECT_THAT(told.body, testing::Not(HasSubstr("limit_type")));
    EXPECT_EQ(told.headers.count("retry-after-ms"), 1u);
  }
}

TEST(Dialects, AzureRefusesWhatTheModelIsNotFor) {
  World world;
  world.Add("chat").served[0].task = "llm/v1/chat";
  world.routes[0].served[0].model = "main.test.chat";
  world.Add("vectors").served[0].task = "llm/v1/embeddings";
  world.Add("anything");
  world.Publish();
  const auto path = [](const std::string& endpoint, const std::string& operation) {
    return fmt::format("/openai/deployments/{}/{}?api-version=2024-10-21", endpoint, operation);
  };
  const auto told = world.Run({{.endpoint = "x", .path = path("chat", "embeddings")},
                               {.endpoint = "x", .path = path("vectors", "chat/completions")},
                               {.endpoint = "x", .path = path("vectors", "completions")},
                               {.endpoint = "x", .path = path("anything", "embeddings")},
                               {.endpoint = "x", .path = path("chat", "chat/completions")},
                               {.endpoint = "vectors"}});
  EXPECT_EQ(told[0].status, 400);
  EXPECT_THAT(told[0].body,
              HasSubstr(R"({"error":{"code":"OperationNotSupported","message":"The )"
                        "embeddings operation does not work with the specified model, "
                        "main.test.chat. Please choose different model"));
  EXPECT_THAT(told[1].body, HasSubstr("The chatCompletion operation does not work"));
  EXPECT_THAT(told[2].body, HasSubstr("The completion operation does not work"));
  for (std::size_t i = 3; i < told.size(); ++i) EXPECT_EQ(told[i].status, 200) << i;
}

// Whoever makes up names makes no rows of usage.
TEST(Dialects, EndpointsThatThereAreNotShareARow) {
  World world;
  world.Add("chat");
  world.Publish();
  const auto told =
      world.Run({{.endpoint = "x", .path = "/serving-endpoints/made-up/invocations"},
                 {.endpoint = "x", .path = "/serving-endpoints/another/invocations"}});
  for (const Told& one : told) EXPECT_EQ(one.status, 404);
  ASSERT_EQ(world.usage.records.size(), 2u);
  for (const auto& record : world.usage.records) EXPECT_EQ(record.endpoint, "");
}

// A prompt that is too long keeps its code, which clients act on, and its field.
// Clients have it beside the API that is served: they are told which that is.
TEST(Dialects, TheResponsesApiIsNotServedAndSaysSo) {
  for (const char* path : {"/v1/responses", "/serving-endpoints/responses"}) {
    World world;
    world.Publish();
    const Told told = world.Run({{.path = path, .body = R"({"model":"chat","input":"hi"})"}})[0];
    EXPECT_EQ(told.status, 404);
    EXPECT_THAT(told.body, HasSubstr("chats go to .../chat/completions"));
  }
}

TEST(Dialects, ATooLongPromptKeepsItsCode) {
  World world;
  world.Add("chat");
  world.one.status = 400;
  world.one.body =
      R"({"error":{"message":"too long","type":"invalid_request_error","param":"messages",)"
      R"("code":"context_length_exceeded"}})";
  world.Publish();
  const auto told = world.Run({{.endpoint = "chat", .path = kAzurePath},
                               {.endpoint = "chat"},
                               {.endpoint = "chat", .path = kInvocations}});
  for (const Told& one : told) EXPECT_EQ(one.status, 400);
  EXPECT_THAT(told[0].body, HasSubstr(R"("code":"context_length_exceeded")"));
  EXPECT_THAT(told[0].body, HasSubstr(R"("param":"messages")"));
  EXPECT_THAT(told[1].body, HasSubstr(R"("code":"context_length_exceeded")"));
  EXPECT_THAT(told[2].body, HasSubstr(R"({"error_code":"INVALID_PARAMETER_VALUE")"));
}

}  // namespace
}  // namespace penstock::gateway
