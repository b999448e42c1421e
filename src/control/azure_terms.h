// The terms of an Azure deployment: what its sku and its properties say of its lane and its model.
// Pure.
#pragma once

#include <boost/json.hpp>
#include <string_view>

#include "base/result.h"
#include "control/endpoint.h"
#include "policy/endpoint_policy.h"

namespace penstock::control {

// Whether a sku is of the kind that has a quota instead of a capacity.
bool IsStandardSku(std::string_view sku);

// Refuses what `properties` cannot mean: `spilloverDeploymentName` (text), `versionUpgradeOption`
// (one of Azure's words), and `penstock`, our own extension:
//   reserve               "limit" (default) or "learned": what a request reserves for its output
//   releaseQuota          a Standard one's quota gets back what was reserved and not produced;
//                         default false, as Azure's quota page describes it
//   requestWindowSeconds  1 or 10 (default): of a Standard one's requests a minute
Status CheckAzureProperties(const boost::json::object& properties);

// `properties` with what a PATCH says of them; null takes a property away.
boost::json::object PatchAzureProperties(boost::json::object properties,
                                         const boost::json::object& changes);

// What a deployment's lane has beside its range. Provisioned: as its bucket holds one minute, every
// request is within the guarantee until that is used up, which is Azure's 100 %.
void ApplyAzure(const AzureDeployment& azure, policy::LanePolicy& lane);

// `capabilities` of a model with this task ("llm/v1/chat", …).
boost::json::object AzureCapabilities(std::string_view task);

}  // namespace penstock::control
