// AzureApi: deployments as Azure's management plane writes them: the same endpoints in another
// dialect.
//
//   /subscriptions/{s}/resourceGroups/{g}/providers/Microsoft.CognitiveServices/accounts/{a}
//       PUT, GET, PATCH, DELETE …/deployments/{d}, GET …/deployments, GET …/deployments/{d}/skus,
//       GET …/models, GET …/usages, POST …/listKeys, POST …/regenerateKey
//   /subscriptions/{s}/providers/Microsoft.CognitiveServices
//       GET …/modelCapacities, GET …/locations/{l}/usages, GET …/locations/{l}/models,
//       GET …/locations/{l}/operationStatuses/{o} (what a change has come to),
//       POST …/calculateModelCapacity (of the models of the PTU table, src/plan/data, and of ours)
//
// A deployment is an endpoint with one served entity. *ProvisionedManaged: one unit of capacity is
// one chunk, as floor and as ceiling; what exceeds it is refused. *Standard: one unit is a quota of
// 1,000 tokens and 6 requests a minute, on replicas that all Standard deployments of the model
// share. Any subscription, group and account name an own list of deployments; names of deployments
// are unique over all of them, since clients call them. On the control thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "control/api_call.h"
#include "control/catalog.h"
#include "plan/ptu.h"

namespace penstock::control {

inline constexpr std::int64_t kStandardUnitsMax = 1'000'000;   // Of all Standard deployments.
inline constexpr std::int64_t kProvisionedUnitsMax = 100'000;  // Of all provisioned ones.

inline constexpr std::string_view kAzureProvider = "Microsoft.CognitiveServices";

class AzureApi {
 public:
  // What `parts` refers to is borrowed and outlives this, and so does `catalog`.
  AzureApi(ApiParts parts, Catalog& catalog) : parts_(std::move(parts)), catalog_(catalog) {}

  static bool Owns(std::string_view path) { return path.starts_with("/subscriptions/"); }
  // Errors are {"error": {"code", "message"}}.
  ApiAnswer Handle(const ApiRequest& request, Moment moment);

 private:
  using Segments = std::vector<std::string>;
  Result<ApiAnswer> Run(const ApiRequest& request, const Segments& path, Moment moment);
  Result<ApiAnswer> OfAccount(const ApiRequest& request, const Segments& path, Moment moment);
  Result<ApiAnswer> OfDeployment(const ApiRequest& request, const Segments& path, Moment moment);
  Result<ApiAnswer> OfProvider(const ApiRequest& request, const Segments& path, Moment moment);

  // What a body asks for, read and checked but for what it would change.
  struct Wanted {
    AzureDeployment azure;
    EndpointConfig config;
    boost::json::object tags;
  };
  Result<Wanted> ReadDeployment(const ApiRequest& request, const std::string& account,
                                const std::string& name);
  Result<ApiAnswer> Put(const ApiRequest& request, const std::string& account,
                        const std::string& name, Moment moment);
  Result<ApiAnswer> Replace(const ApiRequest& request, const Endpoint& present, Wanted wanted,
                            Moment moment);
  Result<ApiAnswer> Patch(const ApiRequest& request, const std::string& name, Moment moment);
  Result<ApiAnswer> Regenerate(const ApiRequest& request, const std::string& account,
                               Moment moment);
  Result<boost::json::object> Body(const ApiRequest& request) const;
  Result<EndpointConfig> ConfigOf(AzureDeployment& azure, bool& standard);
  Status CheckQuota(const AzureDeployment& azure, const std::string& name) const;
  Result<const Endpoint*> Deployment(const std::string& account, const std::string& name) const;
  boost::json::object DeploymentJson(const Endpoint& endpoint, TimePoint now) const;
  boost::json::array Usages() const;
  boost::json::array Models(bool with_kind);
  boost::json::array Capacities(const ApiCall& call);
  plan::PtuTable UnitsTable();
  // Long-running operations (azure_operations.cc): tells in `answer` where the change that has just
  // begun can be asked for, and answers that.
  void TellOperation(const ApiRequest& request, const Endpoint& endpoint, ApiAnswer& answer) const;
  Result<ApiAnswer> Operation(const ApiRequest& request, const Segments& path) const;
  std::int64_t Used(bool standard, const std::string& but_for) const;

  ApiParts parts_;
  Catalog& catalog_;
};

ApiAnswer AzureAnswer(int status, const boost::json::value& json);
boost::json::value AzureTime(WallTime time);  // 2026-11-26T02:30:00Z
// Why a deployment failed, in ARM's words: {"code", "message"}.
boost::json::object AzureFailure(const std::string& message);
// What a sku's capacity may be.
boost::json::object AzureCapacityJson(std::int64_t maximum);
// What the quota of a sku is called.
std::string AzureQuotaName(const std::string& sku);

}  // namespace penstock::control
