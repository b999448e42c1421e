// ControlPlane: the shell. One loop on which desired endpoints become running replicas and a
// published routing table, and on which the REST paths are answered.
//
// All calls on the loop's thread, which may block (store, starting processes) and must live until
// Shutdown() completes: its end kills the replicas. Decisions are the Reconciler's; this executes
// them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/catalog.h"
#include "control/endpoint_service.h"
#include "control/http_api.h"
#include "control/keys.h"
#include "control/load_source.h"
#include "control/model_service.h"
#include "control/reconciler.h"
#include "fleet/process_fleet.h"
#include "http/client.h"
#include "io/event.h"
#include "io/loop.h"
#include "io/task.h"
#include "io/task_scope.h"
#include "policy/key_table.h"
#include "policy/routing_table.h"
#include "store/data_directory.h"
#include "store/store.h"

namespace penstock::control {

// What a replica is started with.
struct EngineLaunch {
  std::string model_path;
  std::string endpoint_name;
  std::string address;  // Where it is to listen: "unix:/….sock".
};

struct ControlPlaneSettings {
  // The command that runs a replica, the program's path first. Required.
  std::function<std::vector<std::string>(const EngineLaunch&)> engine_command;
  // Called on the loop's thread with each new table; hand it on to the request threads. Required.
  std::function<void(std::shared_ptr<const policy::RoutingTable>)> publish_routes;

  // What the autoscaler reads; empty: nothing is known of the load.
  LoadSource load = {};

  // Called on the loop's thread when a replica of the endpoint is started again after it ended.
  std::function<void(const std::string& endpoint_name)> on_restart = [](const std::string&) {};

  ReconcilerSettings reconciler = {};
  std::string health_path = "/health";                // Answers 200 when a replica is ready.
  Duration probe_wait_max = std::chrono::seconds(5);  // For one answer.
  Duration housekeeping_interval = std::chrono::seconds(10);  // Log sizes.
};

class ControlPlane {
 public:
  // Opens the store in `data`, makes the first admin key, takes up the stored endpoints. Starts
  // nothing yet. Errors name the path: see store::Store::Open, fleet::SocketFolder::Open.
  static Result<std::unique_ptr<ControlPlane>> Open(io::Loop& loop, store::DataDirectory data,
                                                    ControlPlaneSettings settings);
  // REQUIRES: Shutdown() completed, if Start() was called.
  ~ControlPlane();

  // Publishes the first routing table and begins to reconcile.
  void Start();

  // Answers one REST request; what it changed is durable, and being brought about.
  ApiAnswer Handle(const ApiRequest& request);

  // The keys as they are now, for the request threads.
  Result<policy::KeyTable> Keys() { return LoadKeys(store_); }
  // True when Open() made the admin key, that is at first start.
  bool made_admin_key() const { return made_admin_key_; }
  const store::DataDirectory& data() const { return data_; }

  // Stops reconciling, asks every replica to end, kills those that still run at `deadline`, and
  // completes when none is left. Endpoints stay in the store.
  io::Task<void> Shutdown(Deadline deadline);

  std::size_t replicas_running() const { return fleet_.running(); }

 private:
  ControlPlane(io::Loop& loop, store::DataDirectory data, store::Store store,
               fleet::ProcessFleet fleet, ControlPlaneSettings settings);

  static io::Task<void> Reconcile(ControlPlane& plane);
  static io::Task<void> WatchExits(ControlPlane& plane);
  static io::Task<void> KeepHouse(ControlPlane& plane);
  static io::Task<void> Probe(ControlPlane& plane, std::uint64_t replica);
  io::Task<Status> AskHealth(std::uint64_t replica);

  void Do(const StartReplica& start);
  void Do(const ProbeReplica& probe);
  void Do(const TerminateReplica& terminate);
  void Do(const KillReplica& kill);
  void Do(const PublishRoutes& publish);
  void Do(const RecordUpdate& update);

  Status StartProcess(const StartReplica& start);
  void CollectExits();
  void RemoveForeignLogs() const;
  // "" for a replica that is gone.
  std::string AddressOf(std::uint64_t replica) const;
  // "chat/0 (replica 7)", for the log.
  std::string LabelOf(std::uint64_t replica) const;

  io::Loop& loop_;
  store::DataDirectory data_;
  store::Store store_;
  fleet::ProcessFleet fleet_;
  ControlPlaneSettings settings_;
  Reconciler reconciler_;
  Catalog catalog_;
  EndpointService endpoints_;
  ModelService models_;
  HttpApi api_;
  http::Client client_;
  struct Living {
    std::string label;
    std::string address;
  };
  std::unordered_map<std::uint64_t, Living> living_;  // By replica.
  std::set<std::string> started_places_;  // By socket name: a second start there is a restart.
  io::Event news_;
  io::TaskScope scope_;
  bool made_admin_key_ = false;
};

}  // namespace penstock::control
