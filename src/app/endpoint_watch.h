// What the endpoint commands show: one endpoint, its progress, events, logs and scaling.
#pragma once

#include <string>

#include <boost/json.hpp>

#include "app/command.h"
#include "app/remote.h"

namespace penstock::app {

inline constexpr const char* kEndpointsPath = "/api/2.0/serving-endpoints";
std::string EndpointPath(const std::string& name);

// Prints an endpoint: a few lines, or JSON. Gives kExitGood.
int PrintEndpoint(const boost::json::value& endpoint, bool json);

struct WaitOptions {
  RemoteOptions remote = {};
  std::string name = {};
  int wait_max_s = 1200;
  bool json = false;
};
// Asks until the endpoint's configuration is in effect, telling on stderr what changes. kExitGood;
// kExitMissedGoal: it failed, or the time is over.
int WaitForEndpoint(const WaitOptions& options);

// penstock endpoint wait, logs, events, explain.
void AddEndpointWatchCommands(Program& program, CLI::App* group);
// penstock endpoint tags, permissions (endpoint_rights.cc).
void AddEndpointRightsCommands(Program& program, CLI::App* group);

}  // namespace penstock::app
