#include "control/endpoint_service.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "control/endpoint_json.h"
#include "control/endpoint_keys.h"
#include "control/gateway_json.h"
#include "control/notifications.h"
#include "control/open_api.h"

namespace penstock::control {
namespace {

constexpr std::size_t kIdBytes = 16;

store::EndpointRecord RecordOf(const Endpoint& endpoint) {
  const auto& newest = endpoint.pending ? endpoint.pending : endpoint.config;
  return {.id = endpoint.id,
          .name = endpoint.name,
          .definition = EndpointRecordJson(endpoint),
          .config_version = newest ? newest->version : 0,
          .update_state = std::string(ToString(endpoint.update)),
          .update_message = endpoint.update_message,
          .creator = endpoint.creator,
          .created_at = endpoint.created_at,
          .updated_at = endpoint.updated_at};
}

Result<Endpoint> EndpointOf(const store::EndpointRecord& record) {
  const auto damaged = [&record](const std::string& why) {
    return Fail(Code::kCorrupt,
                fmt::format("endpoint {} in the store is damaged: {}", record.name, why));
  };
  const auto update = ParseUpdateState(record.update_state);
  if (!update) return damaged(update.error().message);
  Endpoint endpoint;
  endpoint.update = *update;
  if (auto read = ReadEndpointRecord(record.definition, endpoint); !read) {
    return damaged(read.error().message);
  }
  if (endpoint.name != record.name) return damaged("its names differ");
  endpoint.id = record.id;
  endpoint.update_message = record.update_message;
  endpoint.creator = record.creator;
  endpoint.created_at = record.created_at;
  endpoint.updated_at = record.updated_at;
  endpoint.policy = PolicyOf(endpoint);
  // What failed before the restart and had nothing to fall back on is tried anew.
  if (endpoint.update == UpdateState::kFailed && !endpoint.config) {
    endpoint.update = UpdateState::kInProgress;
    endpoint.update_message.clear();
  }
  return endpoint;
}

// What calls another server, with a key, is an admin's to set up, as registering one is.
Status CheckMayCallOut(const EndpointConfig& config, const Caller& caller) {
  const auto& entities = config.served_entities;
  const auto external = std::ranges::find_if(
      entities, [](const ServedEntity& entity) { return entity.external.has_value(); });
  if (external == entities.end() || caller.role == policy::Role::kAdmin) return {};
  return Fail(Code::kForbidden,
              fmt::format("external_model of {} needs an admin key; \"{}\" is a user's",
                          external->name, caller.name));
}

Error NoSuchEndpoint(const std::string& name) {
  return {Code::kNotFound, fmt::format("endpoint {} does not exist", name), "name"};
}

}  // namespace

std::string PermissionOf(const Endpoint& endpoint, const Caller& caller) {
  if (caller.role == policy::Role::kAdmin) return "CAN_MANAGE";
  const auto right = policy::RightOf(endpoint.policy, caller.name, caller.groups);
  return right ? std::string(ToString(*right)) : std::string();
}

Status EndpointService::Load(TimePoint now) {
  const auto records = store_.ListEndpoints();
  if (!records) return Fail(records.error());
  for (const store::EndpointRecord& record : *records) {
    auto endpoint = EndpointOf(record);
    if (!endpoint) return Fail(endpoint.error());
    if (endpoint->update == UpdateState::kInProgress) pending_since_[endpoint->name] = now;
    by_name_.emplace(record.name, std::move(*endpoint));
  }
  std::map<std::string, PoolWant> plan;
  for (const auto& [name, endpoint] : by_name_) {
    const auto look = [this](const ServedEntity& entity) { return Known(entity); };
    if (auto added = AddToPlan(endpoint, look, plan); !added) {
      return Fail(Code::kCorrupt,
                  fmt::format("endpoint {} in the store: {}", name, added.error().message));
    }
  }
  FinishPlan(plan);
  TakePlan(std::move(plan), now);
  return {};
}

ParseOptions EndpointService::OptionsFor(bool model_units) const {
  return {.chunk_of = [this](const std::string& model,
                             std::int64_t version) { return ChunkOf(model, version); },
          .model_units = model_units};
}

Result<boost::json::object> EndpointService::Create(std::string_view body, bool model_units,
                                                    const Caller& caller, Moment moment) {
  auto definition = ParseEndpointDefinition(body, OptionsFor(model_units));
  if (!definition) return Fail(definition.error());
  const auto added = Add(std::move(*definition), std::nullopt, caller, moment);
  if (!added) return Fail(added.error());
  return DetailOf(**added, caller, moment.now);
}

Result<const Endpoint*> EndpointService::Add(EndpointDefinition definition,
                                             std::optional<AzureDeployment> azure,
                                             const Caller& caller, Moment moment) {
  const std::string name = definition.name;
  if (by_name_.contains(name)) {
    return Fail(Code::kAlreadyExists, fmt::format("endpoint {} exists already", name), "name");
  }
  if (by_name_.size() >= kEndpointsMax) {
    return Fail(Code::kExhausted,
                fmt::format("there are {} endpoints, the most there may be", kEndpointsMax));
  }
  Endpoint endpoint{.id = policy::RandomHex(kIdBytes),
                    .name = name,
                    .description = std::move(definition.description),
                    .tags = std::move(definition.tags),
                    .pending = std::move(definition.config),
                    .creator = caller.name,
                    .created_at = moment.wall,
                    .updated_at = moment.wall,
                    .azure = std::move(azure),
                    .gateway = std::move(definition.gateway),
                    .notifications = std::move(definition.notifications)};
  endpoint.policy = PolicyOf(endpoint);
  if (endpoint.pending) {
    endpoint.update = UpdateState::kInProgress;
    endpoint.pending->version = endpoint.last_version = 1;
    endpoint.pending->started_at = moment.wall;
    if (auto good = CheckMayCallOut(*endpoint.pending, caller); !good) return Fail(good.error());
    if (auto good = CheckModels(*endpoint.pending); !good) return Fail(good.error());
    NameKeyFiles(*endpoint.pending, nullptr, catalog_.secrets());
  }
  auto plan = PlanWith(endpoint);
  if (!plan) return Fail(plan.error());
  if (auto room = CheckRoom(*plan, endpoint); !room) return Fail(room.error());
  if (auto added = Keep(endpoint, nullptr); !added) return Fail(added.error());
  if (endpoint.pending) pending_since_[endpoint.name] = moment.now;
  Note(endpoint, moment, "created", fmt::format("Created by {}.", caller.name));
  const Endpoint& taken = by_name_.emplace(name, std::move(endpoint)).first->second;
  TakePlan(std::move(*plan), moment.now);
  reconciler_.Republish();
  return &taken;
}

Result<boost::json::object> EndpointService::UpdateConfig(const std::string& name,
                                                          std::string_view body, bool model_units,
                                                          const Caller& caller, Moment moment) {
  if (Find(name) == nullptr) return Fail(NoSuchEndpoint(name));
  auto config = ParseEndpointConfig(body, OptionsFor(model_units));
  if (!config) return Fail(config.error());
  if (auto set = SetConfig(name, std::move(*config), std::nullopt, caller, moment); !set) {
    return Fail(set.error());
  }
  return Get(name, caller, moment.now);
}

Status EndpointService::SetConfig(const std::string& name, EndpointConfig config,
                                  std::optional<AzureDeployment> azure, const Caller& caller,
                                  Moment moment) {
  auto endpoint = Changeable(name, caller);
  if (!endpoint) return Fail(endpoint.error());
  if (endpoint->update == UpdateState::kInProgress) {
    return Fail(Code::kConflict,
                fmt::format("endpoint {} is being updated to config_version {}; wait until its "
                            "config_update is NOT_UPDATING",
                            name, endpoint->pending->version));
  }
  if (auto good = CheckMayCallOut(config, caller); !good) return good;
  if (auto good = CheckModels(config); !good) return good;
  NameKeyFiles(config, &*endpoint, catalog_.secrets());
  config.version = (endpoint->config ? endpoint->config->version : 0) + 1;
  config.started_at = moment.wall;
  endpoint->last_version = config.version;
  endpoint->pending = std::move(config);
  endpoint->update = UpdateState::kInProgress;
  endpoint->update_message.clear();
  if (azure) endpoint->azure = std::move(azure);
  endpoint->policy = PolicyOf(*endpoint);
  const auto plan = PlanWith(*endpoint);
  if (!plan) return Fail(plan.error());
  if (auto room = CheckRoom(*plan, *endpoint); !room) return room;
  pending_since_[endpoint->name] = moment.now;
  Note(*endpoint, moment, "update",
       fmt::format("Update to version {} asked for by {}.", endpoint->last_version, caller.name));
  return Replace(std::move(*endpoint), moment);
}

Result<boost::json::object> EndpointService::Get(const std::string& name, const Caller& caller,
                                                 TimePoint now) const {
  const Endpoint* endpoint = Find(name);
  if (endpoint == nullptr || PermissionOf(*endpoint, caller).empty()) {
    return Fail(NoSuchEndpoint(name));
  }
  return DetailOf(*endpoint, caller, now);
}

boost::json::object EndpointService::List(const Caller& caller, TimePoint now) const {
  boost::json::array endpoints;
  for (const auto& [name, endpoint] : by_name_) {
    std::string permission = PermissionOf(endpoint, caller);
    if (permission.empty()) continue;
    endpoints.push_back(EndpointSummaryJson({.endpoint = endpoint,
                                             .status = StatusOf(endpoint, now),
                                             .task = TaskOf(endpoint),
                                             .permission_level = std::move(permission),
                                             .url = settings_.url}));
  }
  return {{"endpoints", std::move(endpoints)}};
}

Status EndpointService::Delete(const std::string& name, const Caller& caller, Moment moment) {
  const auto endpoint = Changeable(name, caller);
  if (!endpoint) return Fail(endpoint.error());
  if (auto deleted = store_.DeleteEndpoint(endpoint->id); !deleted) return deleted;
  for (const std::string& file : KeyFilesOf(*endpoint)) catalog_.secrets().Forget(file);
  events_.Forget(endpoint->id);
  pending_since_.erase(name);
  by_name_.erase(name);
  reconciler_.Republish();
  Replan(moment.now);
  return {};
}

Result<boost::json::object> EndpointService::PatchTags(const std::string& name,
                                                       std::string_view body, const Caller& caller,
                                                       Moment moment) {
  auto endpoint = Changeable(name, caller);
  if (!endpoint) return Fail(endpoint.error());
  auto tags = control::PatchTags(body, endpoint->tags);
  if (!tags) return Fail(tags.error());
  boost::json::object answer{{"tags", TagsJson(*tags)}};
  endpoint->tags = std::move(*tags);
  if (auto done = Replace(std::move(*endpoint), moment); !done) return Fail(done.error());
  return answer;
}

Result<boost::json::object> EndpointService::PutAiGateway(const std::string& name,
                                                          std::string_view body,
                                                          const Caller& caller, Moment moment) {
  auto endpoint = Changeable(name, caller);
  if (!endpoint) return Fail(endpoint.error());
  auto gateway = WithAiGateway(endpoint->gateway, body);
  if (!gateway) return Fail(gateway.error());
  endpoint->gateway = std::move(*gateway);
  endpoint->policy = PolicyOf(*endpoint);
  boost::json::value answer = GatewayPart(endpoint->gateway, "ai_gateway");
  if (auto done = Replace(std::move(*endpoint), moment); !done) return Fail(done.error());
  return answer.as_object();
}

Result<boost::json::object> EndpointService::PutRateLimits(const std::string& name,
                                                           std::string_view body,
                                                           const Caller& caller, Moment moment) {
  auto endpoint = Changeable(name, caller);
  if (!endpoint) return Fail(endpoint.error());
  auto gateway = WithRateLimits(endpoint->gateway, body);
  if (!gateway) return Fail(gateway.error());
  endpoint->gateway = std::move(*gateway);
  endpoint->policy = PolicyOf(*endpoint);
  boost::json::value answer = GatewayPart(endpoint->gateway, "rate_limits");
  if (auto done = Replace(std::move(*endpoint), moment); !done) return Fail(done.error());
  return boost::json::object{{"rate_limits", std::move(answer)}};
}

Result<boost::json::object> EndpointService::PatchNotifications(const std::string& name,
                                                                std::string_view body,
                                                                const Caller& caller,
                                                                Moment moment) {
  auto endpoint = Changeable(name, caller);
  if (!endpoint) return Fail(endpoint.error());
  auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  endpoint->notifications = ReadNotifications(*object, failure);
  if (failure) return Fail(std::move(*failure));
  boost::json::object answer{{"name", name},
                             {"email_notifications", NotificationsJson(endpoint->notifications)}};
  if (auto done = Replace(std::move(*endpoint), moment); !done) return Fail(done.error());
  return answer;
}

Result<boost::json::object> EndpointService::PatchTelemetry(const std::string& name,
                                                            std::string_view body,
                                                            const Caller& caller, Moment moment) {
  auto endpoint = Changeable(name, caller);
  if (!endpoint) return Fail(endpoint.error());
  auto gateway = WithTelemetry(endpoint->gateway, body);
  if (!gateway) return Fail(gateway.error());
  endpoint->gateway = std::move(*gateway);
  if (auto done = Replace(std::move(*endpoint), moment); !done) return Fail(done.error());
  return Get(name, caller, moment.now);
}

Status EndpointService::SetAzure(const std::string& name, AzureDeployment azure,
                                 const Caller& caller, Moment moment) {
  auto endpoint = Changeable(name, caller);
  if (!endpoint) return Fail(endpoint.error());
  endpoint->azure = std::move(azure);
  endpoint->policy = PolicyOf(*endpoint);
  return Replace(std::move(*endpoint), moment);
}

Result<boost::json::object> EndpointService::OpenApi(const std::string& name,
                                                     const Caller& caller) const {
  const Endpoint* endpoint = Find(name);
  if (endpoint == nullptr || PermissionOf(*endpoint, caller).empty()) {
    return Fail(NoSuchEndpoint(name));
  }
  return OpenApiJson(name, TaskOf(*endpoint), settings_.url);
}

Result<boost::json::object> EndpointService::Events(const std::string& name, const Caller& caller) {
  const Endpoint* endpoint = Find(name);
  if (endpoint == nullptr || PermissionOf(*endpoint, caller).empty()) {
    return Fail(NoSuchEndpoint(name));
  }
  return events_.List(endpoint->id);
}

Result<boost::json::object> EndpointService::GetPermissions(const std::string& id,
                                                            const Caller& caller) const {
  for (const auto& [name, endpoint] : by_name_) {
    if (endpoint.id != id) continue;
    if (!PermissionOf(endpoint, caller).empty()) return PermissionsJson(endpoint);
  }
  return Fail(Code::kNotFound, fmt::format("no endpoint has the id {}", id.substr(0, 80)), "id");
}

Result<boost::json::object> EndpointService::SetPermissions(const std::string& id,
                                                            std::string_view body, bool replace,
                                                            const Caller& caller, Moment moment) {
  for (const auto& [name, found] : by_name_) {
    if (found.id != id) continue;
    auto endpoint = Changeable(name, caller);
    if (!endpoint) return Fail(endpoint.error());
    const auto object = ParseJsonObject(body);
    if (!object) return Fail(object.error());
    auto permissions = ReadPermissions(*object);
    if (!permissions) return Fail(permissions.error());
    endpoint->permissions =
        replace ? std::move(*permissions) : MergePermissions(endpoint->permissions, *permissions);
    endpoint->policy = PolicyOf(*endpoint);
    boost::json::object answer = PermissionsJson(*endpoint);
    if (auto done = Replace(std::move(*endpoint), moment); !done) return Fail(done.error());
    return answer;
  }
  return GetPermissions(id, caller);  // Says that there is none.
}

const Endpoint* EndpointService::Find(const std::string& name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &found->second;
}

Result<Endpoint> EndpointService::Changeable(const std::string& name, const Caller& caller) const {
  const Endpoint* endpoint = Find(name);
  const std::string may = endpoint == nullptr ? "" : PermissionOf(*endpoint, caller);
  if (may.empty()) return Fail(NoSuchEndpoint(name));
  if (may == ToString(PermissionLevel::kManage)) return *endpoint;
  return Fail(Code::kForbidden,
              fmt::format("changing endpoint {} needs an admin key or CAN_MANAGE on it; \"{}\" has "
                          "{}",
                          name, caller.name, may));
}

// The record, with the keys that came with it written before, and those that it names no longer
// removed after: whatever the moment of a crash, no record is without its key.
Status EndpointService::Keep(Endpoint& changed, const Endpoint* before) {
  const SecretFiles& secrets = catalog_.secrets();
  auto written = WriteKeys(changed, secrets);
  if (!written) return Fail(written.error());
  const auto record = RecordOf(changed);
  const Status stored =
      before == nullptr ? store_.AddEndpoint(record) : store_.UpdateEndpoint(record);
  if (!stored) {
    for (const std::string& file : *written) secrets.Forget(file);
    return stored;
  }
  if (before == nullptr) return {};
  const auto used = KeyFilesOf(changed);
  for (const std::string& file : KeyFilesOf(*before)) {
    if (!used.contains(file)) secrets.Forget(file);
  }
  return {};
}

Status EndpointService::Store(Endpoint changed, Moment moment) {
  changed.updated_at = moment.wall;
  if (auto kept = Keep(changed, Find(changed.name)); !kept) return kept;
  std::string name = changed.name;
  by_name_.insert_or_assign(std::move(name), std::move(changed));
  return {};
}

Status EndpointService::Replace(Endpoint changed, Moment moment) {
  if (auto stored = Store(std::move(changed), moment); !stored) return stored;
  reconciler_.Republish();
  Replan(moment.now);
  return {};
}

boost::json::object EndpointService::DetailOf(const Endpoint& endpoint, const Caller& caller,
                                              TimePoint now) const {
  boost::json::object json = EndpointDetailJson({.endpoint = endpoint,
                                                 .status = StatusOf(endpoint, now),
                                                 .task = TaskOf(endpoint),
                                                 .permission_level = PermissionOf(endpoint, caller),
                                                 .url = settings_.url});
  boost::json::value mails = NotificationsJson(endpoint.notifications);
  if (!mails.is_null()) json["email_notifications"] = std::move(mails);
  for (const char* part : {"ai_gateway", "rate_limits", "telemetry_config", "budget_policy_id"}) {
    boost::json::value value = GatewayPart(endpoint.gateway, part);
    if (!value.is_null()) json[part] = std::move(value);
  }
  return json;
}

std::optional<std::string> EndpointService::ServerOf(const std::string& model,
                                                     std::optional<std::int64_t> version) const {
  const auto serves = [&](const std::optional<EndpointConfig>& config) {
    if (!config) return false;
    for (const ServedEntity& entity : config->served_entities) {
      if (entity.entity_name != model) continue;
      if (!version || *version == entity.entity_version) return true;
    }
    return false;
  };
  for (const auto& [name, endpoint] : by_name_) {
    if (serves(endpoint.config) || serves(endpoint.pending)) return name;
  }
  return std::nullopt;
}

std::vector<std::string> EndpointService::Names() const {
  std::vector<std::string> names;
  for (const auto& [name, endpoint] : by_name_) names.push_back(name);
  return names;
}

std::set<std::string> EndpointService::KeyFiles() const {
  std::set<std::string> files;
  for (const auto& [name, endpoint] : by_name_) files.merge(KeyFilesOf(endpoint));
  return files;
}

void EndpointService::Note(const Endpoint& endpoint, Moment moment, std::string kind,
                           std::string message) {
  events_.Add({.endpoint_id = endpoint.id,
               .at = moment.wall,
               .kind = std::move(kind),
               .served_entity = {},
               .message = std::move(message)});
}

}  // namespace penstock::control
