#include "control/endpoint_json.h"

#include <algorithm>
#include <string>

namespace penstock::control {
namespace {

std::int64_t Ms(WallTime time) { return time.time_since_epoch().count(); }

boost::json::object EntityRequestJson(const ServedEntity& entity) {
  boost::json::object json;
  json["name"] = entity.name;
  if (entity.external) {
    json["external_model"] = entity.external->json;
  } else {
    json["entity_name"] = entity.entity_name;
    json["entity_version"] = std::to_string(entity.entity_version);
  }
  if (entity.throughput) {
    json["min_provisioned_throughput"] = entity.throughput->minimum;
    json["max_provisioned_throughput"] = entity.throughput->maximum;
  }
  if (entity.model_units) {
    json["provisioned_model_units"] = *entity.model_units;
    json["burst_scaling_enabled"] = entity.burst_scaling;
  }
  if (!entity.workload_size.empty()) json["workload_size"] = entity.workload_size;
  if (!entity.workload_type.empty()) json["workload_type"] = entity.workload_type;
  json["scale_to_zero_enabled"] = entity.scale_to_zero;
  json["strategy"] = policy::ToString(entity.strategy);
  json["isolation"] = policy::ToString(entity.isolation);
  json["overload"] = policy::ToString(entity.overload);
  return json;
}

boost::json::object TrafficJson(const EndpointConfig& config) {
  boost::json::array routes;
  for (const TrafficRoute& route : config.routes) {
    routes.push_back({{"served_model_name", route.served_entity_name},
                      {"served_entity_name", route.served_entity_name},
                      {"traffic_percentage", route.traffic_percentage}});
  }
  return {{"routes", std::move(routes)}};
}

boost::json::object ServedEntityJson(const EndpointView& view, const EndpointConfig& config,
                                     const ServedEntity& entity, const EntityStatus& status) {
  boost::json::object json = EntityRequestJson(entity);
  json["creator"] = view.endpoint.creator;
  json["creation_timestamp"] = Ms(config.started_at);
  json["state"] = {{"deployment", ToString(status.deployment)},
                   {"deployment_state_message", status.message}};
  json["replicas_ready"] = status.replicas_ready;
  json["replicas_wanted"] = status.replicas_wanted;
  if (!entity.external) {
    json["foundation_model"] = {{"name", entity.entity_name}, {"display_name", entity.entity_name}};
  }
  return json;
}

// The same under the names of before `served_entities`, which older clients still read.
boost::json::object ServedModelJson(boost::json::object entity) {
  if (!entity.contains("entity_name")) return entity;
  entity["model_name"] = entity["entity_name"];
  entity["model_version"] = entity["entity_version"];
  entity.erase("entity_name");
  entity.erase("entity_version");
  return entity;
}

void AddCapture(const EndpointConfig& config, boost::json::object& json) {
  if (config.auto_capture.empty()) return;
  json["auto_capture_config"] = boost::json::parse(config.auto_capture);
}

boost::json::object ConfigJson(const EndpointView& view, const EndpointConfig& config,
                               const std::vector<EntityStatus>& statuses) {
  boost::json::array entities;
  boost::json::array models;
  for (std::size_t i = 0; i < config.served_entities.size(); ++i) {
    const EntityStatus status = i < statuses.size() ? statuses[i] : EntityStatus{};
    entities.push_back(ServedEntityJson(view, config, config.served_entities[i], status));
    models.push_back(ServedModelJson(entities.back().get_object()));
  }
  boost::json::object json = {{"served_entities", std::move(entities)},
                              {"served_models", std::move(models)},
                              {"traffic_config", TrafficJson(config)},
                              {"config_version", config.version}};
  AddCapture(config, json);
  return json;
}

// Nothing of it runs here.
bool IsExternal(const Endpoint& endpoint) {
  const auto& config = endpoint.config ? endpoint.config : endpoint.pending;
  return config && std::ranges::all_of(config->served_entities, [](const ServedEntity& entity) {
           return entity.external.has_value();
         });
}

// What detail and summary share.
boost::json::object HeadJson(const EndpointView& view) {
  const Endpoint& endpoint = view.endpoint;
  boost::json::object json;
  json["id"] = endpoint.id;
  json["name"] = endpoint.name;
  json["creator"] = endpoint.creator;
  json["creation_timestamp"] = Ms(endpoint.created_at);
  json["last_updated_timestamp"] = Ms(endpoint.updated_at);
  json["state"] = {{"ready", view.status.ready ? "READY" : "NOT_READY"},
                   {"config_update", ToString(endpoint.update)}};
  json["tags"] = TagsJson(endpoint.tags);
  json["task"] = view.task;
  json["endpoint_type"] = IsExternal(endpoint) ? "EXTERNAL_MODEL" : "FOUNDATION_MODEL_API";
  json["permission_level"] = view.permission_level;
  if (!endpoint.description.empty()) json["description"] = endpoint.description;
  return json;
}

boost::json::object ConfigRecord(const EndpointConfig& config) {
  boost::json::array entities;
  for (const ServedEntity& entity : config.served_entities) {
    boost::json::object json = EntityRequestJson(entity);
    if (!entity.key_file.empty()) json["key_file"] = entity.key_file;
    entities.push_back(std::move(json));
  }
  boost::json::object json = {{"served_entities", std::move(entities)},
                              {"traffic_config", TrafficJson(config)},
                              {"config_version", config.version},
                              {"started_at_ms", Ms(config.started_at)}};
  AddCapture(config, json);
  return json;
}

boost::json::object AzureRecord(const AzureDeployment& azure) {
  return {{"account", azure.account},       {"sku", azure.sku},
          {"capacity", azure.capacity},     {"model_format", azure.model_format},
          {"model_name", azure.model_name}, {"model_version", azure.model_version},
          {"properties", azure.properties}};
}

}  // namespace

boost::json::array TagsJson(const std::vector<Tag>& tags) {
  boost::json::array json;
  for (const Tag& tag : tags) json.push_back({{"key", tag.key}, {"value", tag.value}});
  return json;
}

std::string EndpointRecordJson(const Endpoint& endpoint) {
  boost::json::object json;
  json["name"] = endpoint.name;
  json["description"] = endpoint.description;
  json["tags"] = TagsJson(endpoint.tags);
  json["last_version"] = endpoint.last_version;
  if (endpoint.config) json["config"] = ConfigRecord(*endpoint.config);
  if (endpoint.pending) json["pending_config"] = ConfigRecord(*endpoint.pending);
  boost::json::array permissions;
  for (const Permission& permission : endpoint.permissions) {
    permissions.push_back({{permission.principal_kind, permission.principal},
                           {"permission_level", ToString(permission.level)}});
  }
  json["access_control_list"] = std::move(permissions);
  if (endpoint.azure) json["azure"] = AzureRecord(*endpoint.azure);
  if (!endpoint.gateway.empty()) json["gateway"] = endpoint.gateway;
  if (!endpoint.notifications.empty()) json["notifications"] = endpoint.notifications;
  return boost::json::serialize(json);
}

boost::json::object EndpointDetailJson(const EndpointView& view) {
  const Endpoint& endpoint = view.endpoint;
  boost::json::object json = HeadJson(view);
  json["route_optimized"] = false;
  json["endpoint_url"] = view.url + "/serving-endpoints/" + endpoint.name + "/invocations";
  if (endpoint.config) {
    json["config"] = ConfigJson(view, *endpoint.config, view.status.config);
  }
  if (endpoint.pending) {
    boost::json::object config = ConfigJson(view, *endpoint.pending, view.status.pending);
    config["start_time"] = Ms(endpoint.pending->started_at);
    json["pending_config"] = std::move(config);
  }
  if (!endpoint.update_message.empty()) json["update_message"] = endpoint.update_message;
  return json;
}

boost::json::object EndpointSummaryJson(const EndpointView& view) {
  boost::json::object json = HeadJson(view);
  const auto& config = view.endpoint.config ? view.endpoint.config : view.endpoint.pending;
  boost::json::array entities;
  boost::json::array models;
  if (config) {
    for (const ServedEntity& entity : config->served_entities) {
      entities.push_back(EntityRequestJson(entity));
      models.push_back(ServedModelJson(entities.back().get_object()));
    }
  }
  json["config"] = {{"served_entities", std::move(entities)}, {"served_models", std::move(models)}};
  return json;
}

}  // namespace penstock::control
