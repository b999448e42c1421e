// A key that is revoked while its requests wait and stream, through the real gateway.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <fmt/format.h>

#include "gateway/contract_testing.h"

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr Duration kRevokedAt = milliseconds(105);

io::Task<void> RevokeAnn(World& world, int& running_after) {
  (void)co_await world.loop.Sleep(kRevokedAt);
  world.SetKeys({"bob"});
  (void)co_await world.loop.Sleep(milliseconds(15));
  running_after = world.one.running;
}

std::size_t CountOf(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

struct Case {
  std::string path;
  std::string error;  // How the event of its dialect begins.
};

class RevokeSim : public testing::TestWithParam<std::tuple<Case, bool>> {};

// At 10 ms a token, some ten have passed. The stream ends with an error event, the replica stops,
// and what was delivered is billed.
TEST_P(RevokeSim, AStreamEndsAtOnceAndIsBilled) {
  const auto& [dialect, with_usage] = GetParam();
  World world;
  world.Add("chat");
  world.Publish();
  int running = -1;
  io::TaskScope scope(world.loop);
  scope.Spawn("revoke", RevokeAnn(world, running));
  const std::string options = with_usage ? R"("stream_options":{"include_usage":true},)" : "";
  const auto told = world.Run(
      {{.path = dialect.path,
        .body = fmt::format(R"({{"model":"chat","stream":true,{}"max_tokens":1000,"messages":[]}})",
                            options)},
       {.endpoint = "chat", .max_tokens = 30, .key = "psk_bob"},
       {.endpoint = "chat", .at = milliseconds(150)}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_TRUE(told[0].whole) << "it ended, and was not cut";
  EXPECT_LE(told[0].end, kRevokedAt + milliseconds(10));
  EXPECT_THAT(told[0].body, HasSubstr("data: " + dialect.error));
  EXPECT_THAT(told[0].body, EndsWith("}\n\n"));
  EXPECT_THAT(told[0].body, Not(HasSubstr("[DONE]")));
  EXPECT_EQ(running, 1) << "bob's";
  EXPECT_THAT(told[1].body, HasSubstr("[DONE]")) << "bob has nothing to do with it";
  EXPECT_EQ(told[2].status, 401);
  ASSERT_GE(world.usage.records.size(), 1u);
  const meter::UsageRecord& billed = world.usage.records[0];
  EXPECT_EQ(billed.requester, "ann");
  EXPECT_EQ(billed.status, 401);
  EXPECT_EQ(billed.source, meter::UsageSource::kCounted);
  EXPECT_EQ(billed.output_tokens, CountOf(told[0].body, R"("content":"t")"));
  EXPECT_GE(billed.output_tokens, 9u);
  ExpectAllGivenBack(world);
  io::RunBlocking(world.loop, scope.Join());
}

INSTANTIATE_TEST_SUITE_P(
    Dialects, RevokeSim,
    testing::Combine(testing::Values(Case{"/v1/chat/completions", R"({"error":{"message":)"},
                                     Case{"/serving-endpoints/chat/invocations",
                                          R"({"error_code":"INVALID_API_KEY","message":)"},
                                     Case{"/openai/v1/chat/completions",
                                          R"({"error":{"code":"401","message":)"}),
                     testing::Bool()));

TEST(RevokeSimQueue, WhoWaitsIsToldAtOnceAndLeavesTheQueue) {
  World world;
  world.Add("chat").served[0].pool_policy.replica_concurrency = 1;
  world.Publish();
  int running = -1;
  io::TaskScope scope(world.loop);
  scope.Spawn("revoke", RevokeAnn(world, running));
  const auto told = world.Run({{.endpoint = "chat", .max_tokens = 50, .key = "psk_bob"},
                               {.endpoint = "chat", .at = milliseconds(5)},
                               {.endpoint = "chat", .at = milliseconds(10), .key = "psk_bob"}});
  EXPECT_EQ(told[0].status, 200);
  EXPECT_EQ(told[1].status, 401);
  EXPECT_LE(told[1].end, kRevokedAt);
  EXPECT_EQ(told[2].status, 200);
  EXPECT_EQ(world.one.started, 2);
  ExpectAllGivenBack(world);
  io::RunBlocking(world.loop, scope.Join());
}

// Bytes may come in any pieces, chunks may be cut anywhere: the client sees an error event or a cut
// connection, never a whole answer or a broken chunk.
TEST(RevokeSimQueue, HoweverTheBytesAreCut) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    World world({.seed = seed, .short_read = 0.3, .short_write = 0.3});
    world.Add("chat");
    world.Publish();
    int running = -1;
    io::TaskScope scope(world.loop);
    scope.Spawn("revoke", RevokeAnn(world, running));
    const auto told = world.Run(
        {{.body = R"({"model":"chat","stream":true,"stream_options":{"include_usage":true},)"
                  R"("max_tokens":1000,"messages":[]})"}});
    EXPECT_EQ(told[0].whole, told[0].body.find("\"error\"") != std::string::npos);
    EXPECT_EQ(running, 0);
    ExpectAllGivenBack(world);
    io::RunBlocking(world.loop, scope.Join());
  }
}

}  // namespace
}  // namespace penstock::gateway
