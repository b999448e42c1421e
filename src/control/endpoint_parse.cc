// Reading endpoints from JSON; endpoint_json.cc writes them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "control/endpoint_json.h"
#include "control/json_reader.h"
#include "control/names.h"

namespace penstock::control {
namespace {

constexpr std::array<std::string_view, 11> kWorkloadTypes = {
    "",          "CPU",        "CPU_MEDIUM",   "CPU_LARGE",       "GPU_SMALL",   "GPU_MEDIUM",
    "GPU_LARGE", "GPU_XLARGE", "GPU_XLARGE_8", "MULTIGPU_MEDIUM", "GPU_MEDIUM_4"};
constexpr std::array<std::string_view, 4> kWorkloadSizes = {"", "Small", "Medium", "Large"};

template <std::size_t N>
std::string OneOf(JsonReader& reader, std::string_view key,
                  const std::array<std::string_view, N>& words) {
  const std::string word = reader.String(key).value_or("");
  if (std::ranges::find(words, word) != words.end()) return word;
  std::string must = "one of";
  for (const auto known : words) {
    if (!known.empty()) must += fmt::format(" {}", known);
  }
  reader.Refuse(key, must, boost::json::value(word));
  return {};
}

std::string TextUpTo(JsonReader& reader, std::string_view key, std::size_t size_max) {
  std::string text = reader.String(key).value_or("");
  if (text.size() > size_max) {
    reader.Refuse({Code::kInvalidArgument,
                   fmt::format("{} must be at most {} bytes, got {}", reader.PathOf(key), size_max,
                               text.size()),
                   reader.PathOf(key)});
  }
  return text;
}

std::optional<policy::ThroughputRange> ReadThroughput(JsonReader& reader, std::int64_t chunk) {
  const auto minimum = reader.Integer("min_provisioned_throughput");
  const auto maximum = reader.Integer("max_provisioned_throughput");
  if (minimum.value_or(0) == 0 && maximum.value_or(0) == 0) return std::nullopt;
  if (!maximum) {
    const std::string field = reader.PathOf("max_provisioned_throughput");
    reader.Refuse({Code::kInvalidArgument,
                   fmt::format("{} is required where min_provisioned_throughput is given", field),
                   field});
    return std::nullopt;
  }
  const policy::ThroughputRange range{.minimum = minimum.value_or(0), .maximum = *maximum};
  if (auto good = policy::CheckRange(range, chunk, reader.PathOf("")); !good) {
    reader.Refuse(good.error());
  }
  return range;
}

std::int64_t ReadVersion(JsonReader& reader, std::string_view key) {
  const auto version = reader.Integer(key);
  if (version && *version >= 1) return *version;
  reader.Refuse({Code::kInvalidArgument,
                 version ? fmt::format("{} must be 1 or more, got {}", reader.PathOf(key), *version)
                         : fmt::format("{} is required", reader.PathOf(key)),
                 reader.PathOf(key)});
  return 1;
}

// `old_names`: the spelling of `served_models`.
ServedEntity ReadEntity(JsonReader& reader, bool old_names, std::int64_t chunk) {
  const std::string_view name_key = old_names ? "model_name" : "entity_name";
  const std::string_view version_key = old_names ? "model_version" : "entity_version";
  for (const std::string_view key :
       {"external_model", "provisioned_model_units", "min_provisioned_concurrency",
        "max_provisioned_concurrency", "environment_vars", "instance_profile_arn"}) {
    reader.RefuseUnsupported(key);
  }
  ServedEntity entity;
  entity.entity_name = reader.RequiredString(name_key);
  if (auto good = ParseModelName(entity.entity_name, reader.PathOf(name_key)); !good) {
    reader.Refuse(good.error());
  }
  entity.entity_version = ReadVersion(reader, version_key);
  entity.name = TextUpTo(reader, "name", 2 * kModelNamePartSizeMax);
  if (entity.name.empty()) {
    entity.name = fmt::format("{}-{}", entity.entity_name, entity.entity_version);
  }
  entity.throughput = ReadThroughput(reader, chunk);
  entity.workload_size = OneOf(reader, "workload_size", kWorkloadSizes);
  entity.workload_type = OneOf(reader, "workload_type", kWorkloadTypes);
  entity.scale_to_zero = reader.Boolean("scale_to_zero_enabled").value_or(false);
  return entity;
}

std::vector<ServedEntity> ReadEntities(JsonReader& config, std::int64_t chunk,
                                       std::optional<Error>& failure) {
  const bool old_names = !config.Has("served_entities") && config.Has("served_models");
  const std::string_view key = old_names ? "served_models" : "served_entities";
  const auto* array = config.Array(key);
  const std::size_t count = array == nullptr ? 0 : array->size();
  if (count < 1 || count > kServedEntitiesMax) {
    config.Refuse({Code::kInvalidArgument,
                   fmt::format("{} must have 1 to {} elements in this version, got {}",
                               config.PathOf(key), kServedEntitiesMax, count),
                   config.PathOf(key)});
    return {};
  }
  std::vector<ServedEntity> entities;
  for (std::size_t i = 0; i < count; ++i) {
    const auto* element = config.Element(*array, key, i);
    if (element == nullptr) return {};
    JsonReader reader(*element, config.PathOf(key, i) + ".", failure);
    entities.push_back(ReadEntity(reader, old_names, chunk));
  }
  return entities;
}

TrafficRoute ReadRoute(JsonReader& reader, const std::vector<ServedEntity>& entities) {
  TrafficRoute route;
  const std::string_view key =
      reader.Has("served_entity_name") ? "served_entity_name" : "served_model_name";
  route.served_entity_name = reader.RequiredString(key);
  const bool known = std::ranges::any_of(
      entities, [&route](const auto& entity) { return entity.name == route.served_entity_name; });
  if (!known) {
    reader.Refuse(key, "the name of a served entity", boost::json::value(route.served_entity_name));
  }
  const auto percentage = reader.Integer("traffic_percentage").value_or(100);
  if (percentage < 0 || percentage > 100) {
    reader.Refuse("traffic_percentage", "0 to 100", boost::json::value(percentage));
  }
  route.traffic_percentage = static_cast<int>(std::clamp<std::int64_t>(percentage, 0, 100));
  return route;
}

std::vector<TrafficRoute> ReadRoutes(JsonReader& config, const std::vector<ServedEntity>& entities,
                                     std::optional<Error>& failure) {
  const auto* traffic = config.Object("traffic_config");
  if (traffic == nullptr) {
    return entities.empty() ? std::vector<TrafficRoute>{}
                            : std::vector<TrafficRoute>{{entities.front().name, 100}};
  }
  const std::string path = config.PathOf("traffic_config");
  JsonReader reader(*traffic, path + ".", failure);
  std::vector<TrafficRoute> routes;
  int sum = 0;
  if (const auto* array = reader.Array("routes"); array != nullptr) {
    for (std::size_t i = 0; i < array->size() && !reader.failed(); ++i) {
      const auto* element = reader.Element(*array, "routes", i);
      if (element == nullptr) break;
      JsonReader inner(*element, reader.PathOf("routes", i) + ".", failure);
      routes.push_back(ReadRoute(inner, entities));
      sum += routes.back().traffic_percentage;
    }
  }
  if (sum != 100 || routes.size() != entities.size()) {
    reader.Refuse({Code::kInvalidArgument,
                   fmt::format("{}.routes must name each served entity once, with percentages that "
                               "add up to 100; got {} routes and {} %",
                               path, routes.size(), sum),
                   path + ".routes"});
  }
  return routes;
}

std::vector<Tag> ReadTags(JsonReader& body, std::optional<Error>& failure) {
  const auto* array = body.Array("tags");
  if (array == nullptr) return {};
  if (array->size() > kTagsMax) {
    body.Refuse({Code::kInvalidArgument,
                 fmt::format("tags must have at most {} elements, got {}", kTagsMax, array->size()),
                 "tags"});
    return {};
  }
  std::vector<Tag> tags;
  for (std::size_t i = 0; i < array->size(); ++i) {
    const auto* element = body.Element(*array, "tags", i);
    if (element == nullptr) return {};
    JsonReader reader(*element, body.PathOf("tags", i) + ".", failure);
    (void)reader.RequiredString("key");
    tags.push_back({.key = TextUpTo(reader, "key", kTagSizeMax),
                    .value = TextUpTo(reader, "value", kTagSizeMax)});
  }
  return tags;
}

void RefuseWhatCannotBeKept(JsonReader& body) {
  for (const std::string_view key : {"ai_gateway", "rate_limits", "route_optimized",
                                     "telemetry_config", "email_notifications"}) {
    body.RefuseUnsupported(key);
  }
}

}  // namespace

Result<EndpointDefinition> ParseEndpointDefinition(std::string_view body,
                                                   std::int64_t chunk_tokens_per_s) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  EndpointDefinition definition;
  definition.name = reader.RequiredString("name");
  if (!reader.failed()) {
    if (auto good = CheckEndpointName(definition.name, "name"); !good) return Fail(good.error());
  }
  RefuseWhatCannotBeKept(reader);
  definition.description = TextUpTo(reader, "description", kDescriptionSizeMax);
  definition.tags = ReadTags(reader, failure);
  const auto* config = reader.Object("config");
  if (config == nullptr) {
    reader.Refuse({Code::kInvalidArgument, "config is required", "config"});
  } else {
    JsonReader inner(*config, "config.", failure);
    inner.RefuseUnsupported("auto_capture_config");
    definition.served_entities = ReadEntities(inner, chunk_tokens_per_s, failure);
    if (!failure) definition.routes = ReadRoutes(inner, definition.served_entities, failure);
  }
  if (failure) return Fail(std::move(*failure));
  return definition;
}

}  // namespace penstock::control
