// Endpoint JSON: endpoints as the Databricks REST API writes them (2.0/serving-endpoints).
//
// Read leniently where its clients differ: `entity_version` as number or string, `served_models`
// with `model_name` and `model_version` for `served_entities`, numbers and booleans as strings.
// Unknown fields are ignored. Fields with a meaning that this version cannot keep (ai_gateway,
// rate_limits, external_model, …) are refused rather than silently dropped.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/endpoint.h"
#include "policy/key_table.h"

namespace penstock::control {

inline constexpr std::size_t kServedEntitiesMax = 1;
inline constexpr std::size_t kTagsMax = 20;
inline constexpr std::size_t kTagSizeMax = 256;           // Bytes of a key, or of a value.
inline constexpr std::size_t kDescriptionSizeMax = 1024;  // Bytes.

// The body of a create request; also what EndpointDefinitionJson() wrote. Checks everything that
// can be checked without the catalog; throughput is checked against `chunk` tokens/s.
Result<EndpointDefinition> ParseEndpointDefinition(
    std::string_view body, std::int64_t chunk_tokens_per_s = policy::kUncalibratedChunk);

// The definition as a create request, for the store.
std::string EndpointDefinitionJson(const EndpointDefinition& definition);

// The answer to create and get: ServingEndpointDetailed. Until the first configuration is in effect
// it stands under `pending_config`, afterwards under `config`.
boost::json::object EndpointDetailJson(const Endpoint& endpoint, const EndpointStatus& status,
                                       const std::string& task, policy::Role role);

// One element of the list: ServingEndpoint.
boost::json::object EndpointSummaryJson(const Endpoint& endpoint, const EndpointStatus& status,
                                        const std::string& task, policy::Role role);

}  // namespace penstock::control
