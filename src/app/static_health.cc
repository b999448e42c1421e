#include "app/static_health.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/log.h"
#include "io/address.h"

namespace penstock::app {
namespace {

constexpr std::size_t kAnswerMax = std::size_t{4} << 20;
constexpr std::string_view kHealth = "/health";
constexpr std::string_view kModels = "/v1/models";

bool IsUnknownPath(int status) { return status == 404 || status == 405 || status == 501; }

}  // namespace

StaticHealth::StaticHealth(io::Loop& loop, const std::vector<policy::EndpointRoute>& routes,
                           StaticHealthSettings settings, std::function<void()> on_change)
    : loop_(loop),
      settings_(std::move(settings)),
      on_change_(std::move(on_change)),
      client_(loop, {.user_agent = "penstock"}),
      scope_(loop) {
  for (const policy::EndpointRoute& route : routes) {
    for (const policy::ServedRoute& served : route.served) {
      for (const policy::ReplicaRoute& replica : served.replicas) {
        servers_.push_back(std::make_unique<Server>(
            Server{.endpoint = route.name, .address = replica.address, .id = replica.id}));
      }
    }
  }
}

void StaticHealth::Start() {
  if (settings_.path == "none") return;
  for (const auto& server : servers_) scope_.Spawn("static health", Watch(*this, *server));
}

io::Task<void> StaticHealth::Stop() {
  scope_.Stop();
  co_await scope_.Join();
}

policy::EndpointRoute StaticHealth::Well(policy::EndpointRoute route) const {
  for (policy::ServedRoute& served : route.served) {
    std::erase_if(served.replicas, [this](const policy::ReplicaRoute& replica) {
      return std::ranges::any_of(servers_, [&replica](const auto& server) {
        return server->id == replica.id && !server->well;
      });
    });
  }
  return route;
}

io::Task<void> StaticHealth::Watch(StaticHealth& health, Server& server) {
  for (;;) {
    const Status asked = co_await health.Ask(server);
    if (!asked && asked.error().code == Code::kCancelled) co_return;
    health.Note(server, asked);
    const auto slept = co_await health.loop_.Sleep(health.settings_.interval);
    if (!slept) co_return;
  }
}

void StaticHealth::Note(Server& server, const Status& asked) {
  if (asked) {
    server.failures = 0;
    server.reason.clear();
    if (std::exchange(server.well, true)) return;
    Log().info("{}: {} is well again", server.endpoint, server.address);
    on_change_();
    return;
  }
  server.reason = asked.error().message;
  if (++server.failures < settings_.failures_max || !server.well) return;
  server.well = false;
  Log().warn("{}: {} gets no requests: {}", server.endpoint, server.address, server.reason);
  on_change_();
}

io::Task<Status> StaticHealth::Ask(Server& server) {
  const bool automatic = settings_.path == "auto";
  if (server.path.empty()) server.path = automatic ? std::string(kHealth) : settings_.path;
  auto status = co_await StatusOf(server, server.path);
  if (status && automatic && IsUnknownPath(*status) && server.path == kHealth) {
    status = co_await StatusOf(server, std::string(kModels));
    if (status && *status < 300) server.path = kModels;
  }
  if (!status) co_return Fail(status.error());
  if (*status >= 200 && *status < 300) co_return Status();
  co_return Fail(Code::kUnavailable, fmt::format("{} answered {}", server.path, *status));
}

io::Task<Result<int>> StaticHealth::StatusOf(const Server& server, std::string path) {
  auto address = io::Address::Parse(server.address);
  if (!address) co_return Fail(address.error());
  const bool local = address->kind == io::Address::Kind::kUnix;
  const http::Origin origin{.address = *address,
                            .connect = {},
                            .host = local ? std::string("localhost") : address->ToString()};
  const Deadline deadline = Deadline::After(loop_.Now(), settings_.wait_max);
  auto response = co_await client_.Send(origin, {.target = path}, deadline);
  if (!response) co_return Fail(response.error());
  const auto body = co_await (*response)->ReadAll(kAnswerMax, deadline);
  if (!body) co_return Fail(body.error());
  co_return (*response)->status();
}

}  // namespace penstock::app
