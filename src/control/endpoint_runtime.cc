// EndpointService's other half: from endpoints to pools, and from what runs to routes.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "control/azure_terms.h"
#include "control/endpoint_service.h"
#include "control/gateway_json.h"

namespace penstock::control {
namespace {

// Beside its weights: contexts, buffers, the program.
constexpr std::int64_t kReplicaOverheadBytes = std::int64_t{256} << 20;

// Each is written to the disk, and others want the thread meanwhile.
constexpr int kSettledAtOnceMax = 8;

// What becomes of an endpoint whose configuration on its way was decided upon.
Endpoint Settled(Endpoint endpoint, const UpdateDecision& decision) {
  const bool apply = decision.step == UpdateStep::kApply;
  endpoint.update = apply ? UpdateState::kNotUpdating : UpdateState::kFailed;
  endpoint.update_message = decision.message;
  if (apply) {
    endpoint.config = std::move(endpoint.pending);
    endpoint.pending.reset();
    endpoint.policy = PolicyOf(endpoint);
  }
  return endpoint;
}

double GiB(std::int64_t bytes) { return static_cast<double>(bytes) / (1 << 30); }

}  // namespace

Result<ServedModel> EndpointService::Known(const ServedEntity& entity) const {
  if (entity.external) return LookUp(entity);
  const std::string& model = entity.entity_name;
  const std::int64_t version = entity.entity_version;
  const auto found = known_.find({model, version});
  if (found != known_.end()) return found->second;
  auto served = LookUp(model, version);
  if (served) known_.emplace(std::pair(model, version), *served);
  return served;
}

Result<ServedModel> EndpointService::LookUp(const ServedEntity& entity) const {
  if (!entity.external) return LookUp(entity.entity_name, entity.entity_version);
  ServedModel served{.source = entity.external->call.url, .task = entity.external->task};
  served.external = entity.external->call;
  served.external->key_path = catalog_.secrets().PathOf(
      entity.key_file.empty() ? entity.external->key_reference : entity.key_file);
  return served;
}

Result<ServedModel> EndpointService::LookUp(const std::string& model, std::int64_t version) const {
  auto record = catalog_.GetVersion(model, version);
  if (!record) {
    Error error = std::move(record.error());
    if (error.field.empty()) error.field = "entity_name";
    return Fail(std::move(error));
  }
  ServedModel served{.source = record->source,
                     .task = control::TaskOf(*record),
                     .size_bytes = record->size_bytes,
                     .memory_bytes = record->size_bytes + kReplicaOverheadBytes};
  if (settings_.memory_of) served.memory_bytes = settings_.memory_of(*record);
  served.external = catalog_.ExternalOf(*record);
  if (served.external) served.memory_bytes = 0;  // On somebody else's machines.
  served.context_tokens = ParseVersionDetails(record->details).context_length.value_or(0);
  if (settings_.calibration) served.calibration = settings_.calibration(*record);
  if (const auto registered = catalog_.Get(model)) {
    served.system_prompt = ParseModelDetails(registered->details).default_system_prompt;
  }
  return served;
}

std::int64_t EndpointService::ChunkOf(const std::string& model, std::int64_t version) const {
  const auto served = LookUp(model, version);
  const bool known = served && served->calibration;
  return known ? served->calibration->chunk_tokens_per_s : policy::kUncalibratedChunk;
}

std::optional<policy::ReplicaCapacity> EndpointService::CapacityOf(const std::string& model,
                                                                   std::int64_t version) const {
  const auto served = LookUp(model, version);
  if (!served || !served->calibration) return std::nullopt;
  return policy::CapacityOf(*served->calibration);
}

std::int64_t EndpointService::UnitsLeft(const std::string& model, std::int64_t version) const {
  const auto served = LookUp(model, version);
  if (!served) return 0;
  std::int64_t memory = 0;
  int replicas = 0;
  for (const auto& [id, pool] : plan_) {
    const int present = std::max(pool.first, pool.minimum);
    memory += pool.served.memory_bytes * present;
    replicas += present;
  }
  const FleetCapacity& room = settings_.capacity;
  constexpr std::int64_t kManyReplicas = 1000;
  std::int64_t left = kManyReplicas;
  if (room.memory_bytes > 0 && served->memory_bytes > 0) {
    left = std::min(left, (room.memory_bytes - memory) / served->memory_bytes);
  }
  if (room.cores_per_replica > 0) {
    left = std::min<std::int64_t>(left, room.cores / room.cores_per_replica - replicas);
  }
  const int chunks = served->calibration ? served->calibration->chunks_per_replica : 1;
  return std::max<std::int64_t>(0, left) * chunks;
}

// Whether a new configuration may serve it now.
Status EndpointService::CheckUse(const ServedEntity& entity, std::size_t index) const {
  if (entity.external) {
    const std::string& reference = entity.external->key_reference;
    if (reference.empty()) return {};
    return catalog_.secrets().CheckReference(
        reference, fmt::format("config.served_entities[{}].external_model", index));
  }
  const auto record = catalog_.GetVersion(entity.entity_name, entity.entity_version);
  return record && settings_.check_model ? settings_.check_model(*record) : Status();
}

// That all exist, and do the same task: requests are split among them.
Status EndpointService::CheckModels(const EndpointConfig& config) const {
  std::string task;
  for (std::size_t i = 0; i < config.served_entities.size(); ++i) {
    const ServedEntity& entity = config.served_entities[i];
    auto served = LookUp(entity);
    if (!served) {
      Error error = std::move(served.error());
      error.field = fmt::format("config.served_entities[{}].entity_name", i);
      return Fail(std::move(error));
    }
    if (auto good = CheckUse(entity, i); !good) return good;
    if (served->external && entity.throughput) {
      const std::string field =
          fmt::format("config.served_entities[{}].max_provisioned_throughput", i);
      return Fail(
          Code::kInvalidArgument,
          fmt::format("{} cannot be promised: {} is an external model, which another server "
                      "runs; leave the range out",
                      field, entity.entity_name),
          field);
    }
    if (i > 0 && served->task != task) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("served entities of an endpoint must have the same task; {} is {}, "
                              "{} is {}",
                              config.served_entities[0].name, task, entity.name, served->task),
                  fmt::format("config.served_entities[{}]", i));
    }
    task = served->task;
  }
  return {};
}

