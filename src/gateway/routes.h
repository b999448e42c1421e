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
  kMetrics,     // GET /metrics
  kHealthy,     // GET /-/healthy: the process lives.
  kReady,       // GET /-/ready: it takes requests.
  kNoSuchPath,
  kWrongMethod,  // The path exists for another method.
};

// Which operation a generation request asks for. kByBody: the body's fields tell (invocations).
enum class Operation : std::uint8_t { kChat, kCompletions, kEmbeddings, kByBody };

struct Route {
  RouteKind kind = RouteKind::kNoSuchPath;
  Operation operation = Operation::kByBody;
  Dialect dialect = Dialect::kOpenAi;
  std::string name;  // Endpoint of the path, decoded; "" where the body's `model` names it.
  std::string_view allowed_method = {};  // For kWrongMethod.
};

Route FindRoute(std::string_view method, std::string_view path);

// The path of `operation` on an OpenAI-compatible replica. Not for kByBody.
std::string_view UpstreamPath(Operation operation);

}  // namespace penstock::gateway
