// Reading endpoints from JSON; endpoint_json.cc writes them.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <limits>

#include "control/endpoint_json.h"
#include "control/gateway_json.h"
#include "control/json_reader.h"
#include "control/names.h"
#include "control/notifications.h"

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
  if (!minimum && !maximum) return std::nullopt;
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

// A word of one of policy's enums; `fallback` where the field is absent.
template <typename Word>
Word ReadWord(JsonReader& reader, std::string_view key, Word fallback,
              Result<Word> (*parse)(std::string_view, const std::string&)) {
  const auto word = reader.String(key);
  if (!word) return fallback;
  const Result<Word> parsed = parse(*word, reader.PathOf(key));
  if (parsed) return *parsed;
  reader.Refuse(parsed.error());
  return fallback;
}

// The /pt variant: a unit is a chunk, and bursts may go as far as what the pool has left over.
void ReadModelUnits(JsonReader& reader, ServedEntity& entity, std::int64_t chunk) {
  constexpr std::int64_t kUnitsMax = 1'000'000;
  const auto units = reader.Integer("provisioned_model_units");
  if (!units) {
    const std::string field = reader.PathOf("provisioned_model_units");
    reader.Refuse({Code::kInvalidArgument, field + " is required", field});
    return;
  }
  if (*units < 1 || *units > kUnitsMax || *units > policy::kThroughputMax / chunk) {
    reader.Refuse("provisioned_model_units",
                  fmt::format("1 to {}", std::min(kUnitsMax, policy::kThroughputMax / chunk)),
                  boost::json::value(*units));
    return;
  }
  entity.model_units = *units;
  entity.burst_scaling = reader.Boolean("burst_scaling_enabled").value_or(true);
  const std::int64_t tokens = *units * chunk;
  entity.throughput = {
      .minimum = tokens,
      .maximum = entity.burst_scaling ? std::min(2 * tokens, policy::kThroughputMax) : tokens};
}

void RefuseOfEntity(JsonReader& reader, bool model_units) {
  for (const std::string_view key : {"min_provisioned_concurrency", "max_provisioned_concurrency",
                                     "environment_vars", "instance_profile_arn"}) {
    reader.RefuseUnsupported(key);
  }
  for (const std::string_view key : {"min_provisioned_throughput", "max_provisioned_throughput"}) {
    if (!reader.Has(key)) continue;
    if (model_units) {
      reader.Refuse({Code::kInvalidArgument,
                     fmt::format("{} does not belong here: tokens per second go to "
                                 "/api/2.0/serving-endpoints, model units to …/pt",
                                 reader.PathOf(key)),
                     reader.PathOf(key)});
    } else if (reader.Has("provisioned_model_units")) {
      reader.Refuse({Code::kInvalidArgument,
                     fmt::format("{} and provisioned_model_units exclude each other: a range is "
                                 "given in tokens per second or in units",
                                 reader.PathOf(key)),
                     reader.PathOf(key)});
    }
  }
}

// Another server's model: all that says how one of ours runs does not belong to it.
void ReadExternal(JsonReader& reader, const boost::json::object& json, const ParseOptions& options,
                  ServedEntity& entity) {
  for (const std::string_view key : {"entity_name", "entity_version", "model_name", "model_version",
                                     "min_provisioned_throughput", "max_provisioned_throughput",
                                     "provisioned_model_units", "workload_size", "workload_type"}) {
    if (!reader.Has(key)) continue;
    const std::string field = reader.PathOf(key);
    reader.Refuse({Code::kInvalidArgument,
                   fmt::format("{} does not belong beside external_model, which another server "
                               "runs",
                               field),
                   field});
  }
  if (reader.Boolean("scale_to_zero_enabled").value_or(false)) {
    reader.Refuse("scale_to_zero_enabled", "false where there is an external_model", true);
  }
  auto external = CheckExternalModel(json, reader.PathOf("external_model"));
  if (!external) {
    reader.Refuse(std::move(external.error()));
    return;
  }
  entity.entity_version = 0;
  if (entity.name.empty()) {
    entity.name = external->call.name.substr(0, 2 * kModelNamePartSizeMax);
    std::ranges::replace(entity.name, '.', '-');
    std::ranges::replace(entity.name, ':', '-');
    if (auto good = CheckServedEntityName(entity.name, reader.PathOf("name"));
        !good && !options.stored) {
      reader.Refuse({Code::kInvalidArgument,
                     fmt::format("{}: give the entity a name of its own, for that of the model "
                                 "cannot be one: {}",
                                 reader.PathOf("name"), good.error().message),
                     reader.PathOf("name")});
    }
  }
  entity.external = std::move(*external);
  if (options.stored) entity.key_file = reader.String("key_file").value_or("");
}

