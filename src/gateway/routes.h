// Routes: what a method and path ask for, and in which dialect the answer is due.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "api/error_body.h"

namespace penstock::gateway {

enum class RouteKind : std::uint8_t {
  kGeneration,  // Relayed to a replica.
  kModelList,   // GET /v1/models
  kModel,       // GET /v1/models/{name}
  kControl,     // The control plane's paths.
  kReport,      // What was used: usage, metrics over time.
  kMetrics,     // GET /metrics
  kHealthy,     // GET /-/healthy: the process lives.
  kReady,       // GET /-/ready: it takes requests.
  kNoSuchPath,
  kWrongMethod,  // The path exists for another method.
};

// Which operation a generation request asks for. kByBody: the body's fields tell (invocations).
enum class Operation : std::uint8_t { kChat, kCompletions, kEmbeddings, kByBody };

// Whose clients call: which header fields and words they know.
enum class Surface : std::uint8_t { kOpenAi, kDatabricks, kAzure };

struct Route {
  RouteKind kind = RouteKind::kNoSuchPath;
  Operation operation = Operation::kByBody;
  Dialect dialect = Dialect::kOpenAi;
  Surface surface = Surface::kOpenAi;
  bool needs_api_version = false;  // Azure's paths of old: without `api-version` there is nothing.
  std::string name;  // Endpoint of the path, decoded; "" where the body's `model` names it.
  std::string_view allowed_method = {};  // For kWrongMethod.
};

// The value of `api-version` in a query, decoded; "" if there is none.
std::string ApiVersionOf(std::string_view query);

Route FindRoute(std::string_view method, std::string_view path);

// The path of `operation` on an OpenAI-compatible replica. Not for kByBody.
std::string_view UpstreamPath(Operation operation);

}  // namespace penstock::gateway
