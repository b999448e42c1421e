#include "control/gateway_json.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "control/json_reader.h"

namespace penstock::control {
namespace {

constexpr std::array<std::string_view, 3> kPrincipalKinds = {"user_name", "group_name",
                                                             "service_principal_name"};
constexpr std::array kLevels = {PermissionLevel::kView, PermissionLevel::kQuery,
                                PermissionLevel::kManage};

policy::RateLimit ReadRateLimit(JsonReader& reader) {
  policy::RateLimit limit;
  const std::string key = reader.String("key").value_or("endpoint");
  if (auto parsed = policy::ParseLimitKey(key, reader.PathOf("key")); parsed) {
    limit.key = *parsed;
  } else {
    reader.Refuse(parsed.error());
  }
  limit.principal = reader.String("principal").value_or("");
  limit.calls = reader.Integer("calls").value_or(0);
  limit.tokens = reader.Integer("tokens").value_or(0);
  const std::string period = reader.String("renewal_period").value_or("minute");
  if (period != "minute") {
    reader.Refuse("renewal_period", "\"minute\"", boost::json::value(period));
  }
  if (limit.calls < 0 || limit.tokens < 0 || (limit.calls > 0) == (limit.tokens > 0)) {
    reader.Refuse({Code::kInvalidArgument,
                   fmt::format("{}: one of calls and tokens must be more than 0; got calls {}, "
                               "tokens {}",
                               reader.PathOf("calls"), limit.calls, limit.tokens),
                   reader.PathOf("calls")});
  }
  return limit;
}

std::vector<policy::RateLimit> ReadRateLimits(JsonReader& reader, std::optional<Error>& failure) {
  std::vector<policy::RateLimit> limits;
  const auto* array = reader.Array("rate_limits");
  if (array == nullptr) return limits;
  if (array->size() > policy::kRateLimitsMax) {
    reader.Refuse({Code::kInvalidArgument,
                   fmt::format("{} must have at most {} elements, got {}",
                               reader.PathOf("rate_limits"), policy::kRateLimitsMax, array->size()),
                   reader.PathOf("rate_limits")});
    return limits;
  }
  for (std::size_t i = 0; i < array->size(); ++i) {
    const auto* element = reader.Element(*array, "rate_limits", i);
    if (element == nullptr) return limits;
    JsonReader inner(*element, reader.PathOf("rate_limits", i) + ".", failure);
    limits.push_back(ReadRateLimit(inner));
  }
  return limits;
}

bool Enabled(JsonReader& reader, std::string_view key, bool absent, std::optional<Error>& failure) {
  const auto* object = reader.Object(key);
  if (object == nullptr) return absent;
  JsonReader inner(*object, reader.PathOf(key) + ".", failure);
  return inner.Boolean("enabled").value_or(absent);
}

void ReadAiGateway(JsonReader& reader, policy::EndpointPolicy& policy,
                   std::optional<Error>& failure) {
  policy.usage_tracking = Enabled(reader, "usage_tracking_config", true, failure);
  policy.fallback = Enabled(reader, "fallback_config", false, failure);
  for (policy::RateLimit& limit : ReadRateLimits(reader, failure)) {
    policy.rate_limits.push_back(std::move(limit));
  }
  policy.log_payloads = Enabled(reader, "inference_table_config", false, failure);
  if (const auto* table = reader.Object("inference_table_config")) {
    JsonReader inner(*table, reader.PathOf("inference_table_config") + ".", failure);
    CheckTable(inner);
  }
  reader.RefuseUnsupported("guardrails");
}

// Both parts of `fields` ("ai_gateway", "rate_limits").
policy::EndpointPolicy ReadPolicy(const boost::json::object& fields,
                                  std::optional<Error>& failure) {
  policy::EndpointPolicy policy;
  JsonReader reader(fields, "", failure);
  if (const auto* gateway = reader.Object("ai_gateway"); gateway != nullptr) {
    JsonReader inner(*gateway, "ai_gateway.", failure);
    ReadAiGateway(inner, policy, failure);
  }
  for (policy::RateLimit& limit : ReadRateLimits(reader, failure)) {
    policy.rate_limits.push_back(std::move(limit));
  }
  return policy;
}

boost::json::object Fields(const std::string& gateway) {
  auto object = gateway.empty() ? Result<boost::json::object>(boost::json::object())
                                : ParseJsonObject(gateway);
  return object ? std::move(*object) : boost::json::object();
}

std::string TextOf(const boost::json::object& fields) {
  return fields.empty() ? std::string() : boost::json::serialize(fields);
}

// An enabled table keeps its name: who reads it would lose sight of it.
Status CheckTableKept(const boost::json::object& fields, const boost::json::object& next) {
  const auto table_of = [](const boost::json::value* gateway) -> const boost::json::object* {
    const auto* object = gateway == nullptr ? nullptr : gateway->if_object();
    const auto* table = object == nullptr ? nullptr : object->if_contains("inference_table_config");
    return table == nullptr ? nullptr : table->if_object();
  };
  const boost::json::value wrapped(next);
  const auto* before = table_of(fields.if_contains("ai_gateway"));
  const auto* after = table_of(&wrapped);
  const auto enabled = [](const boost::json::object* table) {
    const auto* value = table == nullptr ? nullptr : table->if_contains("enabled");
    return value != nullptr && value->is_bool() && value->get_bool();
  };
  if (!enabled(before) || !enabled(after)) return {};
  for (const char* name : {"catalog_name", "schema_name", "table_name_prefix"}) {
    const auto* old = before->if_contains(name);
    const auto* now = after->if_contains(name);
    if ((old == nullptr) == (now == nullptr) && (old == nullptr || *old == *now)) continue;
    const std::string field = fmt::format("inference_table_config.{}", name);
    return Fail(Code::kInvalidArgument,
                fmt::format("{} cannot change while the table is enabled: disable it first", field),
                field);
  }
  return {};
}

Result<PermissionLevel> ParseLevel(const std::string& word, const std::string& field) {
  for (const PermissionLevel level : kLevels) {
    if (word == ToString(level)) return level;
  }
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must be CAN_VIEW, CAN_QUERY or CAN_MANAGE, got \"{}\"", field,
                          word.substr(0, 80)),
              field);
}

}  // namespace

