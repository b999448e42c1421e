// Deployments: what is asked of them, checked, made and told.
#include "control/azure_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "control/azure_terms.h"
#include "control/endpoint_json.h"
#include "control/gateway_json.h"
#include "control/json_reader.h"
#include "control/names.h"

namespace penstock::control {
namespace {

constexpr std::array<std::string_view, 7> kSkus = {
    "Standard",           "GlobalStandard",           "DataZoneStandard",
    "ProvisionedManaged", "GlobalProvisionedManaged", "DataZoneProvisionedManaged",
    "DeveloperTier"};
constexpr std::size_t kOfferedSkus = 6;  // All but the last, which is known and refused.

// What brings the tags `old` to those that a body has, as PatchTags() takes it.
std::string TagsPatch(const boost::json::object& tags, const std::vector<Tag>& old) {
  boost::json::array add;
  boost::json::array gone;
  for (const auto& [key, value] : tags) add.push_back({{"key", key}, {"value", value}});
  for (const Tag& tag : old) {
    if (!tags.contains(tag.key)) gone.emplace_back(tag.key);
  }
  return boost::json::serialize(
      boost::json::object{{"add_tags", std::move(add)}, {"delete_tags", std::move(gone)}});
}

// Of a PATCH: null takes a tag away.
std::string MergedTags(const boost::json::object& tags) {
  boost::json::array add;
  boost::json::array gone;
  for (const auto& [key, value] : tags) {
    if (value.is_null()) {
      gone.emplace_back(key);
    } else {
      add.push_back({{"key", key}, {"value", value}});
    }
  }
  return boost::json::serialize(
      boost::json::object{{"add_tags", std::move(add)}, {"delete_tags", std::move(gone)}});
}

}  // namespace

boost::json::value AzureTime(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto days = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(seconds - days);
  return boost::json::value(
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count()));
}

// The served entity of what `azure` asks for; fills in the model's full name and version.
Result<EndpointConfig> AzureApi::ConfigOf(AzureDeployment& azure, bool& standard) {
  standard = IsStandardSku(azure.sku);
  const auto offered = std::span(kSkus).first(kOfferedSkus);
  if (std::ranges::find(offered, azure.sku) == offered.end()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("sku.name must be Standard or ProvisionedManaged, or one of them with "
                            "Global or DataZone before it; got \"{}\"",
                            azure.sku.substr(0, 80)),
                "sku.name");
  }
  const std::int64_t maximum = standard ? kStandardUnitsMax : kProvisionedUnitsMax;
  if (azure.capacity < 1 || azure.capacity > maximum) {
    return Fail(Code::kInvalidArgument,
                fmt::format("sku.capacity must be 1 to {}, got {}", maximum, azure.capacity),
                "sku.capacity");
  }
  // A full name, or the last part of one.
  const auto models = catalog_.List();
  if (!models) return Fail(models.error());
  std::string full_name;
  for (const auto& model : *models) {
    const bool fits =
        model.full_name == azure.model_name || model.full_name.ends_with("." + azure.model_name);
    if (!fits) continue;
    if (!full_name.empty()) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("properties.model.name \"{}\" may be {} or {}: give the full name",
                              azure.model_name, full_name, model.full_name),
                  "properties.model.name");
    }
    full_name = model.full_name;
  }
  if (full_name.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("properties.model.name: no registered model is named \"{}\"",
                            azure.model_name.substr(0, 80)),
                "properties.model.name");
  }
  std::int64_t version = 0;
  if (azure.model_version.empty()) {
    const auto versions = catalog_.ListVersions(full_name);
    if (!versions) return Fail(versions.error());
    if (!versions->empty()) version = versions->back().version;
    azure.model_version = std::to_string(version);
  } else {
    const char* end = azure.model_version.data() + azure.model_version.size();
    const auto [stop, error] = std::from_chars(azure.model_version.data(), end, version);
    if (error != std::errc() || stop != end) version = 0;
  }
  const auto known = catalog_.GetVersion(full_name, version);
  if (!known) {
    return Fail(Code::kInvalidArgument,
                fmt::format("properties.model.version: model {} has no version \"{}\"", full_name,
                            azure.model_version.substr(0, 80)),
                "properties.model.version");
  }
  ServedEntity entity{.name = fmt::format("{}-{}", full_name, version),
                      .entity_name = full_name,
                      .entity_version = version,
                      .overload = policy::Overload::kReject};
  entity.isolation = standard ? policy::Isolation::kShared : policy::Isolation::kDedicated;
  if (!standard) {
    const std::int64_t tokens = azure.capacity * parts_.endpoints.ChunkOf(full_name, version);
    entity.throughput = {.minimum = tokens, .maximum = tokens};
  }
  EndpointConfig config;
  config.routes = {{entity.name, 100}};
  config.served_entities = {std::move(entity)};
  return config;
}

