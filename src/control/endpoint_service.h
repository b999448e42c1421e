// EndpointService: creates, shows, changes and deletes endpoints; keeps store, memory, plan and
// reconciler in step.
//
// A change is in the store before it is anywhere else: what was answered is durable, and what
// failed changed nothing. On the control thread; the store blocks.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "control/catalog.h"
#include "control/endpoint.h"
#include "control/endpoint_events.h"
#include "control/endpoint_json.h"
#include "control/endpoint_state.h"
#include "control/moment.h"
#include "control/pool_plan.h"
#include "control/reconciler.h"
#include "policy/key_table.h"
#include "policy/routing_table.h"
#include "store/store.h"

namespace penstock::control {

inline constexpr std::size_t kEndpointsMax = 10'000;

// Who asks.
struct Caller {
  std::string name;  // Of the key.
  policy::Role role = policy::Role::kUser;
  std::vector<std::string> groups = {};  // That the key belongs to.
};

// What this machine, or the fleet, can hold in all. 0: not known, so nothing is refused for it.
struct FleetCapacity {
  std::int64_t memory_bytes = 0;
  int cores = 0;
  int cores_per_replica = 0;  // 0: replicas share the cores.
};

struct EndpointSettings {
  UpdateLimits limits;
  FleetCapacity capacity;
  // What was measured of a model version; nullopt: not calibrated.
  std::function<std::optional<policy::Calibration>(const store::ModelVersionRecord&)> calibration;
  // Whether a new configuration may serve it; empty: it may.
  std::function<Status(const store::ModelVersionRecord&)> check_model;
  // What a replica of it takes; empty: its file's size and a little more.
  std::function<std::int64_t(const store::ModelVersionRecord&)> memory_of;
  std::string url;  // Of the server, as answers name it.
  // How long requests wait for the first replica of what was scaled to zero; 0: not at all.
  Duration cold_start_wait_max = std::chrono::seconds(120);
};

class EndpointService {
 public:
  // All are borrowed and outlive this.
  EndpointService(store::Store& store, Catalog& catalog, Reconciler& reconciler,
                  EndpointEvents& events, EndpointSettings settings = {})
      : store_(store),
        catalog_(catalog),
        reconciler_(reconciler),
        events_(events),
        settings_(std::move(settings)) {}

  // Takes up the endpoints in the store. Once, at start. kCorrupt names an endpoint that cannot be
  // what it was.
  Status Load(TimePoint now);

  // Errors: kInvalidArgument and kUnsupported (see ParseEndpointDefinition), kNotFound (the model
  // or its version), kAlreadyExists, kExhausted; kForbidden for an external model that no admin
  // asks for, here and below: it sends requests, and keys, out of the house. `model_units`: the
  // /pt variant.
  Result<boost::json::object> Create(std::string_view body, bool model_units, const Caller& caller,
                                     Moment moment);
  // The same from a value; for other dialects.
  Result<const Endpoint*> Add(EndpointDefinition definition, std::optional<AzureDeployment> azure,
                              const Caller& caller, Moment moment);
  // The configuration in effect serves until the new one is ready. kConflict while another is on
  // its way.
  Result<boost::json::object> UpdateConfig(const std::string& name, std::string_view body,
                                           bool model_units, const Caller& caller, Moment moment);
  Status SetConfig(const std::string& name, EndpointConfig config,
                   std::optional<AzureDeployment> azure, const Caller& caller, Moment moment);

  // A deployment's properties, at once: its configuration stays. REQUIRES: it is a deployment.
  Status SetAzure(const std::string& name, AzureDeployment azure, const Caller& caller,
                  Moment moment);

  Result<boost::json::object> Get(const std::string& name, const Caller& caller,
                                  TimePoint now) const;
  boost::json::object List(const Caller& caller, TimePoint now) const;
  // Gone for clients when it returns; its replicas finish what they have. kNotFound.
  Status Delete(const std::string& name, const Caller& caller, Moment moment);

  Result<boost::json::object> PatchTags(const std::string& name, std::string_view body,
                                        const Caller& caller, Moment moment);
  Result<boost::json::object> PutAiGateway(const std::string& name, std::string_view body,
                                           const Caller& caller, Moment moment);
  Result<boost::json::object> PutRateLimits(const std::string& name, std::string_view body,
                                            const Caller& caller, Moment moment);
  Result<boost::json::object> PatchNotifications(const std::string& name, std::string_view body,
                                                 const Caller& caller, Moment moment);
  // Kept and given back: there is no collector to send telemetry to.
  Result<boost::json::object> PatchTelemetry(const std::string& name, std::string_view body,
                                             const Caller& caller, Moment moment);
  // How the endpoint is called, as an OpenAPI document.
  Result<boost::json::object> OpenApi(const std::string& name, const Caller& caller) const;
  Result<boost::json::object> Events(const std::string& name, const Caller& caller);

