#include "control/azure_api.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "api/error_body.h"
#include "control/azure_terms.h"
#include "control/endpoint_json.h"
#include "control/gateway_json.h"
#include "control/json_reader.h"
#include "control/key_service.h"
#include "control/names.h"
#include "http/url.h"
#include "plan/arm_capacity.h"

namespace penstock::control {
namespace {

constexpr std::array<std::string_view, 7> kSkus = {
    "Standard",           "GlobalStandard",           "DataZoneStandard",
    "ProvisionedManaged", "GlobalProvisionedManaged", "DataZoneProvisionedManaged",
    "DeveloperTier"};
constexpr std::size_t kOfferedSkus = 6;  // All but the last, which is known and refused.
constexpr std::string_view kProvider = "Microsoft.CognitiveServices";

boost::json::value Time(WallTime time) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  const auto days = std::chrono::floor<std::chrono::days>(seconds);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss clock(seconds - days);
  return boost::json::value(
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count()));
}

ApiAnswer Answer(int status, const boost::json::value& json) {
  return {.status = status, .body = boost::json::serialize(json)};
}
ApiAnswer List(boost::json::array values) {
  return Answer(200, boost::json::object{{"value", std::move(values)}});
}

std::unexpected<Error> NoSuchPath(const ApiRequest& request) {
  return Fail(Code::kNotFound,
              fmt::format("no such path: {} {}", request.method, request.path.substr(0, 200)));
}

// Azure's word for the error, where its services have one of their own.
std::string_view AzureWord(const Error& error) {
  if (error.code == Code::kExhausted) return "InsufficientQuota";
  if (error.code == Code::kConflict || error.code == Code::kAlreadyExists) return "Conflict";
  if (error.code == Code::kInvalidArgument) return "InvalidRequest";
  return {};
}

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

// Kept for its reader: a version stays until somebody asks for another.
Status CheckUpgradeOption(const boost::json::object& properties) {
  std::optional<Error> failure;
  JsonReader reader(properties, "properties.", failure);
  const auto option = reader.String("versionUpgradeOption");
  constexpr std::array<std::string_view, 3> kOptions = {
      "OnceNewDefaultVersionAvailable", "OnceCurrentVersionExpired", "NoAutoUpgrade"};
  if (option && std::ranges::find(kOptions, *option) == kOptions.end()) {
    reader.Refuse("versionUpgradeOption",
                  "OnceNewDefaultVersionAvailable, OnceCurrentVersionExpired or NoAutoUpgrade",
                  boost::json::value(*option));
  }
  if (failure) return Fail(std::move(*failure));
  return {};
}

}  // namespace

ApiAnswer AzureApi::Handle(const ApiRequest& request, Moment moment) {
  Segments path;
  std::string_view rest = request.path;
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(segment.size());
    path.push_back(http::PercentDecode(segment).value_or(""));
  }
  const bool reads = request.method == "GET";
  Result<ApiAnswer> answer =
      reads || request.caller.role == policy::Role::kAdmin
          ? Run(request, path, moment)
          : Fail(Code::kForbidden, fmt::format("{} needs an admin key; \"{}\" is a user's",
                                               request.method, request.caller.name));
  if (answer) return std::move(*answer);
  return {.status = answer.error().code == Code::kExhausted
                        ? 400
                        : Traits(answer.error().code).http_status,
          .body = ErrorBody(Dialect::kAzure, answer.error(), AzureWord(answer.error()))};
}

Result<ApiAnswer> AzureApi::Run(const ApiRequest& request, const Segments& path, Moment moment) {
  // subscriptions/S/resourceGroups/G/providers/P/accounts/A/… or subscriptions/S/providers/P/…
  if (path.size() >= 9 && path[2] == "resourceGroups" && path[4] == "providers" &&
      path[5] == kProvider && path[6] == "accounts") {
    return OfAccount(request, path, moment);
  }
  if (path.size() >= 5 && path[2] == "providers" && path[3] == kProvider) {
    return OfProvider(request, path, moment);
  }
  return NoSuchPath(request);
}