std::int64_t AzureApi::Used(bool standard, const std::string& but_for) const {
  std::int64_t used = 0;
  for (const auto& [name, endpoint] : parts_.endpoints.all()) {
    if (!endpoint.azure || name == but_for) continue;
    if (IsStandardSku(endpoint.azure->sku) == standard) used += endpoint.azure->capacity;
  }
  return used;
}

Status AzureApi::CheckQuota(const AzureDeployment& azure, const std::string& name) const {
  const bool standard = IsStandardSku(azure.sku);
  const std::int64_t limit = standard ? kStandardUnitsMax : kProvisionedUnitsMax;
  const std::int64_t used = Used(standard, name);
  if (used + azure.capacity <= limit) return {};
  return Fail(Code::kExhausted,
              fmt::format("This operation requires {} new capacity in quota {}, which is bigger "
                          "than the current available capacity {}. The limit is {}.",
                          azure.capacity, AzureQuotaName(azure.sku), limit - used, limit),
              "sku.capacity");
}

Result<AzureApi::Wanted> AzureApi::ReadDeployment(const ApiRequest& request,
                                                  const std::string& account,
                                                  const std::string& name) {
  const auto body = Body(request);
  if (!body) return Fail(body.error());
  if (auto good = CheckDeploymentName(name, "deploymentName"); !good) return Fail(good.error());
  std::optional<Error> failure;
  JsonReader reader(*body, "", failure);
  const boost::json::object none;
  const auto* sku = reader.Object("sku");
  const auto* properties = reader.Object("properties");
  JsonReader sku_reader(sku == nullptr ? none : *sku, "sku.", failure);
  JsonReader properties_reader(properties == nullptr ? none : *properties, "properties.", failure);
  const auto* model = properties_reader.Object("model");
  JsonReader model_reader(model == nullptr ? none : *model, "properties.model.", failure);
  Wanted wanted{.azure = {.account = account,
                          .sku = sku_reader.RequiredString("name"),
                          .capacity = sku_reader.Integer("capacity").value_or(1),
                          .model_format = model_reader.String("format").value_or("OpenAI"),
                          .model_name = model_reader.RequiredString("name"),
                          .model_version = model_reader.String("version").value_or("")},
                .config = {},
                .tags = {}};
  if (const auto* tags = reader.Object("tags")) wanted.tags = *tags;
  if (failure) return Fail(std::move(*failure));
  boost::json::object rest = properties == nullptr ? none : *properties;
  rest.erase("model");
  if (auto good = CheckAzureProperties(rest); !good) return Fail(good.error());
  wanted.azure.properties = boost::json::serialize(rest);
  bool standard = false;
  auto config = ConfigOf(wanted.azure, standard);
  if (!config) return Fail(config.error());
  if (auto good = CheckQuota(wanted.azure, name); !good) return Fail(good.error());
  wanted.config = std::move(*config);
  return wanted;
}

