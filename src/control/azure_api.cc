#include "control/azure_api.h"

#include <fmt/format.h>

#include "api/error_body.h"
#include "control/azure_terms.h"
#include "control/json_reader.h"
#include "control/key_service.h"
#include "http/head.h"
#include "http/url.h"
#include "plan/arm_capacity.h"

namespace penstock::control {
namespace {

ApiAnswer List(boost::json::array values) {
  return AzureAnswer(200, boost::json::object{{"value", std::move(values)}});
}

std::unexpected<Error> NoSuchPath(const ApiRequest& request) {
  return Fail(Code::kNotFound,
              fmt::format("no such path: {} {}", request.method, request.path.substr(0, 200)));
}

constexpr std::string_view kApiVersion = "api-version";

// Azure's word for the error, where its services have one of their own.
std::string_view AzureWord(const Error& error) {
  if (error.code == Code::kExhausted) return "InsufficientQuota";
  if (error.code == Code::kConflict || error.code == Code::kAlreadyExists) return "Conflict";
  if (error.field == kApiVersion) return "MissingApiVersionParameter";
  if (error.code == Code::kInvalidArgument) return "InvalidRequest";
  return {};
}

}  // namespace

ApiAnswer AzureAnswer(int status, const boost::json::value& json) {
  return {.status = status, .body = boost::json::serialize(json)};
}

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
  // The words between names are the same in whatever case.
  const auto is = [&path](std::size_t index, std::string_view word) {
    return path.size() > index && http::EqualsIgnoreCase(path[index], word);
  };
  const bool of_account = path.size() >= 9 && is(2, "resourceGroups") && is(4, "providers") &&
                          is(5, kAzureProvider) && is(6, "accounts");
  const bool of_provider = path.size() >= 5 && is(2, "providers") && is(3, kAzureProvider);
  if (!of_account && !of_provider) return NoSuchPath(request);
  if (http::QueryValue(request.query, "api-version").value_or("").empty()) {
    return Fail(Code::kInvalidArgument,
                "The api-version query parameter (?api-version=) is required for all requests.",
                std::string(kApiVersion));
  }
  return of_account ? OfAccount(request, path, moment) : OfProvider(request, path, moment);
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
    if (request.method == "DELETE" && path.size() == 10) return AzureAnswer(204, {});
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
  if (request.method == "GET") return AzureAnswer(200, DeploymentJson(**endpoint, moment.now));
  if (request.method == "PATCH") return Patch(request, name, moment);
  if (request.method == "DELETE") {
    if (auto deleted = parts_.endpoints.Delete(name, request.caller, moment); !deleted) {
      return Fail(deleted.error());
    }
    return AzureAnswer(200, boost::json::object());
  }
  return NoSuchPath(request);
}

Result<boost::json::object> AzureApi::Body(const ApiRequest& request) const {
  return ParseJsonObject(request.body);
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
  if (path.size() == 8 && path[4] == "locations" && path[6] == "operationStatuses") {
    return Operation(request, path);
  }
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
  return AzureAnswer(200, json);
}

}  // namespace penstock::control