// What can never fit is refused at once, with the numbers; what does not fit now waits.
Status EndpointService::CheckRoom(const std::map<std::string, PoolWant>& plan,
                                  const Endpoint& endpoint) const {
  const FleetCapacity& room = settings_.capacity;
  for (const auto& [id, pool] : plan) {
    if (std::ranges::find(pool.endpoints, endpoint.name) == pool.endpoints.end()) continue;
    const int least = std::max(1, pool.first);
    if (room.memory_bytes > 0 && pool.served.memory_bytes * least > room.memory_bytes) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("{} version {} needs {} replica{} of {:.1f} GiB of memory each, and "
                              "this machine gives replicas {:.1f} GiB in all",
                              pool.model, pool.version, least, least == 1 ? "" : "s",
                              GiB(pool.served.memory_bytes), GiB(room.memory_bytes)),
                  "min_provisioned_throughput");
    }
    if (room.cores_per_replica > 0 && room.cores_per_replica * least > room.cores) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("{} version {} needs {} replica{} of {} cores each, and this machine "
                              "gives replicas {} cores in all",
                              pool.model, pool.version, least, least == 1 ? "" : "s",
                              room.cores_per_replica, room.cores),
                  "min_provisioned_throughput");
    }
  }
  return {};
}

Result<std::map<std::string, PoolWant>> EndpointService::PlanWith(const Endpoint& changed) const {
  const auto look = [this](const ServedEntity& entity) { return Known(entity); };
  std::map<std::string, PoolWant> plan;
  for (const auto& [name, endpoint] : by_name_) {
    if (name == changed.name) continue;
    if (auto added = AddToPlan(endpoint, look, plan); !added) return Fail(added.error());
  }
  if (auto added = AddToPlan(changed, look, plan); !added) return Fail(added.error());
  FinishPlan(plan);
  return plan;
}

void EndpointService::Relearn(TimePoint now) {
  known_.clear();
  Replan(now);
}

void EndpointService::Replan(TimePoint now) {
  const auto look = [this](const ServedEntity& entity) { return Known(entity); };
  std::map<std::string, PoolWant> plan;
  for (const auto& [name, endpoint] : by_name_) {
    if (auto added = AddToPlan(endpoint, look, plan); !added) {
      Log().error("endpoint {}: {}", name, added.error().message);
    }
  }
  FinishPlan(plan);
  TakePlan(std::move(plan), now);
}

void EndpointService::TakePlan(std::map<std::string, PoolWant> plan, TimePoint now) {
  for (const auto& [id, pool] : plan_) {
    if (!plan.contains(id)) reconciler_.RemovePool(id, now);
  }
  for (const auto& [id, pool] : plan) {
    const bool known = plan_.contains(id);
    // One at first, even where none must be: the autoscaler ends what nobody asks for.
    const int present = known ? reconciler_.StatusOf(id, now).wanted : std::max(1, pool.first);
    reconciler_.SetPool(id, std::clamp(present, pool.first, pool.maximum), now);
  }
  plan_ = std::move(plan);
}

PoolLookup EndpointService::Pools(const Endpoint& endpoint, TimePoint now) const {
  return [this, &endpoint, now](const ServedEntity& entity) {
    const std::string id = PoolIdOf(endpoint.id, entity);
    const auto found = plan_.find(id);
    return PoolView{.status = reconciler_.StatusOf(id, now),
                    .first = found == plan_.end() ? 1 : found->second.first};
  };
}

EndpointStatus EndpointService::StatusOf(const Endpoint& endpoint, TimePoint now) const {
  return control::StatusOf(endpoint, Pools(endpoint, now));
}