Result<ApiAnswer> AzureApi::Put(const ApiRequest& request, const std::string& account,
                                const std::string& name, Moment moment) {
  auto wanted = ReadDeployment(request, account, name);
  if (!wanted) return Fail(wanted.error());
  if (const Endpoint* present = parts_.endpoints.Find(name); present != nullptr) {
    if (present->azure && present->azure->account == account) {
      return Replace(request, *present, std::move(*wanted), moment);
    }
    return Fail(Code::kConflict,
                fmt::format("an endpoint named {} exists already, and is no deployment of this "
                            "account",
                            name));
  }
  EndpointDefinition definition;
  definition.name = name;
  definition.config = std::move(wanted->config);
  auto tagged = PatchTags(TagsPatch(wanted->tags, {}), {});
  if (!tagged) return Fail(tagged.error());
  definition.tags = std::move(*tagged);
  const auto added =
      parts_.endpoints.Add(std::move(definition), wanted->azure, request.caller, moment);
  if (!added) return Fail(added.error());
  boost::json::object json = DeploymentJson(**added, moment.now);
  json["properties"].as_object()["provisioningState"] = "Accepted";
  ApiAnswer answer = AzureAnswer(201, json);
  TellOperation(request, **added, answer);
  return answer;
}

// PUT replaces: tags that it does not name are gone.
Result<ApiAnswer> AzureApi::Replace(const ApiRequest& request, const Endpoint& present,
                                    Wanted wanted, Moment moment) {
  const std::string name = present.name;
  const std::string patch = TagsPatch(wanted.tags, present.tags);
  if (auto good = PatchTags(patch, present.tags); !good) return Fail(good.error());
  const Status set = parts_.endpoints.SetConfig(name, std::move(wanted.config),
                                                std::move(wanted.azure), request.caller, moment);
  if (!set) return Fail(set.error());
  const auto tagged = parts_.endpoints.PatchTags(name, patch, request.caller, moment);
  if (!tagged) return Fail(tagged.error());
  const Endpoint& changed = *parts_.endpoints.Find(name);
  ApiAnswer answer = AzureAnswer(200, DeploymentJson(changed, moment.now));
  TellOperation(request, changed, answer);
  return answer;
}

// All of it is read and checked before anything changes.
Result<ApiAnswer> AzureApi::Patch(const ApiRequest& request, const std::string& name,
                                  Moment moment) {
  const auto body = Body(request);
  if (!body) return Fail(body.error());
  const Endpoint present = *parts_.endpoints.Find(name);
  AzureDeployment azure = *present.azure;
  std::optional<Error> failure;
  JsonReader reader(*body, "", failure);
  const auto* tags = reader.Object("tags");
  const std::string tag_patch = tags == nullptr ? std::string() : MergedTags(*tags);
  if (tags != nullptr && !failure) {
    if (auto good = PatchTags(tag_patch, present.tags); !good) return Fail(good.error());
  }
  if (const auto* properties = reader.Object("properties"); properties != nullptr) {
    const auto kept = ParseJsonObject(azure.properties);
    boost::json::object patched =
        PatchAzureProperties(kept ? *kept : boost::json::object(), *properties);
    patched.erase("model");
    if (auto good = CheckAzureProperties(patched); !good) return Fail(good.error());
    azure.properties = boost::json::serialize(patched);
    JsonReader inner(*properties, "properties.", failure);
    if (const auto* model = inner.Object("model"); model != nullptr) {
      JsonReader named(*model, "properties.model.", failure);
      azure.model_name = named.String("name").value_or(azure.model_name);
      azure.model_version = named.String("version").value_or(azure.model_version);
    }
  }
  const auto* sku = reader.Object("sku");
  if (sku != nullptr) {
    JsonReader inner(*sku, "sku.", failure);
    azure.sku = inner.String("name").value_or(azure.sku);
    azure.capacity = inner.Integer("capacity").value_or(azure.capacity);
  }
  if (failure) return Fail(std::move(*failure));
  const bool anew = sku != nullptr || azure.model_name != present.azure->model_name ||
                    azure.model_version != present.azure->model_version;
  if (anew) {
    bool standard = false;
    auto config = ConfigOf(azure, standard);
    if (!config) return Fail(config.error());
    if (auto good = CheckQuota(azure, name); !good) return Fail(good.error());
    const Status set =
        parts_.endpoints.SetConfig(name, std::move(*config), azure, request.caller, moment);
    if (!set) return Fail(set.error());
  } else if (azure.properties != present.azure->properties) {
    const Status set = parts_.endpoints.SetAzure(name, azure, request.caller, moment);
    if (!set) return Fail(set.error());
  }
  if (tags != nullptr) {
    const auto done = parts_.endpoints.PatchTags(name, tag_patch, request.caller, moment);
    if (!done) return Fail(done.error());
  }
  const Endpoint& changed = *parts_.endpoints.Find(name);
  ApiAnswer answer = AzureAnswer(anew ? 202 : 200, DeploymentJson(changed, moment.now));
  if (anew) TellOperation(request, changed, answer);
  return answer;
}

