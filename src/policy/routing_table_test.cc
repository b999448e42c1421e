#include "policy/routing_table.h"

#include <gtest/gtest.h>

namespace penstock::policy {
namespace {

EndpointRoute Route(const std::string& name, const std::string& id) {
  EndpointRoute route;
  route.name = name;
  route.id = id;
  route.served.resize(1);
  return route;
}

TEST(RoutingTable, FindsWhatWasAdded) {
  RoutingTable table;
  EndpointRoute chat = Route("chat", "1");
  chat.served[0].replicas.push_back({.id = 7, .address = "unix:/r/7.sock"});
  table.Add(chat);
  table.Add(Route("starting", "2"));
  ASSERT_NE(table.Find("chat"), nullptr);
  EXPECT_EQ(table.Find(std::string_view("chat"))->served[0].replicas[0].id, 7u);
  ASSERT_NE(table.Find("starting"), nullptr);
  EXPECT_TRUE(table.Find("starting")->served[0].replicas.empty());
  EXPECT_EQ(table.Find("Chat"), nullptr);
  EXPECT_EQ(table.size(), 2u);
}

// A request that found its route keeps it, whatever is published meanwhile.
TEST(RoutingTable, RouteOutlivesTheTable) {
  auto table = std::make_shared<RoutingTable>();
  table->Add(Route("chat", "1"));
  const auto route = table->Find("chat");
  table.reset();
  EXPECT_EQ(route->id, "1");
}

TEST(RoutingTable, ReplacesARouteOfTheSameName) {
  RoutingTable table;
  table.Add(Route("chat", "1"));
  table.Add(Route("chat", "2"));
  EXPECT_EQ(table.size(), 1u);
  EXPECT_EQ(table.Find("chat")->id, "2");
}

}  // namespace
}  // namespace penstock::policy