Result<ApiAnswer> AzureApi::OfAccount(const ApiRequest& request, const Segments& path,
                                      Moment moment) {
  const std::string account = fmt::format("{}/{}/{}", path[1], path[3], path[7]);
  const bool get = request.method == "GET";
  if (path[8] == "deployments" && path.size() > 9) return OfDeployment(request, path, moment);
  if (path[8] == "deployments" && get) {
    boost::json::array values;
    for (const auto& [name, endpoint] : parts_.endpoints.all()) {
      if (!endpoint.azure || endpoint.azure->account != account) continue;
      if (PermissionOf(endpoint, request.caller).empty()) continue;
      values.push_back(DeploymentJson(endpoint, moment.now));
    }
    return List(std::move(values));
  }
  if (path.size() != 9) return NoSuchPath(request);
  if (path[8] == "usages" && get) return List(Usages());
  if (path[8] == "models" && get) return List(Models(false));
  if (path[8] == "regenerateKey" && request.method == "POST") {
    return Regenerate(request, account, moment);
  }
  if (path[8] == "listKeys" && request.method == "POST") {
    return Fail(Code::kUnsupported,
                "keys are kept as hashes and cannot be shown again; regenerateKey makes a new one "
                "and shows it once");
  }
  return NoSuchPath(request);
}

Result<ApiAnswer> AzureApi::OfDeployment(const ApiRequest& request, const Segments& path,
                                         Moment moment) {
  const std::string account = fmt::format("{}/{}/{}", path[1], path[3], path[7]);
  const std::string& name = path[9];
  if (request.method == "PUT" && path.size() == 10) return Put(request, account, name, moment);
  auto endpoint = Deployment(account, name);
  // Who may not see it, does not learn that it is there.
  if (endpoint && PermissionOf(**endpoint, request.caller).empty()) endpoint = Deployment("", name);
  if (!endpoint) {
    // Deleting what is not there is done.
    if (request.method == "DELETE" && path.size() == 10) return Answer(204, {});
    return Fail(endpoint.error());
  }
  if (path.size() == 11 && path[10] == "skus" && request.method == "GET") {
    const std::string& sku = (*endpoint)->azure->sku;
    const std::int64_t maximum = IsStandardSku(sku) ? kStandardUnitsMax : kProvisionedUnitsMax;
    return List({{{"resourceType", "Microsoft.CognitiveServices/accounts/deployments"},
                  {"sku", {{"name", sku}}},
                  {"capacity", AzureCapacityJson(maximum)}}});
  }
  if (path.size() != 10) return NoSuchPath(request);
  if (request.method == "GET") return Answer(200, DeploymentJson(**endpoint, moment.now));
  if (request.method == "PATCH") return Patch(request, name, moment);
  if (request.method == "DELETE") {
    if (auto deleted = parts_.endpoints.Delete(name, request.caller, moment); !deleted) {
      return Fail(deleted.error());
    }
    return Answer(200, boost::json::object());
  }
  return NoSuchPath(request);
}

