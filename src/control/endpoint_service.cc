#include "control/endpoint_service.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "control/endpoint_json.h"

namespace penstock::control {
namespace {

constexpr std::size_t kIdBytes = 16;

store::EndpointRecord RecordOf(const Endpoint& endpoint) {
  return {.id = endpoint.id,
          .name = endpoint.definition.name,
          .definition = EndpointDefinitionJson(endpoint.definition),
          .config_version = endpoint.config_version,
          .update_state = std::string(ToString(UpdateState::kInProgress)),
          .update_message = {},
          .creator = endpoint.creator,
          .created_at = endpoint.created_at,
          .updated_at = endpoint.updated_at};
}

Result<Endpoint> EndpointOf(const store::EndpointRecord& record) {
  auto definition = ParseEndpointDefinition(record.definition);
  if (!definition || definition->name != record.name) {
    return Fail(Code::kCorrupt,
                fmt::format("endpoint {} in the store is damaged: {}", record.name,
                            definition ? "its names differ" : definition.error().message));
  }
  return Endpoint{.id = record.id,
                  .definition = std::move(*definition),
                  .config_version = record.config_version,
                  .creator = record.creator,
                  .created_at = record.created_at,
                  .updated_at = record.updated_at};
}

// No model has a calibration yet; see policy/capacity.h.
int ReplicasOf(const ServedEntity& entity) {
  if (!entity.throughput) return 1;
  return policy::ReplicasForRange(*entity.throughput, std::nullopt).minimum;
}

Error NoSuchEndpoint(const std::string& name) {
  return {Code::kNotFound, fmt::format("endpoint {} does not exist", name), "name"};
}

}  // namespace

Status EndpointService::Load(TimePoint now) {
  const auto records = store_.ListEndpoints();
  if (!records) return Fail(records.error());
  for (const store::EndpointRecord& record : *records) {
    auto endpoint = EndpointOf(record);
    if (!endpoint) return Fail(endpoint.error());
    auto entry = Describe(std::move(*endpoint));
    if (!entry) {
      return Fail(Code::kCorrupt,
                  fmt::format("endpoint {} in the store: {}", record.name, entry.error().message));
    }
    const auto update = ParseUpdateState(record.update_state);
    if (!update) return Fail(update.error());
    // What failed before the restart is tried anew.
    TakeUp(std::move(*entry), *update == UpdateState::kFailed ? UpdateState::kInProgress : *update,
           now);
  }
  return {};
}

Result<boost::json::object> EndpointService::Create(std::string_view body, const Caller& caller,
                                                    Moment moment) {
  auto definition = ParseEndpointDefinition(body);
  if (!definition) return Fail(definition.error());
  const std::string name = definition->name;
  if (by_name_.contains(name)) {
    return Fail(Code::kAlreadyExists, fmt::format("endpoint {} exists already", name), "name");
  }
  if (by_name_.size() >= kEndpointsMax) {
    return Fail(Code::kExhausted,
                fmt::format("there are {} endpoints, the most there may be", kEndpointsMax));
  }
  auto entry = Describe({.id = policy::RandomHex(kIdBytes),
                         .definition = std::move(*definition),
                         .config_version = 1,
                         .creator = caller.name,
                         .created_at = moment.wall,
                         .updated_at = moment.wall});
  if (!entry) return Fail(entry.error());
  if (auto added = store_.AddEndpoint(RecordOf(entry->endpoint)); !added) {
    return Fail(added.error());
  }
  TakeUp(std::move(*entry), UpdateState::kInProgress, moment.now);
  return Get(name, caller, moment.now);
}

Result<boost::json::object> EndpointService::Get(const std::string& name, const Caller& caller,
                                                 TimePoint now) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return Fail(NoSuchEndpoint(name));
  const Entry& entry = found->second;
  return EndpointDetailJson(entry.endpoint, reconciler_.StatusOf(entry.endpoint.id, now),
                            entry.task, caller.role);
}

