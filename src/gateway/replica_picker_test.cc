#include "gateway/replica_picker.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <vector>

namespace penstock::gateway {
namespace {

std::vector<policy::ReplicaRoute> RouteWith(std::vector<std::uint64_t> ids) {
  std::vector<policy::ReplicaRoute> route;
  for (const std::uint64_t id : ids) route.push_back({.id = id, .address = "unix:/x"});
  return route;
}

TEST(ReplicaPicker, SpreadsEvenly) {
  ReplicaPicker picker;
  const std::vector<policy::ReplicaRoute> route = RouteWith({1, 2, 3});
  std::vector<std::unique_ptr<ReplicaPicker::InFlight>> held;
  std::multiset<std::uint64_t> picked;
  for (int i = 0; i < 9; ++i) {
    const auto* replica = picker.Pick(route, {});
    ASSERT_NE(replica, nullptr);
    picked.insert(replica->id);
    held.push_back(std::make_unique<ReplicaPicker::InFlight>(picker, replica->id));
  }
  for (const std::uint64_t id : {1, 2, 3}) EXPECT_EQ(picked.count(id), 3u);
}

TEST(ReplicaPicker, PrefersTheOneThatGotFree) {
  ReplicaPicker picker;
  const std::vector<policy::ReplicaRoute> route = RouteWith({1, 2});
  auto first = std::make_unique<ReplicaPicker::InFlight>(picker, 1);
  const ReplicaPicker::InFlight second(picker, 2);
  first.reset();
  for (int i = 0; i < 4; ++i) EXPECT_EQ(picker.Pick(route, {})->id, 1u);
}

TEST(ReplicaPicker, LeavesOutTriedAndDrainingOnes) {
  ReplicaPicker picker;
  std::vector<policy::ReplicaRoute> route = RouteWith({1, 2, 3});
  route[2].state = policy::ReplicaState::kDraining;
  const std::vector<std::uint64_t> tried = {1};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(picker.Pick(route, tried)->id, 2u);
  const std::vector<std::uint64_t> all = {1, 2};
  EXPECT_EQ(picker.Pick(route, all), nullptr);
  EXPECT_EQ(picker.Pick(RouteWith({}), {}), nullptr);
}

}  // namespace
}  // namespace penstock::gateway