Result<const Endpoint*> AzureApi::Deployment(const std::string& account,
                                             const std::string& name) const {
  const Endpoint* endpoint = parts_.endpoints.Find(name);
  if (endpoint != nullptr && endpoint->azure && endpoint->azure->account == account) {
    return endpoint;
  }
  return Fail(Code::kNotFound, fmt::format("deployment {} does not exist", name.substr(0, 80)));
}

boost::json::object AzureApi::DeploymentJson(const Endpoint& endpoint, TimePoint) const {
  const AzureDeployment& azure = *endpoint.azure;
  std::string state = "Succeeded";
  if (endpoint.update == UpdateState::kInProgress)
    state = endpoint.config ? "Accepted" : "Creating";
  if (endpoint.update == UpdateState::kFailed) state = "Failed";
  auto rest = ParseJsonObject(azure.properties);
  boost::json::object properties = rest ? std::move(*rest) : boost::json::object();
  properties["model"] = {
      {"format", azure.model_format}, {"name", azure.model_name}, {"version", azure.model_version}};
  properties["provisioningState"] = state;
  properties["currentCapacity"] = azure.capacity;
  if (!endpoint.update_message.empty()) properties["message"] = endpoint.update_message;
  const auto& config = endpoint.config ? endpoint.config : endpoint.pending;
  if (config && !IsStandardSku(azure.sku)) {
    const auto& range = config->served_entities.front().throughput;
    properties["tokensPerSecond"] = range ? range->maximum : 0;
  }
  if (IsStandardSku(azure.sku)) {
    policy::LanePolicy lane;
    ApplyAzure(azure, lane);
    const auto limit = [](const char* key, std::int64_t period_s, std::int64_t count) {
      return boost::json::object{{"key", key}, {"renewalPeriod", period_s}, {"count", count}};
    };
    const std::int64_t window_s =
        std::chrono::duration_cast<std::chrono::seconds>(lane.quota->request_window).count();
    properties["rateLimits"] = {
        limit("request", window_s, lane.quota->requests_per_minute * window_s / 60),
        limit("token", 60, lane.quota->tokens_per_minute)};
  }
  if (config) {
    const ServedEntity& entity = config->served_entities.front();
    const auto version = catalog_.GetVersion(entity.entity_name, entity.entity_version);
    properties["capabilities"] = AzureCapabilities(version ? TaskOf(*version) : "");
  }
  boost::json::object tags;
  for (const Tag& tag : endpoint.tags) tags[tag.key] = tag.value;
  const std::size_t first = azure.account.find('/');
  const std::size_t second = azure.account.find('/', first + 1);
  return {{"id", fmt::format("/subscriptions/{}/resourceGroups/{}/providers/{}/accounts/{}/"
                             "deployments/{}",
                             azure.account.substr(0, first),
                             azure.account.substr(first + 1, second - first - 1), kAzureProvider,
                             azure.account.substr(second + 1), endpoint.name)},
          {"type", "Microsoft.CognitiveServices/accounts/deployments"},
          {"name", endpoint.name},
          {"etag", fmt::format("\"{}\"", endpoint.updated_at.time_since_epoch().count())},
          {"sku", {{"name", azure.sku}, {"capacity", azure.capacity}}},
          {"tags", std::move(tags)},
          {"systemData",
           {{"createdBy", endpoint.creator},
            {"createdAt", AzureTime(endpoint.created_at)},
            {"lastModifiedAt", AzureTime(endpoint.updated_at)}}},
          {"properties", std::move(properties)}};
}

}  // namespace penstock::control