boost::json::object EndpointService::List(const Caller& caller, TimePoint now) const {
  boost::json::array endpoints;
  for (const auto& [name, entry] : by_name_) {
    endpoints.push_back(EndpointSummaryJson(
        entry.endpoint, reconciler_.StatusOf(entry.endpoint.id, now), entry.task, caller.role));
  }
  return {{"endpoints", std::move(endpoints)}};
}

Status EndpointService::Delete(const std::string& name, TimePoint now) {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) return Fail(NoSuchEndpoint(name));
  const std::string id = found->second.endpoint.id;
  if (auto deleted = store_.DeleteEndpoint(id); !deleted) return deleted;
  by_name_.erase(found);
  name_by_id_.erase(id);
  reconciler_.RemoveEndpoint(id, now);
  return {};
}

std::optional<std::string> EndpointService::ServerOf(const std::string& model,
                                                     std::optional<std::int64_t> version) const {
  for (const auto& [name, entry] : by_name_) {
    for (const ServedEntity& entity : entry.endpoint.definition.served_entities) {
      if (entity.entity_name != model) continue;
      if (!version || *version == entity.entity_version) return name;
    }
  }
  return std::nullopt;
}

policy::RoutingTable EndpointService::Routes(
    const std::function<std::string(std::uint64_t)>& address_of) const {
  policy::RoutingTable table;
  for (const auto& [name, entry] : by_name_) {
    const ServedEntity& entity = entry.endpoint.definition.served_entities.front();
    policy::EndpointRoute route;
    route.id = entry.endpoint.id;
    route.name = name;
    route.created_at = entry.endpoint.created_at;
    policy::ServedRoute& served = route.served.emplace_back();
    served.name = entity.name;
    served.model = entity.entity_name;
    served.model_version = entity.entity_version;
    served.range = entity.throughput.value_or(policy::ThroughputRange{});
    served.lane = policy::LaneForRange(served.range, std::nullopt);
    for (const RoutedReplica& replica : reconciler_.RoutedOf(entry.endpoint.id)) {
      served.replicas.push_back({.id = replica.replica,
                                 .address = address_of(replica.replica),
                                 .state = replica.draining ? policy::ReplicaState::kDraining
                                                           : policy::ReplicaState::kReady});
    }
    table.Add(std::move(route));
  }
  return table;
}

std::optional<ServedModel> EndpointService::ModelOf(const std::string& endpoint_id) const {
  const auto name = name_by_id_.find(endpoint_id);
  if (name == name_by_id_.end()) return std::nullopt;
  return ServedModel{.endpoint_name = name->second, .source = by_name_.at(name->second).source};
}

Status EndpointService::Record(const RecordUpdate& update) {
  return store_.SetEndpointUpdate(update.endpoint_id, ToString(update.state), update.message);
}

std::vector<std::string> EndpointService::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : by_name_) names.push_back(name);
  return names;
}

Result<EndpointService::Entry> EndpointService::Describe(Endpoint endpoint) {
  CHECK(endpoint.definition.served_entities.size() == 1, "one served entity was checked");
  const ServedEntity& entity = endpoint.definition.served_entities.front();
  auto version = catalog_.GetVersion(entity.entity_name, entity.entity_version);
  if (!version) {
    Error error = std::move(version.error());
    if (error.field.empty()) error.field = "config.served_entities[0].entity_name";
    return Fail(std::move(error));
  }
  return Entry{.endpoint = std::move(endpoint),
               .task = TaskOf(*version),
               .source = std::move(version->source)};
}

void EndpointService::TakeUp(Entry entry, UpdateState update, TimePoint now) {
  const Endpoint& endpoint = entry.endpoint;
  reconciler_.SetEndpoint(endpoint.id, ReplicasOf(endpoint.definition.served_entities.front()),
                          update, now);
  name_by_id_.emplace(endpoint.id, endpoint.definition.name);
  std::string name = endpoint.definition.name;
  by_name_.emplace(std::move(name), std::move(entry));
}

}  // namespace penstock::control
