#include "control/endpoint_json.h"

#include <string>

namespace penstock::control {
namespace {

std::int64_t Ms(WallTime time) { return time.time_since_epoch().count(); }

boost::json::object EntityRequestJson(const ServedEntity& entity) {
  boost::json::object json;
  json["name"] = entity.name;
  json["entity_name"] = entity.entity_name;
  json["entity_version"] = std::to_string(entity.entity_version);
  if (entity.throughput) {
    json["min_provisioned_throughput"] = entity.throughput->minimum;
    json["max_provisioned_throughput"] = entity.throughput->maximum;
  }
  if (!entity.workload_size.empty()) json["workload_size"] = entity.workload_size;
  if (!entity.workload_type.empty()) json["workload_type"] = entity.workload_type;
  json["scale_to_zero_enabled"] = entity.scale_to_zero;
  return json;
}

boost::json::object TrafficJson(const EndpointDefinition& definition) {
  boost::json::array routes;
  for (const TrafficRoute& route : definition.routes) {
    routes.push_back({{"served_model_name", route.served_entity_name},
                      {"served_entity_name", route.served_entity_name},
                      {"traffic_percentage", route.traffic_percentage}});
  }
  return {{"routes", std::move(routes)}};
}

boost::json::array TagsJson(const EndpointDefinition& definition) {
  boost::json::array tags;
  for (const Tag& tag : definition.tags) tags.push_back({{"key", tag.key}, {"value", tag.value}});
  return tags;
}

boost::json::object ServedEntityJson(const Endpoint& endpoint, const ServedEntity& entity,
                                     const EndpointStatus& status) {
  boost::json::object json = EntityRequestJson(entity);
  json["creator"] = endpoint.creator;
  json["creation_timestamp"] = Ms(endpoint.created_at);
  json["state"] = {{"deployment", ToString(status.deployment)},
                   {"deployment_state_message", status.message}};
  return json;
}

// The same under the names of before `served_entities`, which older clients still read.
boost::json::object ServedModelJson(boost::json::object entity) {
  entity["model_name"] = entity["entity_name"];
  entity["model_version"] = entity["entity_version"];
  entity.erase("entity_name");
  entity.erase("entity_version");
  return entity;
}

boost::json::object ConfigJson(const Endpoint& endpoint, const EndpointStatus& status) {
  boost::json::array entities;
  boost::json::array models;
  for (const ServedEntity& entity : endpoint.definition.served_entities) {
    entities.push_back(ServedEntityJson(endpoint, entity, status));
    models.push_back(ServedModelJson(entities.back().get_object()));
  }
  return {{"served_entities", std::move(entities)},
          {"served_models", std::move(models)},
          {"traffic_config", TrafficJson(endpoint.definition)},
          {"config_version", endpoint.config_version}};
}

boost::json::object StateJson(const EndpointStatus& status) {
  return {{"ready", status.ready ? "READY" : "NOT_READY"},
          {"config_update", ToString(status.update)}};
}

// What detail and summary share.
boost::json::object HeadJson(const Endpoint& endpoint, const EndpointStatus& status,
                             const std::string& task, policy::Role role) {
  boost::json::object json;
  json["id"] = endpoint.id;
  json["name"] = endpoint.definition.name;
  json["creator"] = endpoint.creator;
  json["creation_timestamp"] = Ms(endpoint.created_at);
  json["last_updated_timestamp"] = Ms(endpoint.updated_at);
  json["state"] = StateJson(status);
  json["tags"] = TagsJson(endpoint.definition);
  json["task"] = task;
  json["endpoint_type"] = "FOUNDATION_MODEL_API";
  json["permission_level"] = role == policy::Role::kAdmin ? "CAN_MANAGE" : "CAN_QUERY";
  if (!endpoint.definition.description.empty()) {
    json["description"] = endpoint.definition.description;
  }
  return json;
}

}  // namespace

std::string EndpointDefinitionJson(const EndpointDefinition& definition) {
  boost::json::array entities;
  for (const ServedEntity& entity : definition.served_entities) {
    entities.push_back(EntityRequestJson(entity));
  }
  boost::json::object json;
  json["name"] = definition.name;
  json["description"] = definition.description;
  json["tags"] = TagsJson(definition);
  json["config"] = {{"served_entities", std::move(entities)},
                    {"traffic_config", TrafficJson(definition)}};
  return boost::json::serialize(json);
}

boost::json::object EndpointDetailJson(const Endpoint& endpoint, const EndpointStatus& status,
                                       const std::string& task, policy::Role role) {
  boost::json::object json = HeadJson(endpoint, status, task, role);
  json["route_optimized"] = false;
  boost::json::object config = ConfigJson(endpoint, status);
  if (status.update == UpdateState::kNotUpdating) {
    json["config"] = std::move(config);
  } else {
    config["start_time"] = Ms(endpoint.updated_at);
    json["pending_config"] = std::move(config);
  }
  return json;
}

boost::json::object EndpointSummaryJson(const Endpoint& endpoint, const EndpointStatus& status,
                                        const std::string& task, policy::Role role) {
  boost::json::object json = HeadJson(endpoint, status, task, role);
  boost::json::array entities;
  for (const ServedEntity& entity : endpoint.definition.served_entities) {
    entities.push_back(EntityRequestJson(entity));
  }
  json["config"] = {{"served_entities", std::move(entities)}};
  return json;
}

}  // namespace penstock::control
