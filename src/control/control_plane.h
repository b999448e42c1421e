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
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/azure_api.h"
#include "control/background_jobs.h"
#include "control/billing.h"
#include "control/calibrations.h"
#include "control/catalog.h"
#include "control/endpoint_events.h"
#include "control/endpoint_service.h"
#include "control/http_api.h"
#include "control/key_service.h"
#include "control/keys.h"
#include "control/load_source.h"
#include "control/machine.h"
#include "control/model_service.h"
#include "control/model_works.h"
#include "control/reconciler.h"
#include "control/scaler.h"
#include "fleet/fleet.h"
#include "fleet/inventory.h"
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
  std::string address;                        // Where it is to listen: "unix:/….sock".
  int cores = 0;                              // That it has for itself; 0: shared with others.
  std::string system_prompt = {};             // For chats whose client sent none; "" for none.
  std::optional<ExternalCall> external = {};  // Of an external model: what runs is a relay.
};

struct ControlPlaneSettings {
  // Where replicas run; null: processes on this machine, in the data directory.
  std::unique_ptr<fleet::Fleet> fleet = nullptr;
  // The command that runs a replica, the program's path first. Required.
  std::function<std::vector<std::string>(const EngineLaunch&)> engine_command;
  // Called on the loop's thread with each new table; hand it on to the request threads. Required.
  std::function<void(std::shared_ptr<const policy::RoutingTable>)> publish_routes;

  // What the autoscaler reads; empty: nothing is known of the load.
  LoadSource load = {};

  // Called on the loop's thread when a replica of the endpoint is started again after it ended.
  std::function<void(const std::string& endpoint_name)> on_restart = [](const std::string&) {};

  // Called on the loop's thread when keys were made or revoked.
  std::function<void()> on_keys_changed = [] {};

  ReplicaSettings replica = {};
  UpdateLimits update = {};
  Duration cold_start_wait_max = std::chrono::seconds(120);
  policy::AutoscaleSettings autoscale = {};
  fleet::InventorySettings inventory = {};
  PriceTable prices = {};
  Duration scale_interval = std::chrono::seconds(1);
  std::string health_path = "/health";                // Answers 200 when a replica is ready.
  Duration probe_wait_max = std::chrono::seconds(5);  // For one answer.
  Duration housekeeping_interval = std::chrono::seconds(10);  // Log sizes.

  // Of models.
  CalibratePolicy calibrate = CalibratePolicy::kFirstUse;
  int engine_parallel = 8;        // Requests that a replica runs at once.
  int engine_context_tokens = 0;  // Of each of them; 0: the model's own.
  // What tells one engine from another beside its command: a calibration holds for one of them.
  std::string engine_identity = {};
  std::string hub_endpoint = {};  // "" is the hub's own.
  std::string hub_token = {};
};

class ControlPlane {
 public:
  // Opens the store in `data`, makes the first admin key, takes up the stored endpoints. Starts
  // nothing yet. Errors name the path: see store::Store::Open, fleet::SocketFolder::Open.
  static Result<std::unique_ptr<ControlPlane>> Open(io::Loop& loop, store::DataDirectory data,
                                                    ControlPlaneSettings settings);
  // REQUIRES: Shutdown() completed, if Start() was called.
  ~ControlPlane();

  // Publishes the routing table as it is before Start(), so that nobody meets none.
  void Publish() { Do(PublishRoutes{}); }
  // Publishes, and begins to reconcile.
  void Start();

  // Answers one REST request; what it changed is durable, and being brought about.
  ApiAnswer Handle(const ApiRequest& request);

  // The keys as they are now, for the request threads.
  Result<policy::KeyTable> Keys() { return LoadKeys(store_); }
  // True when Open() made the admin key, that is at first start.
  bool made_admin_key() const { return made_admin_key_; }
  const store::DataDirectory& data() const { return data_; }
  // What answers name the server; before Start().
  void SetUrl(const std::string& url) { endpoints_.SetUrl(url); }

  // Stops reconciling, asks every replica to end, kills those that still run at `deadline`, and
  // completes when none is left. Endpoints stay in the store. Replicas of a fleet that outlives the
  // server are left running: the next one takes them up.
  io::Task<void> Shutdown(Deadline deadline);

  std::size_t replicas_running() const { return fleet_->running(); }

 private:
  ControlPlane(io::Loop& loop, store::DataDirectory data, store::Store store,
               ControlPlaneSettings settings);

  static io::Task<void> Reconcile(ControlPlane& plane);
  static io::Task<void> WatchExits(ControlPlane& plane);
  static io::Task<void> KeepHouse(ControlPlane& plane);
  static io::Task<void> Scale(ControlPlane& plane);
  static io::Task<void> Probe(ControlPlane& plane, std::uint64_t replica);
  io::Task<Status> AskHealth(std::uint64_t replica);

  void Do(const StartReplica& start);
  void Do(const ProbeReplica& probe);
  void Do(const TerminateReplica& terminate);
  void Do(const KillReplica& kill);
  void Do(const PublishRoutes& publish);

  void StepReconciler();
  void ScaleOnce();
  std::vector<BillingLevel> Levels() const;
  std::string LogsOf(const std::string& pool) const;
  void NoteOf(const PoolWant& pool, const std::string& kind, const std::string& message);
  EndpointSettings EndpointSettingsOf();
  std::optional<policy::Calibration> CalibrationOf(const store::ModelVersionRecord& version);
  ApiParts PartsOf();
  Moment Now() const { return {.now = loop_.Now(), .wall = loop_.WallNow()}; }
  Status StartProcess(const StartReplica& start, const PoolWant& pool,
                      const fleet::Inventory::Assignment& room);
  void CollectExits();
  Status AdoptReplicas();
  void RemoveForeignLogs() const;
  void RemoveForeignKeys();
  // "" for a replica that is gone.
  std::string AddressOf(std::uint64_t replica) const;
  // "chat/0 (replica 7)", for the log.
  std::string LabelOf(std::uint64_t replica) const;

  io::Loop& loop_;
  store::DataDirectory data_;
  store::Store store_;
  ControlPlaneSettings settings_;
  std::unique_ptr<fleet::Fleet> fleet_;
  fleet::Inventory inventory_;
  Reconciler reconciler_;
  Catalog catalog_;
  Calibrations calibrations_;
  BackgroundJobs jobs_;
  ModelWorks works_;
  EndpointEvents events_;
  EndpointService endpoints_;
  ModelService models_;
  Scaler scaler_;
  Billing billing_;
  KeyService keys_;
  HttpApi api_;
  AzureApi azure_;
  http::Client client_;
  struct Living {
    std::string label;
    std::string pool;
  };
  std::unordered_map<std::uint64_t, Living> living_;  // By replica.
  std::set<std::string> no_room_;                     // Pools that wait for capacity.
  std::set<std::string> started_places_;  // By socket name: a second start there is a restart.
  io::Event news_;
  io::TaskScope scope_;
  bool made_admin_key_ = false;
};

}  // namespace penstock::control
