// Endpoint JSON: endpoints as the Databricks REST API writes them (2.0/serving-endpoints).
//
// Read leniently where its clients differ: `entity_version` as number or string, `served_models`
// with `model_name` and `model_version` for `served_entities`, numbers and booleans as strings.
// Unknown fields are ignored. Fields with a meaning that this version cannot keep are refused
// rather than silently dropped. Fields of our own, per served entity: `strategy` (latency,
// balanced, throughput), `isolation` (dedicated, shared), `overload` (queue, reject).
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "control/endpoint.h"
#include "control/json_reader.h"
#include "policy/key_table.h"

namespace penstock::control {

inline constexpr std::size_t kServedEntitiesMax = 15;
inline constexpr std::size_t kTagsMax = 20;
inline constexpr std::size_t kTagSizeMax = 256;           // Bytes of a key, or of a value.
inline constexpr std::size_t kDescriptionSizeMax = 1024;  // Bytes.

struct ParseOptions {
  // Tokens/s of a model version's chunk; empty: any whole number is a multiple.
  std::function<std::int64_t(const std::string& model, std::int64_t version)> chunk_of = {};
  // The body is of the /pt variant: `provisioned_model_units` instead of tokens/s.
  bool model_units = false;
  // The body was written by EndpointRecordJson(): both kinds of figures may stand in it.
  bool stored = false;
};

// The body of a create request. Checks everything that can be checked without the catalog.
Result<EndpointDefinition> ParseEndpointDefinition(std::string_view body,
                                                   const ParseOptions& options = {});

// The body of a config update; what stands in the same place of a create request has `path`
// "config.".
Result<EndpointConfig> ParseEndpointConfig(std::string_view body, const ParseOptions& options);

// {"add_tags": [{"key", "value"}], "delete_tags": ["key"]} done to `tags`.
Result<std::vector<Tag>> PatchTags(std::string_view body, std::vector<Tag> tags);
boost::json::array TagsJson(const std::vector<Tag>& tags);

// What the store keeps of an endpoint, and reads again. Of a record, only the definition is JSON;
// kCorrupt says what is wrong with it.
std::string EndpointRecordJson(const Endpoint& endpoint);
Status ReadEndpointRecord(std::string_view json, Endpoint& endpoint);

// What an answer needs to know beside the endpoint itself.
struct EndpointView {
  const Endpoint& endpoint;
  const EndpointStatus& status;
  const std::string& task;
  std::string permission_level;  // Of who asks.
  std::string url;               // Of the server, for the paths that are answered; "" unknown.
};

// The answer to create and get: ServingEndpointDetailed.
boost::json::object EndpointDetailJson(const EndpointView& view);
// One element of the list: ServingEndpoint.
boost::json::object EndpointSummaryJson(const EndpointView& view);

}  // namespace penstock::control