void ReadRegistered(JsonReader& reader, bool old_names, const ParseOptions& options,
                    ServedEntity& entity) {
  const std::string_view name_key = old_names ? "model_name" : "entity_name";
  const std::string_view version_key = old_names ? "model_version" : "entity_version";
  entity.entity_name = reader.RequiredString(name_key);
  if (auto good = ParseModelName(entity.entity_name, reader.PathOf(name_key)); !good) {
    reader.Refuse(good.error());
  }
  entity.entity_version = ReadVersion(reader, version_key);
  if (entity.name.empty()) {
    entity.name = fmt::format("{}-{}", entity.entity_name, entity.entity_version);
  }
  const std::int64_t chunk = options.chunk_of && !reader.failed()
                                 ? options.chunk_of(entity.entity_name, entity.entity_version)
                                 : policy::kUncalibratedChunk;
  if (options.model_units || (!options.stored && reader.Has("provisioned_model_units"))) {
    ReadModelUnits(reader, entity, chunk);
  } else {
    entity.throughput = ReadThroughput(reader, chunk);
    entity.model_units = reader.Integer("provisioned_model_units");
    entity.burst_scaling = reader.Boolean("burst_scaling_enabled").value_or(true);
  }
  entity.workload_size = OneOf(reader, "workload_size", kWorkloadSizes);
  entity.workload_type = OneOf(reader, "workload_type", kWorkloadTypes);
  entity.scale_to_zero = reader.Boolean("scale_to_zero_enabled").value_or(false);
}

// `old_names`: the spelling of `served_models`.
ServedEntity ReadEntity(JsonReader& reader, bool old_names, const ParseOptions& options) {
  ServedEntity entity;
  entity.name = reader.String("name").value_or("");
  if (!options.stored && !entity.name.empty()) {
    if (auto good = CheckServedEntityName(entity.name, reader.PathOf("name")); !good) {
      reader.Refuse(good.error());
    }
  }
  if (!options.stored) RefuseOfEntity(reader, options.model_units);
  if (const auto* external = reader.Object("external_model")) {
    ReadExternal(reader, *external, options, entity);
  } else {
    ReadRegistered(reader, old_names, options, entity);
  }
  entity.strategy = ReadWord(reader, "strategy", entity.strategy, policy::ParseStrategy);
  entity.isolation = ReadWord(reader, "isolation", entity.isolation, policy::ParseIsolation);
  entity.overload = ReadWord(reader, "overload", entity.overload, policy::ParseOverload);
  return entity;
}

std::vector<ServedEntity> ReadEntities(JsonReader& config, const ParseOptions& options,
                                       std::optional<Error>& failure) {
  const bool old_names = !config.Has("served_entities") && config.Has("served_models");
  const std::string_view key = old_names ? "served_models" : "served_entities";
  const auto* array = config.Array(key);
  const std::size_t count = array == nullptr ? 0 : array->size();
  if (count < 1 || count > kServedEntitiesMax) {
    config.Refuse({Code::kInvalidArgument,
                   fmt::format("{} must have 1 to {} elements, got {}", config.PathOf(key),
                               kServedEntitiesMax, count),
                   config.PathOf(key)});
    return {};
  }
  std::vector<ServedEntity> entities;
  for (std::size_t i = 0; i < count; ++i) {
    const auto* element = config.Element(*array, key, i);
    if (element == nullptr) return {};
    JsonReader reader(*element, config.PathOf(key, i) + ".", failure);
    ServedEntity entity = ReadEntity(reader, old_names, options);
    if (std::ranges::find(entities, entity.name, &ServedEntity::name) != entities.end()) {
      reader.Refuse("name", "unique in its endpoint", boost::json::value(entity.name));
    }
    entities.push_back(std::move(entity));
  }
  return entities;
}

