#include "policy/routing_table.h"

#include <gtest/gtest.h>

namespace penstock::policy {
namespace {

TEST(RoutingTable, FindsWhatWasAdded) {
  RoutingTable table;
  table.Add({.id = "1", .name = "chat", .replicas = {{.id = 7, .address = "unix:/r/7.sock"}}});
  table.Add({.id = "2", .name = "starting"});
  ASSERT_NE(table.Find("chat"), nullptr);
  EXPECT_EQ(table.Find(std::string_view("chat"))->replicas[0].id, 7u);
  ASSERT_NE(table.Find("starting"), nullptr);
  EXPECT_TRUE(table.Find("starting")->replicas.empty());
  EXPECT_EQ(table.Find("Chat"), nullptr);
  EXPECT_EQ(table.size(), 2u);
}

// A request that found its route keeps it, whatever is published meanwhile.
TEST(RoutingTable, RouteOutlivesTheTable) {
  auto table = std::make_shared<RoutingTable>();
  table->Add({.id = "1", .name = "chat"});
  const auto route = table->Find("chat");
  table.reset();
  EXPECT_EQ(route->id, "1");
}

TEST(RoutingTable, ReplacesARouteOfTheSameName) {
  RoutingTable table;
  table.Add({.id = "1", .name = "chat"});
  table.Add({.id = "2", .name = "chat"});
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.Find("chat")->id, "2");
}

}  // namespace
}  // namespace penstock::policy