Result<boost::json::object> AzureApi::Body(const ApiRequest& request) const {
  return ParseJsonObject(request.body);
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

Result<ApiAnswer> AzureApi::Put(const ApiRequest& request, const std::string& account,
                                const std::string& name, Moment moment) {
  const auto body = Body(request);
  if (!body) return Fail(body.error());
  std::optional<Error> failure;
  JsonReader reader(*body, "", failure);
  const auto* sku = reader.Object("sku");
  const auto* properties = reader.Object("properties");
  const boost::json::object none;
  JsonReader sku_reader(sku == nullptr ? none : *sku, "sku.", failure);
  JsonReader properties_reader(properties == nullptr ? none : *properties, "properties.", failure);
  const auto* model = properties_reader.Object("model");
  JsonReader model_reader(model == nullptr ? none : *model, "properties.model.", failure);
  AzureDeployment azure{.account = account,
                        .sku = sku_reader.RequiredString("name"),
                        .capacity = sku_reader.Integer("capacity").value_or(1),
                        .model_format = model_reader.String("format").value_or("OpenAI"),
                        .model_name = model_reader.RequiredString("name"),
                        .model_version = model_reader.String("version").value_or("")};
  const auto* tags = reader.Object("tags");
  if (failure) return Fail(std::move(*failure));
  if (properties != nullptr) {
    if (auto good = CheckUpgradeOption(*properties); !good) return Fail(good.error());
  }
  boost::json::object rest = properties == nullptr ? none : *properties;
  rest.erase("model");
  if (auto good = CheckAzureProperties(rest); !good) return Fail(good.error());
  azure.properties = boost::json::serialize(rest);
  if (auto good = CheckEndpointName(name, "deploymentName"); !good) return Fail(good.error());
  bool standard = false;
  auto config = ConfigOf(azure, standard);
  if (!config) return Fail(config.error());
  if (auto good = CheckQuota(azure, name); !good) return Fail(good.error());
  if (const Endpoint* present = parts_.endpoints.Find(name); present != nullptr) {
    if (!present->azure || present->azure->account != account) {
      return Fail(Code::kConflict,
                  fmt::format("an endpoint named {} exists already, and is no deployment of this "
                              "account",
                              name));
    }
    // PUT replaces: tags that it does not name are gone.
    const std::string patch = TagsPatch(tags == nullptr ? none : *tags, present->tags);
    if (auto good = PatchTags(patch, present->tags); !good) return Fail(good.error());
    const Status set =
        parts_.endpoints.SetConfig(name, std::move(*config), azure, request.caller, moment);
    if (!set) return Fail(set.error());
    const auto tagged = parts_.endpoints.PatchTags(name, patch, request.caller, moment);
    if (!tagged) return Fail(tagged.error());
    return Answer(200, DeploymentJson(*parts_.endpoints.Find(name), moment.now));
  }
  EndpointDefinition definition;
  definition.name = name;
  definition.config = std::move(*config);
  auto tagged = PatchTags(TagsPatch(tags == nullptr ? none : *tags, {}), {});
  if (!tagged) return Fail(tagged.error());
  definition.tags = std::move(*tagged);
  const auto added = parts_.endpoints.Add(std::move(definition), azure, request.caller, moment);
  if (!added) return Fail(added.error());
  boost::json::object json = DeploymentJson(**added, moment.now);
  json["properties"].as_object()["provisioningState"] = "Accepted";
  return Answer(201, json);
}

Result<ApiAnswer> AzureApi::Patch(const ApiRequest& request, const std::string& name,
                                  Moment moment) {
  const auto body = Body(request);
  if (!body) return Fail(body.error());
  std::optional<Error> failure;
  JsonReader reader(*body, "", failure);
  const Endpoint present = *parts_.endpoints.Find(name);
  if (const auto* tags = reader.Object("tags"); tags != nullptr) {
    boost::json::array add;
    for (const auto& [key, value] : *tags) add.push_back({{"key", key}, {"value", value}});
    const auto done = parts_.endpoints.PatchTags(
        name, boost::json::serialize(boost::json::object{{"add_tags", std::move(add)}}),
        request.caller, moment);
    if (!done) return Fail(done.error());
  }
  AzureDeployment azure = *present.azure;
  if (const auto* properties = reader.Object("properties"); properties != nullptr) {
    const auto kept = ParseJsonObject(azure.properties);
    const boost::json::object patched =
        PatchAzureProperties(kept ? *kept : boost::json::object(), *properties);
    if (auto good = CheckAzureProperties(patched); !good) return Fail(good.error());
    azure.properties = boost::json::serialize(patched);
    if (auto set = parts_.endpoints.SetAzure(name, azure, request.caller, moment); !set) {
      return Fail(set.error());
    }
  }
  if (const auto* sku = reader.Object("sku"); sku != nullptr) {
    JsonReader inner(*sku, "sku.", failure);
    azure.sku = inner.String("name").value_or(azure.sku);
    azure.capacity = inner.Integer("capacity").value_or(azure.capacity);
    if (failure) return Fail(std::move(*failure));
    bool standard = false;
    auto config = ConfigOf(azure, standard);
    if (!config) return Fail(config.error());
    if (auto good = CheckQuota(azure, name); !good) return Fail(good.error());
    const Status set =
        parts_.endpoints.SetConfig(name, std::move(*config), azure, request.caller, moment);
    if (!set) return Fail(set.error());
  }
  if (failure) return Fail(std::move(*failure));
  return Answer(200, DeploymentJson(*parts_.endpoints.Find(name), moment.now));
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
    const auto limit = [](const char* key, int period, std::int64_t count) {
      return boost::json::object{{"key", key}, {"renewalPeriod", period}, {"count", count}};
    };
    properties["rateLimits"] = {limit("request", 10, lane.quota->requests_per_minute / 6),
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
                             azure.account.substr(first + 1, second - first - 1), kProvider,
                             azure.account.substr(second + 1), endpoint.name)},
          {"type", "Microsoft.CognitiveServices/accounts/deployments"},
          {"name", endpoint.name},
          {"sku", {{"name", azure.sku}, {"capacity", azure.capacity}}},
          {"tags", std::move(tags)},
          {"systemData",
           {{"createdBy", endpoint.creator},
            {"createdAt", Time(endpoint.created_at)},
            {"lastModifiedAt", Time(endpoint.updated_at)}}},
          {"properties", std::move(properties)}};
}

