#include "gateway/hops.h"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <string>
#include <vector>

namespace penstock::gateway {
namespace {

using Kind = Hop::Kind;

class HopsTest : public testing::Test {
 protected:
  policy::EndpointRoute& Add(const std::string& name, std::vector<int> percentages) {
    policy::EndpointRoute& route = routes_.emplace_back();
    route.name = route.id = name;
    for (const int percentage : percentages) {
      auto& served = route.served.emplace_back();
      served.name = name + "-" + std::to_string(route.served.size());
      served.traffic_percentage = percentage;
    }
    return route;
  }
  std::vector<Hop> Plan(const std::string& name, std::string_view wish = "") {
    policy::RoutingTable table;
    for (const auto& route : routes_) table.Add(route);
    live_ = pools_.Apply(table, TimePoint(std::chrono::seconds(1)));
    return PlanHops(*live_, live_->Find(name), wish, random_);
  }

  std::deque<policy::EndpointRoute> routes_;  // References to them hold.
  PoolSet pools_;
  std::shared_ptr<const LiveTable> live_;
  Random random_{7};
};

TEST_F(HopsTest, OneEntityIsOnePlace) {
  Add("chat", {100});
  const auto hops = Plan("chat");
  ASSERT_EQ(hops.size(), 1u);
  EXPECT_EQ(hops[0].kind, Kind::kFirst);
  EXPECT_TRUE(Plan("chat", "nobody").size() == 1) << "who does not exist cannot be spilled to";
  EXPECT_TRUE(Plan("chat", "chat").size() == 1);
}

TEST_F(HopsTest, FollowsTheTrafficSplit) {
  Add("chat", {70, 0, 30});
  std::map<std::size_t, int> counts;
  for (int i = 0; i < 1000; ++i) ++counts[Plan("chat")[0].entity];
  EXPECT_NEAR(counts[0], 700, 60);
  EXPECT_EQ(counts[1], 0);
  EXPECT_NEAR(counts[2], 300, 60);
}

TEST_F(HopsTest, FallsBackInOrderAndSpillsLast) {
  auto& chat = Add("chat", {0, 100, 0});
  chat.policy.fallback = true;
  chat.policy.spillover = "cheap";
  Add("cheap", {100});
  Add("wished", {100});
  const auto hops = Plan("chat", "wished");
  ASSERT_EQ(hops.size(), 4u);
  EXPECT_EQ(hops[0].entity, 1u);
  EXPECT_EQ(hops[1].entity, 2u);
  EXPECT_EQ(hops[2].entity, 0u);
  EXPECT_EQ(hops[3].kind, Kind::kSpillover);
  EXPECT_EQ(hops[3].endpoint->route->name, "cheap") << "the property wins over the header";
}

TEST_F(HopsTest, GoesOnOnlyForWhatAnotherPlaceCanHelp) {
  const auto failed = [](int status, std::string body = "") {
    Failure failure;
    failure.status = status;
    failure.body = std::move(body);
    return failure;
  };
  const std::string overflow = R"({"error":{"code":"context_length_exceeded"}})";
  for (const int status : {429, 500, 503}) {
    EXPECT_TRUE(MayGoOn(Kind::kFallback, failed(status)));
    EXPECT_TRUE(MayGoOn(Kind::kSpillover, failed(status)));
  }
  EXPECT_TRUE(MayGoOn(Kind::kFallback, failed(502)));
  EXPECT_FALSE(MayGoOn(Kind::kSpillover, failed(502)));
  EXPECT_FALSE(MayGoOn(Kind::kSpillover, failed(400, "{}")));
  EXPECT_TRUE(MayGoOn(Kind::kSpillover, failed(400, overflow)));
  EXPECT_FALSE(MayGoOn(Kind::kFallback, failed(400, overflow)));
  EXPECT_FALSE(MayGoOn(Kind::kFallback, failed(404)));
}

// Pools, lanes and what they counted stay when something else changes; what is gone, goes.
TEST_F(HopsTest, ATableChangesWithoutForgetting) {
  Add("chat", {100}).served[0].replicas = {{.id = 1, .address = "unix:/x"}};
  Add("other", {100});
  (void)Plan("chat");
  const LiveEntity before = live_->Find("chat")->entities[0];
  routes_.pop_back();
  (void)Plan("chat");
  const LiveEntity after = live_->Find("chat")->entities[0];
  EXPECT_EQ(before.pool, after.pool);
  EXPECT_EQ(before.lane, after.lane);
  EXPECT_TRUE(pools_.LoadOf("chat/chat-1"));
  EXPECT_FALSE(pools_.LoadOf("other/other-1"));
  EXPECT_EQ(live_->Find("other"), nullptr);
}

}  // namespace
}  // namespace penstock::gateway
