// What becomes of a deployment's change, as ARM's clients ask for it.
//
// Nothing is kept of an operation: its name is the endpoint's id and the version of the
// configuration that it brings about, and both are looked up when somebody asks.
#include <fmt/format.h>

#include <charconv>

#include "control/azure_api.h"
#include "http/url.h"

namespace penstock::control {
namespace {

constexpr const char* kPollAfterS = "1";

}  // namespace

boost::json::object AzureFailure(const std::string& message) {
  const bool capacity = message.starts_with("RESOURCE_EXHAUSTED");
  return {{"code", capacity ? "InsufficientCapacity" : "DeploymentFailed"}, {"message", message}};
}

// Clients ask where they are told to, so the server is named as they named it.
void AzureApi::TellOperation(const ApiRequest& request, const Endpoint& endpoint,
                             ApiAnswer& answer) const {
  const std::string& url = parts_.endpoints.url();
  const bool secure = request.forwarded_proto == "https" || url.starts_with("https://");
  const std::string base =
      request.host.empty() ? url : fmt::format("{}://{}", secure ? "https" : "http", request.host);
  const std::string& account = endpoint.azure->account;
  const std::string version = http::QueryValue(request.query, "api-version").value_or("");
  answer.fields = {
      {"azure-asyncoperation",
       fmt::format("{}/subscriptions/{}/providers/{}/locations/local/operationStatuses/{}-{}"
                   "?api-version={}",
                   base, account.substr(0, account.find('/')), kAzureProvider, endpoint.id,
                   endpoint.last_version, http::PercentEncode(version))},
      {"retry-after", kPollAfterS}};
}

Result<ApiAnswer> AzureApi::Operation(const ApiRequest& request, const Segments& path) const {
  const std::string& name = path[7];
  const std::size_t dash = name.rfind('-');
  std::int64_t version = 0;
  if (dash != std::string::npos) {
    std::from_chars(name.data() + dash + 1, name.data() + name.size(), version);
  }
  for (const auto& [endpoint_name, endpoint] : parts_.endpoints.all()) {
    if (endpoint.id != name.substr(0, dash) || !endpoint.azure) continue;
    if (PermissionOf(endpoint, request.caller).empty()) break;
    boost::json::object json{{"id", request.path}, {"name", name}};
    const auto& pending = endpoint.pending;
    if (pending && pending->version == version) {
      const bool failed = endpoint.update == UpdateState::kFailed;
      json["status"] = failed ? "Failed" : "Running";
      json["startTime"] = AzureTime(pending->started_at);
      if (failed) json["error"] = AzureFailure(endpoint.update_message);
    } else if (endpoint.config && version >= 1 && version <= endpoint.config->version) {
      json["status"] = "Succeeded";
      json["endTime"] = AzureTime(endpoint.updated_at);
    } else {
      break;
    }
    ApiAnswer answer = AzureAnswer(200, json);
    answer.fields = {{"retry-after", kPollAfterS}};
    return answer;
  }
  return Fail(Code::kNotFound, fmt::format("operation {} does not exist", name.substr(0, 80)));
}

}  // namespace penstock::control