TrafficRoute ReadRoute(JsonReader& reader, const std::vector<ServedEntity>& entities) {
  TrafficRoute route;
  const std::string_view key =
      reader.Has("served_entity_name") ? "served_entity_name" : "served_model_name";
  route.served_entity_name = reader.RequiredString(key);
  if (std::ranges::find(entities, route.served_entity_name, &ServedEntity::name) ==
      entities.end()) {
    reader.Refuse(key, "the name of a served entity", boost::json::value(route.served_entity_name));
  }
  const auto percentage = reader.Integer("traffic_percentage").value_or(100);
  if (percentage < 0 || percentage > 100) {
    reader.Refuse("traffic_percentage", "0 to 100", boost::json::value(percentage));
  }
  route.traffic_percentage = static_cast<int>(std::clamp<std::int64_t>(percentage, 0, 100));
  return route;
}

// One route per entity, in the order of the entities.
std::vector<TrafficRoute> InOrder(const std::vector<ServedEntity>& entities,
                                  const std::vector<TrafficRoute>& routes) {
  std::vector<TrafficRoute> ordered;
  for (const ServedEntity& entity : entities) {
    const auto found = std::ranges::find(routes, entity.name, &TrafficRoute::served_entity_name);
    if (found != routes.end()) ordered.push_back(*found);
  }
  return ordered;
}

std::vector<TrafficRoute> ReadRoutes(JsonReader& config, const std::vector<ServedEntity>& entities,
                                     std::optional<Error>& failure) {
  const auto* traffic = config.Object("traffic_config");
  if (traffic == nullptr && entities.size() == 1) return {{entities.front().name, 100}};
  const std::string path = config.PathOf("traffic_config");
  static const boost::json::object kNone;
  JsonReader reader(traffic == nullptr ? kNone : *traffic, path + ".", failure);
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
  const std::vector<TrafficRoute> ordered = InOrder(entities, routes);
  if (sum != 100 || ordered.size() != entities.size() || routes.size() != entities.size()) {
    reader.Refuse({Code::kInvalidArgument,
                   fmt::format("{}.routes must name each served entity once, with percentages that "
                               "add up to 100; got {} routes and {} %",
                               path, routes.size(), sum),
                   path + ".routes"});
  }
  return ordered;
}

std::vector<Tag> ReadTags(JsonReader& body, std::string_view key, std::optional<Error>& failure) {
  const auto* array = body.Array(key);
  if (array == nullptr) return {};
  if (array->size() > kTagsMax) {
    body.Refuse({Code::kInvalidArgument,
                 fmt::format("{} must have at most {} elements, got {}", body.PathOf(key), kTagsMax,
                             array->size()),
                 body.PathOf(key)});
    return {};
  }
  std::vector<Tag> tags;
  for (std::size_t i = 0; i < array->size(); ++i) {
    const auto* element = body.Element(*array, key, i);
    if (element == nullptr) return {};
    JsonReader reader(*element, body.PathOf(key, i) + ".", failure);
    (void)reader.RequiredString("key");
    Tag tag{.key = TextUpTo(reader, "key", kTagSizeMax),
            .value = TextUpTo(reader, "value", kTagSizeMax)};
    if (std::ranges::find(tags, tag.key, &Tag::key) != tags.end()) {
      reader.Refuse("key", "unique among the tags", boost::json::value(tag.key));
    }
    tags.push_back(std::move(tag));
  }
  return tags;
}

EndpointConfig ReadConfig(JsonReader& reader, const ParseOptions& options,
                          std::optional<Error>& failure) {
  EndpointConfig config;
  if (const auto* capture = reader.Object("auto_capture_config")) {
    JsonReader inner(*capture, reader.PathOf("auto_capture_config") + ".", failure);
    CheckTable(inner);
    config.auto_capture = boost::json::serialize(*capture);
  }
  config.served_entities = ReadEntities(reader, options, failure);
  if (!failure) config.routes = ReadRoutes(reader, config.served_entities, failure);
  return config;
}

std::optional<EndpointConfig> ReadStoredConfig(const boost::json::object& endpoint,
                                               std::string_view key,
                                               std::optional<Error>& failure) {
  JsonReader reader(endpoint, "", failure);
  const auto* object = reader.Object(key);
  if (object == nullptr) return std::nullopt;
  JsonReader inner(*object, std::string(key) + ".", failure);
  EndpointConfig config = ReadConfig(inner, {.stored = true}, failure);
  config.version = inner.Integer("config_version").value_or(1);
  config.started_at =
      WallTime(std::chrono::milliseconds(inner.Integer("started_at_ms").value_or(0)));
  return config;
}

