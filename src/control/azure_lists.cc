// AzureApi's lists: what may be deployed, and how much of it.
#include <fmt/format.h>

#include <algorithm>

#include "control/azure_api.h"
#include "control/azure_terms.h"

namespace penstock::control {

boost::json::object AzureCapacityJson(std::int64_t maximum) {
  return {{"minimum", 1}, {"maximum", maximum}, {"step", 1}, {"default", 1}};
}

std::string AzureQuotaName(const std::string& sku) {
  return IsStandardSku(sku) ? "Tokens Per Minute (thousands)"
                            : "Provisioned Managed Throughput Unit";
}

boost::json::array AzureApi::Usages() const {
  boost::json::array values;
  for (const bool standard : {true, false}) {
    const std::string name = standard ? "OpenAI.Standard" : "OpenAI.ProvisionedManaged";
    values.push_back({{"name", {{"value", name}, {"localizedValue", AzureQuotaName(name)}}},
                      {"currentValue", Used(standard, "")},
                      {"limit", standard ? kStandardUnitsMax : kProvisionedUnitsMax},
                      {"unit", "Count"}});
  }
  return values;
}

boost::json::array AzureApi::Models(bool with_kind) {
  boost::json::array values;
  const auto models = catalog_.List();
  if (!models) return values;
  for (const auto& model : *models) {
    const auto versions = catalog_.ListVersions(model.full_name);
    if (!versions) continue;
    for (const auto& version : *versions) {
      boost::json::array skus;
      for (const std::string_view sku : {"Standard", "ProvisionedManaged"}) {
        const std::int64_t maximum = IsStandardSku(sku) ? kStandardUnitsMax : kProvisionedUnitsMax;
        skus.push_back({{"name", sku},
                        {"usageName", fmt::format("OpenAI.{}", sku)},
                        {"capacity", AzureCapacityJson(maximum)}});
      }
      boost::json::object json{{"format", "OpenAI"},
                               {"name", model.full_name},
                               {"version", std::to_string(version.version)},
                               {"lifecycleStatus", "GenerallyAvailable"},
                               {"capabilities", AzureCapabilities(TaskOf(version))},
                               {"skus", std::move(skus)}};
      if (with_kind) {
        json = {{"kind", "OpenAI"}, {"skuName", "S0"}, {"model", std::move(json)}};
      }
      values.push_back(std::move(json));
    }
  }
  return values;
}

// For each kind of deployment, what may still be deployed: the quota, and for provisioned ones what
// the machine has left, in units.
boost::json::array AzureApi::Capacities(const ApiCall& call) {
  boost::json::array values;
  const std::string name = call.Query("modelName");
  AzureDeployment azure{.sku = "Standard",
                        .capacity = 1,
                        .model_name = name,
                        .model_version = call.Query("modelVersion")};
  bool standard = true;
  const auto config = ConfigOf(azure, standard);
  if (!config) return values;
  const ServedEntity& entity = config->served_entities.front();
  const std::int64_t room = parts_.endpoints.UnitsLeft(entity.entity_name, entity.entity_version);
  for (const std::string_view sku : {"Standard", "ProvisionedManaged"}) {
    const std::int64_t quota = IsStandardSku(sku) ? kStandardUnitsMax - Used(true, "")
                                                  : kProvisionedUnitsMax - Used(false, "");
    values.push_back(
        {{"name", sku},
         {"type", "Microsoft.CognitiveServices/modelCapacities"},
         {"location", "local"},
         {"properties",
          {{"model", {{"format", "OpenAI"}, {"name", name}, {"version", azure.model_version}}},
           {"skuName", sku},
           {"availableCapacity", IsStandardSku(sku) ? quota : std::min(quota, room)}}}});
  }
  return values;
}

}  // namespace penstock::control