std::string EndpointService::TaskOf(const Endpoint& endpoint) const {
  const auto& config = endpoint.config ? endpoint.config : endpoint.pending;
  if (!config) return {};
  const auto found = plan_.find(PoolIdOf(endpoint.id, config->served_entities.front()));
  return found == plan_.end() ? std::string() : found->second.served.task;
}

bool EndpointService::Advance(Moment moment) {
  int settled = 0;
  for (auto waiting = pending_since_.begin();
       waiting != pending_since_.end() && settled < kSettledAtOnceMax;) {
    const auto found = by_name_.find(waiting->first);
    if (found == by_name_.end()) {
      waiting = pending_since_.erase(waiting);
      continue;
    }
    const Endpoint& endpoint = found->second;
    const UpdateDecision decision = DecideUpdate(endpoint, Pools(endpoint, moment.now),
                                                 moment.now - waiting->second, settings_.limits);
    if (decision.step == UpdateStep::kNone) {
      ++waiting;
      continue;
    }
    Endpoint next = Settled(endpoint, decision);
    const bool over = next.config.has_value();
    Log().info("endpoint {}: {}{}{}", next.name, ToString(next.update),
               decision.message.empty() ? "" : ": ", decision.message);
    Note(next, moment, decision.step == UpdateStep::kApply ? "ready" : "failed",
         decision.step == UpdateStep::kApply
             ? fmt::format("Version {} is in effect.", next.config->version)
             : decision.message);
    // Not answered to anybody: if the disk fails now, a restart only brings it up again.
    if (auto stored = Store(std::move(next), moment); !stored) {
      Log().error("endpoint {}: {}", found->first, stored.error().message);
      break;
    }
    ++settled;
    waiting = over ? pending_since_.erase(waiting) : std::next(waiting);
  }
  if (settled > 0) {
    reconciler_.Republish();
    Replan(moment.now);
  }
  return settled > 0;
}

TimePoint EndpointService::NextWake() const {
  TimePoint next = TimePoint::max();
  for (const auto& [name, since] : pending_since_) {
    // What has failed and is tried all the same has no time limit left.
    if (by_name_.at(name).update != UpdateState::kInProgress) continue;
    next = std::min(next, since + settings_.limits.update_max);
  }
  return next;
}

policy::ServedRoute EndpointService::RouteOf(
    const Endpoint& endpoint, std::size_t index,
    const std::function<std::string(std::uint64_t)>& address_of) const {
  const ServedEntity& entity = endpoint.config->served_entities[index];
  policy::ServedRoute served;
  served.name = entity.name;
  served.model = entity.model();
  served.model_version = entity.entity_version;
  served.traffic_percentage = endpoint.config->routes[index].traffic_percentage;
  served.range = entity.throughput.value_or(policy::ThroughputRange{});
  served.pool = PoolIdOf(endpoint.id, entity);
  const PoolWant* pool = PoolOf(served.pool);
  if (pool == nullptr) return served;
  if (pool->minimum == 0) {
    served.pool_policy.cold_start_wait_max = settings_.cold_start_wait_max;
  }
  const auto& known = pool->served.calibration;
  served.lane = policy::LaneForRange(
      served.range, known ? std::optional(policy::CapacityOf(*known)) : std::nullopt);
  served.lane.overload = entity.overload;
  served.task = pool->served.task;
  served.context_tokens = pool->served.context_tokens;
  if (endpoint.azure) ApplyAzure(*endpoint.azure, served.lane);
  if (known) {
    served.pool_policy.replica_cost_per_s = known->cost_per_s;
    served.pool_policy.replica_concurrency = known->concurrency.Of(entity.strategy);
  }
  for (const RoutedReplica& replica : reconciler_.RoutedOf(served.pool)) {
    served.replicas.push_back(
        {.id = replica.replica,
         .address = address_of(replica.replica),
         .state = replica.draining ? policy::ReplicaState::kDraining : policy::ReplicaState::kReady,
         .reads_headers = !pool->served.external});
  }
  return served;
}

policy::RoutingTable EndpointService::Routes(
    const std::function<std::string(std::uint64_t)>& address_of) const {
  policy::RoutingTable table;
  for (const auto& [name, endpoint] : by_name_) {
    policy::EndpointRoute route;
    route.id = endpoint.id;
    route.name = name;
    route.created_at = endpoint.created_at;
    route.policy = endpoint.policy;
    const std::size_t entities = endpoint.config ? endpoint.config->served_entities.size() : 0;
    for (std::size_t i = 0; i < entities; ++i) {
      route.served.push_back(RouteOf(endpoint, i, address_of));
    }
    // Not in effect yet: it is there, and has nobody to answer.
    if (route.served.empty()) route.served.emplace_back();
    table.Add(std::move(route));
  }
  return table;
}

const PoolWant* EndpointService::PoolOf(const std::string& pool) const {
  const auto found = plan_.find(pool);
  return found == plan_.end() ? nullptr : &found->second;
}

}  // namespace penstock::control