std::string ReadGatewayFields(const boost::json::object& body, std::optional<Error>& failure) {
  boost::json::object fields;
  for (const char* part : {"ai_gateway", "rate_limits", "telemetry_config", "budget_policy_id"}) {
    const auto* value = body.if_contains(part);
    if (value != nullptr && !value->is_null()) fields[part] = *value;
  }
  (void)ReadPolicy(fields, failure);
  return TextOf(fields);
}

Result<std::string> WithAiGateway(const std::string& gateway, std::string_view body) {
  auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  policy::EndpointPolicy policy;
  JsonReader reader(*object, "", failure);
  ReadAiGateway(reader, policy, failure);
  if (failure) return Fail(std::move(*failure));
  boost::json::object fields = Fields(gateway);
  if (auto kept = CheckTableKept(fields, *object); !kept) return Fail(kept.error());
  fields["ai_gateway"] = std::move(*object);
  return TextOf(fields);
}

Result<std::string> WithRateLimits(const std::string& gateway, std::string_view body) {
  auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  (void)ReadRateLimits(reader, failure);
  if (failure) return Fail(std::move(*failure));
  boost::json::object fields = Fields(gateway);
  const auto* limits = object->if_contains("rate_limits");
  fields["rate_limits"] = limits == nullptr ? boost::json::array() : *limits;
  return TextOf(fields);
}

Result<std::string> WithTelemetry(const std::string& gateway, std::string_view body) {
  auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  boost::json::object fields = Fields(gateway);
  const auto* inner = object->if_contains("telemetry_config");
  const bool wrapped = inner != nullptr && (inner->is_object() || inner->is_null());
  if (wrapped && inner->is_null()) {
    fields.erase("telemetry_config");
  } else {
    fields["telemetry_config"] = wrapped ? *inner : boost::json::value(std::move(*object));
  }
  return TextOf(fields);
}

void CheckTable(JsonReader& reader) {
  constexpr std::size_t kNameMax = 255;
  (void)reader.Boolean("enabled");
  for (const char* name : {"catalog_name", "schema_name", "table_name_prefix"}) {
    const auto text = reader.String(name);
    if (text && (text->empty() || text->size() > kNameMax ||
                 text->find_first_of("./\\") != std::string::npos)) {
      reader.Refuse(name, "1 to 255 bytes without dots and slashes", boost::json::value(*text));
    }
  }
}