Result<ApiAnswer> AzureApi::OfProvider(const ApiRequest& request, const Segments& path,
                                       Moment moment) {
  if (path[4] == "calculateModelCapacity" && request.method == "POST") {
    auto answer = plan::CalculateModelCapacity(request.body, UnitsTable());
    if (!answer) return Fail(answer.error());
    return ApiAnswer{.status = 200, .body = *std::move(answer)};
  }
  if (request.method != "GET") return NoSuchPath(request);
  const ApiCall call{.parts = parts_, .request = request, .parameters = {}, .moment = moment};
  if (path[4] == "modelCapacities") return List(Capacities(call));
  if (path.size() == 7 && path[4] == "locations" && path[6] == "usages") return List(Usages());
  if (path.size() == 7 && path[4] == "locations" && path[6] == "models") return List(Models(true));
  if (path.size() == 7 && path[4] == "locations" && path[6] == "modelCapacities") {
    return List(Capacities(call));
  }
  return NoSuchPath(request);
}

// Microsoft's models and, in the same units that deployments are made of, ours that were
// calibrated.
plan::PtuTable AzureApi::UnitsTable() {
  plan::PtuTable table = plan::BuiltInPtuTable();
  const auto models = catalog_.List();
  if (!models) return table;
  for (const auto& model : *models) {
    const auto versions = catalog_.ListVersions(model.full_name);
    if (!versions || versions->empty()) continue;
    const auto capacity = parts_.endpoints.CapacityOf(model.full_name, versions->back().version);
    if (!capacity) continue;
    const std::string last = model.full_name.substr(model.full_name.rfind('.') + 1);
    for (const std::string& name : {model.full_name, last}) {
      if (!table.Find(name)) table.models.push_back(plan::PtuModelOf(name, *capacity));
    }
  }
  return table;
}

// A new key for the account: "Key1" or "Key2"; the old one of this name ends.
Result<ApiAnswer> AzureApi::Regenerate(const ApiRequest& request, const std::string& account,
                                       Moment moment) {
  if (parts_.keys == nullptr) return Fail(Code::kUnsupported, "this server has no keys");
  const auto body = Body(request);
  if (!body) return Fail(body.error());
  std::optional<Error> failure;
  JsonReader reader(*body, "", failure);
  const std::string which = reader.RequiredString("keyName");
  if (!failure && which != "Key1" && which != "Key2") {
    reader.Refuse("keyName", "Key1 or Key2", boost::json::value(which));
  }
  if (failure) return Fail(std::move(*failure));
  const std::string key = fmt::format("azure-{}-{}", account.substr(account.rfind('/') + 1), which);
  (void)parts_.keys->Delete(boost::json::serialize(boost::json::object{{"token_id", key}}),
                            moment.wall);
  const auto made = parts_.keys->Create(
      boost::json::serialize(boost::json::object{{"comment", key}}), moment.wall);
  if (!made) return Fail(made.error());
  boost::json::object json{{"key1", ""}, {"key2", ""}};
  json[which == "Key1" ? "key1" : "key2"] = made->at("token_value");
  return Answer(200, json);
}

}  // namespace penstock::control
