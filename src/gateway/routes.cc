#include "gateway/routes.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/check.h"
#include "http/url.h"

namespace penstock::gateway {

namespace {

struct FixedRoute {
  std::string_view path;
  std::string_view method;
  RouteKind kind;
  Operation operation = Operation::kByBody;
  Dialect dialect = Dialect::kOpenAi;
  Surface surface = Surface::kOpenAi;
  bool needs_api_version = false;
};

constexpr std::array kFixedRoutes = {
    FixedRoute{"/v1/chat/completions", "POST", RouteKind::kGeneration, Operation::kChat},
    FixedRoute{"/v1/completions", "POST", RouteKind::kGeneration, Operation::kCompletions},
    FixedRoute{"/v1/embeddings", "POST", RouteKind::kGeneration, Operation::kEmbeddings},
    FixedRoute{"/v1/models", "GET", RouteKind::kModelList},
    FixedRoute{"/serving-endpoints/chat/completions", "POST", RouteKind::kGeneration,
               Operation::kChat, Dialect::kOpenAi, Surface::kDatabricks},
    FixedRoute{"/openai/v1/chat/completions", "POST", RouteKind::kGeneration, Operation::kChat,
               Dialect::kAzure, Surface::kAzure},
    FixedRoute{"/serving-endpoints/completions", "POST", RouteKind::kGeneration,
               Operation::kCompletions, Dialect::kOpenAi, Surface::kDatabricks},
    FixedRoute{"/openai/v1/completions", "POST", RouteKind::kGeneration, Operation::kCompletions,
               Dialect::kAzure, Surface::kAzure},
    FixedRoute{"/serving-endpoints/embeddings", "POST", RouteKind::kGeneration,
               Operation::kEmbeddings, Dialect::kOpenAi, Surface::kDatabricks},
    FixedRoute{"/openai/v1/embeddings", "POST", RouteKind::kGeneration, Operation::kEmbeddings,
               Dialect::kAzure, Surface::kAzure},
    FixedRoute{"/openai/v1/models", "GET", RouteKind::kModelList, Operation::kByBody,
               Dialect::kAzure, Surface::kAzure},
    FixedRoute{"/openai/models", "GET", RouteKind::kModelList, Operation::kByBody, Dialect::kAzure,
               Surface::kAzure, true},
    FixedRoute{"/metrics", "GET", RouteKind::kMetrics},
    FixedRoute{"/-/healthy", "GET", RouteKind::kHealthy},
    FixedRoute{"/-/ready", "GET", RouteKind::kReady},
};

Route WrongMethod(std::string_view allowed, Dialect dialect) {
  Route route;
  route.kind = RouteKind::kWrongMethod;
  route.dialect = dialect;
  route.allowed_method = allowed;
  return route;
}

// The one path segment between `prefix` and `suffix`, decoded; "" if `path` is not of that form.
std::string Segment(std::string_view path, std::string_view prefix, std::string_view suffix) {
  if (path.size() <= prefix.size() + suffix.size() || !path.starts_with(prefix) ||
      !path.ends_with(suffix)) {
    return {};
  }
  path.remove_prefix(prefix.size());
  path.remove_suffix(suffix.size());
  if (path.find('/') != std::string_view::npos) return {};
  return http::PercentDecode(path).value_or("");
}

// "/openai/deployments/{name}/{operation}"
Route DeploymentRoute(std::string_view method, std::string_view path) {
  struct Suffix {
    std::string_view text;
    Operation operation;
  };
  // The longer one first: it ends like the other.
  constexpr std::array kSuffixes = {Suffix{"/chat/completions", Operation::kChat},
                                    Suffix{"/completions", Operation::kCompletions},
                                    Suffix{"/embeddings", Operation::kEmbeddings}};
  Route route;
  route.dialect = Dialect::kAzure;
  route.surface = Surface::kAzure;
  for (const auto& [suffix, operation] : kSuffixes) {
    std::string name = Segment(path, "/openai/deployments/", suffix);
    if (name.empty()) continue;
    if (method != "POST") return WrongMethod("POST", Dialect::kAzure);
    route.kind = RouteKind::kGeneration;
    route.operation = operation;
    route.needs_api_version = true;
    route.name = std::move(name);
    return route;
  }
  return route;
}

Route NamedRoute(std::string_view method, std::string_view path) {
  if (path.starts_with("/openai/deployments/")) return DeploymentRoute(method, path);
  Route route;
  if (std::string name = Segment(path, "/serving-endpoints/", "/invocations"); !name.empty()) {
    if (method != "POST") return WrongMethod("POST", Dialect::kDatabricks);
    route.kind = RouteKind::kGeneration;
    route.dialect = Dialect::kDatabricks;
    route.surface = Surface::kDatabricks;
    route.name = std::move(name);
  } else if (std::string azure = Segment(path, "/openai/v1/models/", ""); !azure.empty()) {
    if (method != "GET") return WrongMethod("GET", Dialect::kAzure);
    route.kind = RouteKind::kModel;
    route.dialect = Dialect::kAzure;
    route.surface = Surface::kAzure;
    route.name = std::move(azure);
  } else if (path.starts_with("/openai/")) {
    route.dialect = Dialect::kAzure;
    route.surface = Surface::kAzure;
  } else if (std::string model = Segment(path, "/v1/models/", ""); !model.empty()) {
    if (method != "GET") return WrongMethod("GET", Dialect::kOpenAi);
    route.kind = RouteKind::kModel;
    route.name = std::move(model);
  }
  return route;
}

bool IsReport(std::string_view path) {
  // Azure's client puts a slash before a resource that begins with one.
  if (path.starts_with("//")) path.remove_prefix(1);
  if (path == "/api/2.0/usage" || path.starts_with("/api/2.0/usage/")) return true;
  constexpr std::string_view kEndpoints = "/api/2.0/serving-endpoints/";
  if (path.starts_with(kEndpoints)) return path.substr(kEndpoints.size()).ends_with("/metrics");
  if (!path.starts_with("/subscriptions/")) return false;
  const auto ends = [path](std::string_view end) {
    return path.size() > end.size() &&
           std::ranges::equal(path.substr(path.size() - end.size()), end, [](char a, char b) {
             return (a >= 'A' && a <= 'Z' ? static_cast<char>(a - 'A' + 'a') : a) == b;
           });
  };
  return ends("/providers/microsoft.insights/metrics") ||
         ends("/providers/microsoft.insights/metricdefinitions");
}

// The newer bases of Databricks' AI Gateway: OpenAI's paths follow them.
constexpr std::array<std::string_view, 2> kAiGatewayBases = {"/ai-gateway/mlflow",
                                                             "/ai-gateway/openai"};

}  // namespace

Route FindRoute(std::string_view method, std::string_view path) {
  for (const std::string_view base : kAiGatewayBases) {
    if (!path.starts_with(base) || !path.substr(base.size()).starts_with("/v1/")) continue;
    Route route = FindRoute(method, path.substr(base.size()));
    route.surface = Surface::kDatabricks;
    return route;
  }
  if (IsReport(path)) {
    Route route;
    route.kind = RouteKind::kReport;
    route.dialect = Dialect::kDatabricks;
    return route;
  }
  if (path.starts_with("/api/2.")) {
    Route route;
    route.kind = RouteKind::kControl;
    route.dialect = Dialect::kDatabricks;
    return route;
  }
  if (path.starts_with("/subscriptions/")) {  // Azure's management plane.
    Route route;
    route.kind = RouteKind::kControl;
    route.dialect = Dialect::kAzure;
    return route;
  }
  for (const FixedRoute& fixed : kFixedRoutes) {
    if (fixed.path != path) continue;
    const bool head = method == "HEAD" && fixed.method == "GET";
    if (method != fixed.method && !head) return WrongMethod(fixed.method, fixed.dialect);
    Route route;
    route.kind = fixed.kind;
    route.operation = fixed.operation;
    route.dialect = fixed.dialect;
    route.surface = fixed.surface;
    route.needs_api_version = fixed.needs_api_version;
    return route;
  }
  return NamedRoute(method, path);
}

std::string ApiVersionOf(std::string_view query) {
  return http::QueryValue(query, "api-version").value_or("");
}

std::string_view UpstreamPath(Operation operation) {
  switch (operation) {
    case Operation::kChat:
      return "/v1/chat/completions";
    case Operation::kCompletions:
      return "/v1/completions";
    case Operation::kEmbeddings:
      return "/v1/embeddings";
    case Operation::kByBody:
      break;
  }
  CHECK(false, "the operation is settled before the upstream is asked");
}

}  // namespace penstock::gateway