policy::EndpointPolicy PolicyOf(const Endpoint& endpoint) {
  std::optional<Error> failure;
  policy::EndpointPolicy policy = ReadPolicy(Fields(endpoint.gateway), failure);
  for (const Permission& permission : endpoint.permissions) {
    policy.access.push_back({.principal = permission.principal,
                             .is_group = permission.principal_kind == "group_name",
                             .level = permission.level});
  }
  if (endpoint.config && !endpoint.config->auto_capture.empty()) {
    const boost::json::object capture = Fields(endpoint.config->auto_capture);
    JsonReader reader(capture, "", failure);
    // Given without `enabled`, it is meant.
    policy.log_payloads = policy.log_payloads || reader.Boolean("enabled").value_or(true);
  }
  if (endpoint.azure) {
    const boost::json::object properties = Fields(endpoint.azure->properties);
    const auto* spillover = properties.if_contains("spilloverDeploymentName");
    if (spillover != nullptr && spillover->is_string()) policy.spillover = spillover->get_string();
  }
  return policy;
}

boost::json::value GatewayPart(const std::string& gateway, std::string_view part) {
  const boost::json::object fields = Fields(gateway);
  const auto* value = fields.if_contains(part);
  return value == nullptr ? boost::json::value() : *value;
}

Result<std::vector<Permission>> ReadPermissions(const boost::json::object& body) {
  std::optional<Error> failure;
  JsonReader reader(body, "", failure);
  std::vector<Permission> permissions;
  const auto* array = reader.Array("access_control_list");
  const std::size_t count = array == nullptr ? 0 : array->size();
  if (count > kPermissionsMax) {
    return Fail(Code::kInvalidArgument,
                fmt::format("access_control_list must have at most {} elements, got {}",
                            kPermissionsMax, count),
                "access_control_list");
  }
  for (std::size_t i = 0; i < count && !failure; ++i) {
    const auto* element = reader.Element(*array, "access_control_list", i);
    if (element == nullptr) break;
    JsonReader inner(*element, reader.PathOf("access_control_list", i) + ".", failure);
    Permission permission;
    for (const std::string_view kind : kPrincipalKinds) {
      if (!inner.Has(kind)) continue;
      permission.principal_kind = kind;
      permission.principal = inner.RequiredString(kind);
    }
    if (permission.principal_kind.empty()) {
      inner.Refuse({Code::kInvalidArgument,
                    inner.PathOf("") + " needs user_name, group_name or service_principal_name",
                    inner.PathOf("user_name")});
    }
    const std::string word = inner.RequiredString("permission_level");
    if (inner.failed()) break;
    const auto level = ParseLevel(word, inner.PathOf("permission_level"));
    if (!level) return Fail(level.error());
    permission.level = *level;
    permissions.push_back(std::move(permission));
  }
  if (failure) return Fail(std::move(*failure));
  return permissions;
}

std::vector<Permission> MergePermissions(std::vector<Permission> old,
                                         const std::vector<Permission>& added) {
  for (const Permission& permission : added) {
    std::erase_if(old, [&permission](const Permission& other) {
      return other.principal == permission.principal &&
             other.principal_kind == permission.principal_kind;
    });
    old.push_back(permission);
  }
  return old;
}

boost::json::object PermissionsJson(const Endpoint& endpoint) {
  boost::json::array list;
  for (const Permission& permission : endpoint.permissions) {
    list.push_back({{permission.principal_kind, permission.principal},
                    {"all_permissions",
                     {{{"permission_level", ToString(permission.level)}, {"inherited", false}}}}});
  }
  return {{"object_id", "/serving-endpoints/" + endpoint.id},
          {"object_type", "serving-endpoint"},
          {"access_control_list", std::move(list)}};
}

boost::json::object PermissionLevelsJson() {
  return {{"permission_levels",
           {{{"permission_level", "CAN_VIEW"}, {"description", "Can see the endpoint"}},
            {{"permission_level", "CAN_QUERY"}, {"description", "Can also send it requests"}},
            {{"permission_level", "CAN_MANAGE"}, {"description", "Can also change it"}}}}};
}

}  // namespace penstock::control
