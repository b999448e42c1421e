// The REST paths of endpoints, their permissions, keys and billing.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "control/api_call.h"
#include "control/billing.h"
#include "control/gateway_json.h"
#include "control/key_service.h"
#include "control/scaler.h"

namespace penstock::control {
namespace {

// The endpoint, if the caller may see it.
Result<const Endpoint*> Seen(const ApiCall& call) {
  const Endpoint* endpoint = call.parts.endpoints.Find(call.parameters[0]);
  if (endpoint != nullptr && !PermissionOf(*endpoint, call.request.caller).empty()) {
    return endpoint;
  }
  return Fail(Code::kNotFound, fmt::format("endpoint {} does not exist", call.parameters[0]),
              "name");
}

template <bool kModelUnits>
ApiResult Create(const ApiCall& call) {
  return call.parts.endpoints.Create(call.request.body, kModelUnits, call.request.caller,
                                     call.moment);
}

template <bool kModelUnits>
ApiResult UpdateConfig(const ApiCall& call) {
  return call.parts.endpoints.UpdateConfig(call.parameters[0], call.request.body, kModelUnits,
                                           call.request.caller, call.moment);
}

// The served entity that the path names, in the configuration in effect or on its way.
Result<const ServedEntity*> EntityOf(const ApiCall& call, const Endpoint& endpoint) {
  for (const auto* config : {&endpoint.config, &endpoint.pending}) {
    if (!*config) continue;
    const auto& entities = (*config)->served_entities;
    const auto found = std::ranges::find(entities, call.parameters[1], &ServedEntity::name);
    if (found != entities.end()) return &*found;
  }
  return Fail(Code::kNotFound, fmt::format("endpoint {} serves nothing named {}", endpoint.name,
                                           call.parameters[1].substr(0, 80)));
}

ApiResult Logs(const ApiCall& call) {
  const auto endpoint = Seen(call);
  if (!endpoint) return Fail(endpoint.error());
  const auto entity = EntityOf(call, **endpoint);
  if (!entity) return Fail(entity.error());
  const std::string pool = PoolIdOf((*endpoint)->id, **entity);
  return boost::json::object{{"logs", call.parts.logs ? call.parts.logs(pool) : std::string()}};
}

// Nothing is built here: what there is to say is what was registered.
ApiResult BuildLogs(const ApiCall& call) {
  const auto endpoint = Seen(call);
  if (!endpoint) return Fail(endpoint.error());
  const auto entity = EntityOf(call, **endpoint);
  if (!entity) return Fail(entity.error());
  const PoolWant* pool = call.parts.endpoints.PoolOf(PoolIdOf((*endpoint)->id, **entity));
  const std::string source = pool == nullptr ? std::string("(not wanted)") : pool->served.source;
  return boost::json::object{
      {"logs", (*entity)->external
                   ? fmt::format("{}: nothing to build; asked of {}\n", (*entity)->model(), source)
                   : fmt::format("{} version {}: nothing to build; served from {}\n",
                                 (*entity)->entity_name, (*entity)->entity_version, source)}};
}

ApiResult Explain(const ApiCall& call) {
  const auto endpoint = Seen(call);
  if (!endpoint) return Fail(endpoint.error());
  if (call.parts.scaler == nullptr) {
    return Fail(Code::kUnsupported, "this server does not scale endpoints");
  }
  boost::json::array entities;
  const auto& config = (*endpoint)->config ? (*endpoint)->config : (*endpoint)->pending;
  for (const ServedEntity& entity :
       config ? config->served_entities : std::vector<ServedEntity>{}) {
    const std::string id = PoolIdOf((*endpoint)->id, entity);
    const PoolWant* pool = call.parts.endpoints.PoolOf(id);
    boost::json::object json{{"served_entity_name", entity.name},
                             {"strategy", policy::ToString(entity.strategy)},
                             {"isolation", policy::ToString(entity.isolation)},
                             {"scaling", call.parts.scaler->ExplainJson(id)}};
    if (pool != nullptr) {
      const auto& known = pool->served.calibration;
      const int replicas =
          json["scaling"].is_object()
              ? static_cast<int>(json["scaling"].at("now").at("replicas").to_number<std::int64_t>())
              : 0;
      json["calibrated"] = known.has_value();
      if (known) json["throughput_chunk_size"] = known->chunk_tokens_per_s;
      json["level_tokens_per_s"] = LevelOf(entity, replicas, known);
    }
    entities.push_back(std::move(json));
  }
  return boost::json::object{{"name", (*endpoint)->name}, {"served_entities", std::move(entities)}};
}

ApiResult BillingReport(const ApiCall& call) {
  if (call.parts.billing == nullptr) {
    return Fail(Code::kUnsupported, "this server keeps no billing");
  }
  return call.parts.billing->ReportJson(call.Query("start"), call.Query("end"), call.moment.wall);
}

template <auto Method>
ApiResult OnKeys(const ApiCall& call) {
  if (call.parts.keys == nullptr) return Fail(Code::kUnsupported, "this server has no keys");
  return (call.parts.keys->*Method)(call.request.body, call.moment.wall);
}

ApiResult ListMembers(const ApiCall& call) {
  if (call.parts.keys == nullptr) return Fail(Code::kUnsupported, "this server has no keys");
  return call.parts.keys->MembersOf(call.Query("group_name"));
}

ApiResult ListParents(const ApiCall& call) {
  if (call.parts.keys == nullptr) return Fail(Code::kUnsupported, "this server has no keys");
  return call.parts.keys->GroupsOf(call.Query("user_name"));
}

template <auto Method>
ApiResult Change(const ApiCall& call) {
  return (call.parts.endpoints.*Method)(call.parameters[0], call.request.body, call.request.caller,
                                        call.moment);
}

template <bool kReplace>
ApiResult SetPermissions(const ApiCall& call) {
  return call.parts.endpoints.SetPermissions(call.parameters[0], call.request.body, kReplace,
                                             call.request.caller, call.moment);
}

constexpr std::string_view kRoot = "/api/2.0/serving-endpoints";

constexpr auto kAdmin = ApiRole::kAdmin;
constexpr auto kByEndpoint = ApiRole::kByEndpoint;
constexpr std::array kRoutes = {
    ApiRoute{"GET", kRoot,
             [](const ApiCall& call) -> ApiResult {
               return call.parts.endpoints.List(call.request.caller, call.moment.now);
             }},
    ApiRoute{"POST", kRoot, Create<false>, kAdmin},
    ApiRoute{"POST", "/api/2.0/serving-endpoints/pt", Create<true>, kAdmin},
    ApiRoute{"PUT", "/api/2.0/serving-endpoints/pt/*/config", UpdateConfig<true>, kByEndpoint},
    ApiRoute{"PUT", "/api/2.0/serving-endpoints/*/config", UpdateConfig<false>, kByEndpoint},
    ApiRoute{"PATCH", "/api/2.0/serving-endpoints/*/tags", Change<&EndpointService::PatchTags>,
             kByEndpoint},
    ApiRoute{"PUT", "/api/2.0/serving-endpoints/*/ai-gateway",
             Change<&EndpointService::PutAiGateway>, kByEndpoint},
    ApiRoute{"PUT", "/api/2.0/serving-endpoints/*/rate-limits",
             Change<&EndpointService::PutRateLimits>, kByEndpoint},
    ApiRoute{"PATCH", "/api/2.0/serving-endpoints/*/notifications",
             Change<&EndpointService::PatchNotifications>, kByEndpoint},
    ApiRoute{"PATCH", "/api/2.0/serving-endpoints/*/telemetry-config",
             Change<&EndpointService::PatchTelemetry>, kByEndpoint},
    ApiRoute{"GET", "/api/2.0/serving-endpoints/*/openapi",
             [](const ApiCall& call) {
               return call.parts.endpoints.OpenApi(call.parameters[0], call.request.caller);
             }},
    ApiRoute{"GET", "/api/2.0/serving-endpoints/*/served-models/*/logs", Logs},
    ApiRoute{"GET", "/api/2.0/serving-endpoints/*/served-models/*/build-logs", BuildLogs},
    ApiRoute{"GET", "/api/2.0/serving-endpoints/*/events",
             [](const ApiCall& call) {
               return call.parts.endpoints.Events(call.parameters[0], call.request.caller);
             }},
    ApiRoute{"GET", "/api/2.0/serving-endpoints/*/explain", Explain},
    ApiRoute{"GET", "/api/2.0/serving-endpoints/*",
             [](const ApiCall& call) {
               return call.parts.endpoints.Get(call.parameters[0], call.request.caller,
                                               call.moment.now);
             }},
    ApiRoute{"DELETE", "/api/2.0/serving-endpoints/*",
             [](const ApiCall& call) {
               return EmptyAnswer(call.parts.endpoints.Delete(call.parameters[0],
                                                              call.request.caller, call.moment));
             },
             kByEndpoint},
    ApiRoute{"GET", "/api/2.0/permissions/serving-endpoints/*/permissionLevels",
             [](const ApiCall& call) -> ApiResult {
               const auto seen =
                   call.parts.endpoints.GetPermissions(call.parameters[0], call.request.caller);
               if (!seen) return Fail(seen.error());
               return PermissionLevelsJson();
             }},
    ApiRoute{"GET", "/api/2.0/permissions/serving-endpoints/*",
             [](const ApiCall& call) {
               return call.parts.endpoints.GetPermissions(call.parameters[0], call.request.caller);
             }},
    ApiRoute{"PUT", "/api/2.0/permissions/serving-endpoints/*", SetPermissions<true>, kByEndpoint},
    ApiRoute{"PATCH", "/api/2.0/permissions/serving-endpoints/*", SetPermissions<false>,
             kByEndpoint},
    ApiRoute{"GET", "/api/2.0/billing", BillingReport},
    ApiRoute{"GET", "/api/2.0/token/list", OnKeys<&KeyService::List>, kAdmin},
    ApiRoute{"POST", "/api/2.0/token/create", OnKeys<&KeyService::Create>, kAdmin},
    ApiRoute{"POST", "/api/2.0/token/delete", OnKeys<&KeyService::Delete>, kAdmin},
    ApiRoute{"POST", "/api/2.0/groups/create", OnKeys<&KeyService::CreateGroup>, kAdmin},
    ApiRoute{"GET", "/api/2.0/groups/list", OnKeys<&KeyService::ListGroups>, kAdmin},
    ApiRoute{"POST", "/api/2.0/groups/delete", OnKeys<&KeyService::DeleteGroup>, kAdmin},
    ApiRoute{"POST", "/api/2.0/groups/add-member", OnKeys<&KeyService::AddMember>, kAdmin},
    ApiRoute{"POST", "/api/2.0/groups/remove-member", OnKeys<&KeyService::RemoveMember>, kAdmin},
    ApiRoute{"GET", "/api/2.0/groups/list-members", ListMembers, kAdmin},
    ApiRoute{"GET", "/api/2.0/groups/list-parents", ListParents, kAdmin},
};

}  // namespace

std::span<const ApiRoute> EndpointRoutes() { return kRoutes; }

}  // namespace penstock::control
