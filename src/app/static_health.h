// StaticHealth: asks the servers of static endpoints whether they are well, and says who takes
// requests.
//
// On the control thread's loop. A server is well until it is not: it leaves the routing table after
// `failures_max` bad answers in a row, and comes back with the first good one.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/client.h"
#include "http/origin.h"
#include "io/loop.h"
#include "io/task.h"
#include "io/task_scope.h"
#include "policy/routing_table.h"

namespace penstock::app {

struct StaticHealthSettings {
  // "auto": /health, and where a server does not know it, /v1/models. "none": nobody is asked.
  std::string path = "auto";
  Duration interval = std::chrono::seconds(2);
  Duration wait_max = std::chrono::seconds(5);  // For one answer.
  int failures_max = 2;
};

class StaticHealth {
 public:
  // `routes` are borrowed and outlive this. `on_change`: somebody left or came back.
  StaticHealth(io::Loop& loop, const std::vector<policy::EndpointRoute>& routes,
               StaticHealthSettings settings, std::function<void()> on_change);

  void Start();
  io::Task<void> Stop();

  // `route` without the servers that are not well.
  policy::EndpointRoute Well(policy::EndpointRoute route) const;

  struct Server {
    std::string endpoint;
    std::string address;
    std::uint64_t id = 0;
    std::string path = {};  // That it answers on.
    bool well = true;
    int failures = 0;  // In a row.
    std::string reason = {};
  };
  // For metrics; on the loop's thread only.
  const std::vector<std::unique_ptr<Server>>& servers() const { return servers_; }

 private:
  static io::Task<void> Watch(StaticHealth& health, Server& server);
  io::Task<Status> Ask(Server& server);
  io::Task<Result<int>> StatusOf(const Server& server, std::string path);
  void Note(Server& server, const Status& asked);

  io::Loop& loop_;
  StaticHealthSettings settings_;
  std::function<void()> on_change_;
  std::vector<std::unique_ptr<Server>> servers_;
  http::Client client_;
  io::TaskScope scope_;
};

}  // namespace penstock::app
