// Gateway JSON: what the AI Gateway of an endpoint is told (ai_gateway, rate_limits), and its
// permissions, as Databricks writes them.
#pragma once

#include <boost/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/endpoint.h"
#include "control/json_reader.h"

namespace penstock::control {

// `ai_gateway` and `rate_limits` of a create request's body, checked, as Endpoint::gateway keeps
// them; "" where there are none.
std::string ReadGatewayFields(const boost::json::object& body, std::optional<Error>& failure);

// PUT …/ai-gateway and PUT …/rate-limits: `gateway` with that part replaced. What is asked for and
// cannot be kept (guardrails) is refused.
Result<std::string> WithAiGateway(const std::string& gateway, std::string_view body);
Result<std::string> WithRateLimits(const std::string& gateway, std::string_view body);

// PATCH …/telemetry-config: `gateway` with it, whether the body is it or has it as a member.
Result<std::string> WithTelemetry(const std::string& gateway, std::string_view body);

// The names of a table that requests and answers are written to (auto_capture_config,
// inference_table_config): checked, so that a wrong one is told at once.
void CheckTable(JsonReader& reader);

// What the request path needs of it, and of what an Azure deployment says beside.
policy::EndpointPolicy PolicyOf(const Endpoint& endpoint);
// The part as it was given: "ai_gateway" or "rate_limits"; nullptr where there is none.
boost::json::value GatewayPart(const std::string& gateway, std::string_view part);

inline constexpr std::size_t kPermissionsMax = 1000;

// {"access_control_list": [{"user_name" | "group_name" | "service_principal_name",
// "permission_level"}]}. Without the list: none.
Result<std::vector<Permission>> ReadPermissions(const boost::json::object& body);
// PATCH: adds, replacing what the same principal had.
std::vector<Permission> MergePermissions(std::vector<Permission> old,
                                         const std::vector<Permission>& added);
boost::json::object PermissionsJson(const Endpoint& endpoint);
boost::json::object PermissionLevelsJson();

}  // namespace penstock::control