std::optional<AzureDeployment> ReadAzure(JsonReader& reader, std::optional<Error>& failure) {
  const auto* object = reader.Object("azure");
  if (object == nullptr) return std::nullopt;
  JsonReader inner(*object, "azure.", failure);
  return AzureDeployment{.account = inner.String("account").value_or(""),
                         .sku = inner.String("sku").value_or(""),
                         .capacity = inner.Integer("capacity").value_or(0),
                         .model_format = inner.String("model_format").value_or(""),
                         .model_name = inner.String("model_name").value_or(""),
                         .model_version = inner.String("model_version").value_or(""),
                         .properties = inner.String("properties").value_or("{}")};
}

}  // namespace

Result<EndpointDefinition> ParseEndpointDefinition(std::string_view body,
                                                   const ParseOptions& options) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  EndpointDefinition definition;
  definition.name = reader.RequiredString("name");
  if (!reader.failed()) {
    if (auto good = CheckEndpointName(definition.name, "name"); !good) return Fail(good.error());
  }
  reader.RefuseUnsupported("route_optimized");
  definition.description = TextUpTo(reader, "description", kDescriptionSizeMax);
  definition.tags = ReadTags(reader, "tags", failure);
  (void)reader.String("budget_policy_id");
  definition.gateway = ReadGatewayFields(*object, failure);
  definition.notifications = ReadNotifications(*object, failure);
  if (const auto* config = reader.Object("config"); config != nullptr) {
    JsonReader inner(*config, "config.", failure);
    definition.config = ReadConfig(inner, options, failure);
  }
  if (failure) return Fail(std::move(*failure));
  return definition;
}

Result<EndpointConfig> ParseEndpointConfig(std::string_view body, const ParseOptions& options) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  EndpointConfig config = ReadConfig(reader, options, failure);
  if (failure) return Fail(std::move(*failure));
  return config;
}

Result<std::vector<Tag>> PatchTags(std::string_view body, std::vector<Tag> tags) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  const std::vector<Tag> added = ReadTags(reader, "add_tags", failure);
  if (const auto* array = reader.Array("delete_tags"); array != nullptr) {
    for (const auto& key : *array) {
      if (!key.is_string()) {
        reader.Refuse("delete_tags", "a list of keys", key);
        break;
      }
      std::erase_if(tags, [&key](const Tag& tag) { return tag.key == key.get_string(); });
    }
  }
  for (const Tag& tag : added) {
    std::erase_if(tags, [&tag](const Tag& old) { return old.key == tag.key; });
    tags.push_back(tag);
  }
  if (tags.size() > kTagsMax) {
    reader.Refuse(
        {Code::kInvalidArgument,
         fmt::format("an endpoint has at most {} tags, this would make {}", kTagsMax, tags.size()),
         "add_tags"});
  }
  if (failure) return Fail(std::move(*failure));
  return tags;
}

Status ReadEndpointRecord(std::string_view json, Endpoint& endpoint) {
  const auto object = ParseJsonObject(json);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  endpoint.name = reader.RequiredString("name");
  endpoint.description = reader.String("description").value_or("");
  endpoint.tags = ReadTags(reader, "tags", failure);
  endpoint.config = ReadStoredConfig(*object, "config", failure);
  endpoint.pending = ReadStoredConfig(*object, "pending_config", failure);
  endpoint.last_version = reader.Integer("last_version").value_or(1);
  endpoint.azure = ReadAzure(reader, failure);
  endpoint.gateway = reader.String("gateway").value_or("");
  endpoint.notifications = reader.String("notifications").value_or("");
  if (!failure) {
    auto permissions = ReadPermissions(*object);
    if (!permissions) return Fail(permissions.error());
    endpoint.permissions = std::move(*permissions);
  }
  // Before configurations had their own versions, there was one, and it might be on its way.
  if (!reader.Has("last_version") && endpoint.update != UpdateState::kNotUpdating) {
    std::swap(endpoint.config, endpoint.pending);
  }
  if (failure) return Fail(std::move(*failure));
  return {};
}

}  // namespace penstock::control
