// What replicas are told of a request, through the real gateway.
#include "gateway/replica_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "gateway/contract_testing.h"

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::Pair;

const std::vector<http::Field> kSpoofed = {{"x-penstock-deadline-ms", "1"},
                                           {"x-penstock-caller", "somebody-else"}};

TEST(ReplicaFields, OurOwnReplicasAreToldTheCallerAndTheDeadline) {
  World world;
  auto& served = world.Add("chat").served[0];
  served.replicas[0].reads_headers = true;
  served.lane.guarantee_per_s = 20;  // Of depth 600: the third and fourth are beyond it.
  served.lane.ttft_target = milliseconds(1500);
  world.Publish();
  std::vector<Ask> asks(4, Ask{.endpoint = "chat", .max_tokens = 280});
  for (std::size_t i = 0; i < asks.size(); ++i) asks[i].at = milliseconds(10 * i);
  asks[1].key = "psk_bob";
  asks[2].fields = kSpoofed;
  for (const Told& one : world.Run(asks)) EXPECT_EQ(one.status, 200);
  ASSERT_EQ(world.one.told.size(), 4u);
  EXPECT_EQ(world.one.told[0].second, "1500");
  EXPECT_EQ(world.one.told[1].second, "1500");
  EXPECT_EQ(world.one.told[2].second, "") << "yellow, whatever the client says";
  const std::string ann = world.one.told[0].first;
  EXPECT_THAT(ann, testing::MatchesRegex("[0-9a-f]{16}"));
  EXPECT_NE(world.one.told[1].first, ann);
  EXPECT_EQ(world.one.told[2].first, ann) << "whoever the client says it is";
  EXPECT_EQ(policy::Hex(policy::HashSecret("psk_ann")).substr(0, 16), ann);
}

// The time that a request has waited is no more left.
TEST(ReplicaFields, AWaitingRequestsDeadlineShrinks) {
  World world;
  auto& served = world.Add("chat").served[0];
  served.replicas[0].reads_headers = true;
  served.pool_policy.replica_concurrency = 1;
  served.lane.guarantee_per_s = 1000;
  world.Publish();
  world.Run({{.endpoint = "chat", .max_tokens = 50}, {.endpoint = "chat", .at = milliseconds(10)}});
  ASSERT_EQ(world.one.told.size(), 2u);
  EXPECT_NEAR(std::stoi(world.one.told[1].second), 2000 - 490, 30);
}

TEST(ReplicaFields, OtherServersAreToldNothing) {
  World world;
  world.Add("chat").served[0].lane.guarantee_per_s = 1000;
  world.Publish();
  world.Run({{.endpoint = "chat", .fields = kSpoofed}});
  EXPECT_THAT(world.one.told, ElementsAre(Pair("", "")));
}

}  // namespace
}  // namespace penstock::gateway
