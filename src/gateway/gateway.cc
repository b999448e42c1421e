#include "gateway/gateway.h"

#include <random>
#include <span>
#include <utility>

#include <fmt/format.h>

#include "api/responses.h"
#include "gateway/call.h"

namespace penstock::gateway {

namespace {

constexpr std::string_view kJson = "application/json";

std::int64_t UnixSeconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

// Of the system, so that no two gateways ever give the same request id.
std::uint64_t RandomNumber() {
  std::random_device entropy;
  return (std::uint64_t{entropy()} << 32) | entropy();
}

// Transcripts and scripts look for these sentences.
void PutIntoAzureWords(Error& error) {
  if (error.code == Code::kUnauthenticated) {
    error.message =
        "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide "
        "a valid key for an active subscription and use a correct regional API endpoint for your "
        "resource.";
  } else if (error.code == Code::kNotFound) {
    error.message =
        "The API deployment for this resource does not exist. If you created the deployment within "
        "the last 5 minutes, please wait a moment and try again.";
  }
}

ModelCard CardOf(const policy::EndpointRoute& endpoint) {
  return {.id = endpoint.name, .created_s = UnixSeconds(endpoint.created_at)};
}

}  // namespace

Gateway::Gateway(io::Loop& loop, meter::Metrics& metrics, ControlPort control,
                 std::function<bool()> ready, GatewayLimits limits)
    : loop_(loop),
      metrics_(metrics),
      control_(std::move(control)),
      ready_(std::move(ready)),
      limits_(limits),
      pacer_(loop),
      client_(loop, {.put_off_acks = true}),
      run_(RandomNumber()),
      random_(run_) {}

Gateway::~Gateway() = default;

io::Task<void> Gateway::Handle(http::Exchange& exchange) {
  Route route = FindRoute(exchange.head().method, exchange.head().path);
  switch (route.kind) {
    case RouteKind::kGeneration:
    case RouteKind::kModelList:
    case RouteKind::kModel:
    case RouteKind::kControl:
    case RouteKind::kReport:
      if (route.needs_api_version && ApiVersionOf(exchange.head().query).empty()) break;
      return WithKey(exchange, std::move(route));
    case RouteKind::kMetrics:
    case RouteKind::kHealthy:
    case RouteKind::kReady:
      return Open(exchange, std::move(route));
    case RouteKind::kWrongMethod:
      return RespondError(exchange, route.dialect,
                          {Code::kMethodNotAllowed,
                           fmt::format("{} does not take {}; use {}", exchange.head().path,
                                       exchange.head().method, route.allowed_method),
                           {}});
    case RouteKind::kNoSuchPath:
      break;
  }
  // Azure's words for it, which its clients' users search for.
  if (route.surface == Surface::kAzure) return RespondAzureNotFound(exchange);
  const std::string_view path = exchange.head().path;
  const std::string_view hint =
      path.ends_with("/responses")
          ? "; the Responses API is not served here, chats go to .../chat/completions"
          : "";
  return RespondError(exchange, route.dialect,
                      {Code::kNotFound, fmt::format("no such path: {}{}", path, hint), {}});
}

// What needs no key. Metrics name endpoints, so beyond loopback they need one.
io::Task<void> Gateway::Open(http::Exchange& exchange, Route route) {
  if (route.kind == RouteKind::kHealthy) {
    (void)co_await exchange.Respond(200, "text/plain", "healthy\n");
  } else if (route.kind == RouteKind::kReady) {
    const bool ready = ready_();
    (void)co_await exchange.Respond(ready ? 200 : 503, "text/plain",
                                    ready ? "ready\n" : "not ready\n");
  } else {
    if (!exchange.peer().IsLoopback()) {
      if (const auto key = authorizer_.Check(exchange.head().fields); !key) {
        co_await RespondError(exchange, route.dialect, key.error());
        co_return;
      }
    }
    std::string text;
    if (reports_) {  // On another thread: with many endpoints it takes a while.
      auto answer = co_await reports_({.method = "GET", .path = "/metrics"});
      if (answer) text = std::move(answer->body);
    } else {
      text = metrics_.Expose();
    }
    (void)co_await exchange.Respond(200, "text/plain; version=0.0.4; charset=utf-8", text);
  }
}

io::Task<void> Gateway::WithKey(http::Exchange& exchange, Route route) {
  auto requester = authorizer_.Check(exchange.head().fields);
  if (!requester) return RespondError(exchange, route.dialect, requester.error());
  if (route.kind == RouteKind::kGeneration) {
    return Generate(exchange, std::move(route), *std::move(requester));
  }
  if (route.kind == RouteKind::kControl) return Control(exchange, *std::move(requester), control_);
  if (route.kind == RouteKind::kReport && reports_) {
    return Control(exchange, *std::move(requester), reports_);
  }
  return ListModels(exchange, std::move(route), *std::move(requester));
}

io::Task<void> Gateway::ListModels(http::Exchange& exchange, Route route,
                                   std::shared_ptr<const Requester> requester) {
  std::string body;
  if (route.kind == RouteKind::kModel) {
    const auto endpoint = routes_->Find(route.name);
    if (!endpoint || !RightOf(*endpoint, *requester)) {
      co_await RespondError(
          exchange, route.dialect,
          {Code::kNotFound, fmt::format("no endpoint named '{}'", route.name), "model"});
      co_return;
    }
    AppendModel(body, CardOf(*endpoint->route));
  } else {
    std::vector<ModelCard> cards;
    cards.reserve(routes_->size());
    for (const auto& [name, endpoint] : *routes_) {
      if (RightOf(*endpoint, *requester)) cards.push_back(CardOf(*endpoint->route));
    }
    AppendModelList(body, cards);
  }
  const std::string id = IdFor(exchange, NewRequestId());
  const http::Field told{"x-request-id", id};
  (void)co_await exchange.Respond(200, kJson, body, std::span(&told, 1));
}

io::Task<void> Gateway::Control(http::Exchange& exchange,
                                std::shared_ptr<const Requester> requester,
                                const ControlPort& port) {
  ControlRequest request{
      .method = std::string(exchange.head().method),
      .path = std::string(exchange.head().path),
      .query = std::string(exchange.head().query),
      .body = {},
      .caller = requester->name,
      .admin = requester->admin,
      .groups = requester->groups,
      .host = std::string(exchange.head().fields.Get("host")),
      .forwarded_proto = std::string(exchange.head().fields.Get("x-forwarded-proto"))};
  const auto body = co_await exchange.ReadBody();
  if (!body) {
    co_await RespondError(exchange, Dialect::kDatabricks, body.error());
    co_return;
  }
  request.body = *body;
  const auto answer = co_await port(std::move(request));
  if (!answer) {
    co_await RespondError(exchange, Dialect::kDatabricks, answer.error());
    co_return;
  }
  const std::string id = IdFor(exchange, NewRequestId());
  std::vector<http::Field> told = {{"x-request-id", id}};
  for (const auto& [name, value] : answer->fields) told.push_back({name, value});
  (void)co_await exchange.Respond(answer->status, answer->content_type, answer->body, told);
}

io::Task<void> Gateway::RespondAzureNotFound(http::Exchange& exchange) {
  const std::string id = IdFor(exchange, NewRequestId());
  (void)co_await exchange.Respond(404, kJson,
                                  R"({"error":{"code":"404","message":"Resource not found"}})",
                                  {{"x-request-id", id}, {"apim-request-id", id}});
}

std::string Gateway::IdFor(const http::Exchange& exchange, const meter::RequestId& id) {
  const std::string_view given = exchange.head().fields.Get("x-request-id").substr(0, 128);
  return given.empty() ? id.ToString("req_") : std::string(given);
}

io::Task<void> Gateway::RespondError(http::Exchange& exchange, Dialect dialect, Error error,
                                     std::string request_id) {
  if (request_id.empty()) request_id = IdFor(exchange, NewRequestId());
  if (dialect == Dialect::kAzure) PutIntoAzureWords(error);
  const std::string body = ErrorBody(dialect, error);
  const int status = Traits(error.code).http_status;
  std::vector<http::Field> fields = {{"x-request-id", request_id}};
  if (dialect == Dialect::kAzure) fields.push_back({"apim-request-id", request_id});
  // Clients wait this long before they try again; a replica is back within about as much.
  if (status == 503 || status == 429) fields.push_back({"retry-after", "1"});
  (void)co_await exchange.Respond(status, kJson, body, fields);
}

}  // namespace penstock::gateway