  // By the endpoint's id, as Databricks has it.
  Result<boost::json::object> GetPermissions(const std::string& id, const Caller& caller) const;
  Result<boost::json::object> SetPermissions(const std::string& id, std::string_view body,
                                             bool replace, const Caller& caller, Moment moment);

  // Tokens/s of a chunk of this version; 1 where nobody measured it.
  std::int64_t ChunkOf(const std::string& model, std::int64_t version) const;
  // What one replica of this version can do here; nullopt where nobody measured it.
  std::optional<policy::ReplicaCapacity> CapacityOf(const std::string& model,
                                                    std::int64_t version) const;
  // Chunks of this version that the machine could still promise; 0 where it is full.
  std::int64_t UnitsLeft(const std::string& model, std::int64_t version) const;

  // nullptr: there is none of this name. Valid until the next change.
  const Endpoint* Find(const std::string& name) const;
  EndpointStatus StatusOf(const Endpoint& endpoint, TimePoint now) const;
  const std::map<std::string, Endpoint>& all() const { return by_name_; }

  // The endpoint that serves this version (any version without one); nullopt if none does.
  std::optional<std::string> ServerOf(const std::string& model,
                                      std::optional<std::int64_t> version) const;

  // For the shell. Applies and fails configurations on their way; call after each step of the
  // reconciler. True when something changed: step again.
  bool Advance(Moment moment);
  // When Advance() may have something to do although nothing happened.
  TimePoint NextWake() const;
  // What is known of models has changed (a calibration): looks again, and plans anew.
  void Relearn(TimePoint now);
  policy::RoutingTable Routes(const std::function<std::string(std::uint64_t)>& address_of) const;
  // nullptr: no endpoint needs this pool.
  const PoolWant* PoolOf(const std::string& pool) const;
  const std::map<std::string, PoolWant>& plan() const { return plan_; }
  void SetUrl(const std::string& url) { settings_.url = url; }
  const std::string& url() const { return settings_.url; }

  // Names of all endpoints, sorted.
  std::vector<std::string> Names() const;
  // Of all keys that came with served entities, in the secrets' folder.
  std::set<std::string> KeyFiles() const;

 private:
  Result<ServedModel> LookUp(const std::string& model, std::int64_t version) const;
  Result<ServedModel> LookUp(const ServedEntity& entity) const;
  // The same, remembered: versions do not change, and calibrations say so (Relearn).
  Result<ServedModel> Known(const ServedEntity& entity) const;
  void Replan(TimePoint now);
  ParseOptions OptionsFor(bool model_units) const;
  Status CheckModels(const EndpointConfig& config) const;
  Status CheckUse(const ServedEntity& entity, std::size_t index) const;
  Status CheckRoom(const std::map<std::string, PoolWant>& plan, const Endpoint& endpoint) const;
  Result<std::map<std::string, PoolWant>> PlanWith(const Endpoint& changed) const;
  void TakePlan(std::map<std::string, PoolWant> plan, TimePoint now);
  // Stores `changed` and takes it up in place of what has its name. Replace() plans anew as well.
  Status Store(Endpoint changed, Moment moment);
  // The same without taking it up. `before`: the endpoint as it was; nullptr: it is new.
  Status Keep(Endpoint& changed, const Endpoint* before);
  Status Replace(Endpoint changed, Moment moment);
  // The endpoint, if the caller may change it.
  Result<Endpoint> Changeable(const std::string& name, const Caller& caller) const;
  boost::json::object DetailOf(const Endpoint& endpoint, const Caller& caller, TimePoint now) const;
  std::string TaskOf(const Endpoint& endpoint) const;
  PoolLookup Pools(const Endpoint& endpoint, TimePoint now) const;
  policy::ServedRoute RouteOf(const Endpoint& endpoint, std::size_t entity,
                              const std::function<std::string(std::uint64_t)>& address_of) const;
  void Note(const Endpoint& endpoint, Moment moment, std::string kind, std::string message);

  store::Store& store_;
  Catalog& catalog_;
  Reconciler& reconciler_;
  EndpointEvents& events_;
  EndpointSettings settings_;
  std::map<std::string, Endpoint> by_name_;
  std::map<std::string, PoolWant> plan_;  // By pool.
  mutable std::map<std::pair<std::string, std::int64_t>, ServedModel> known_;
  std::map<std::string, TimePoint> pending_since_;  // By endpoint.
};

// What `caller` may do with `endpoint`: "CAN_MANAGE", …; "" nothing. Without a list of permissions
// every key may query.
std::string PermissionOf(const Endpoint& endpoint, const Caller& caller);

}  // namespace penstock::control
