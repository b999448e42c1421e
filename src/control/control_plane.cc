#include "control/control_plane.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>
#include <variant>

#include "base/log.h"
#include "control/keys.h"
#include "fleet/socket_folder.h"

namespace penstock::control {
namespace {

constexpr std::size_t kHealthAnswerMax = 64 * 1024;
constexpr std::size_t kSocketIdSize = 16;  // Digits of an endpoint's id in a socket's name.

}  // namespace

Result<std::unique_ptr<ControlPlane>> ControlPlane::Open(io::Loop& loop, store::DataDirectory data,
                                                         ControlPlaneSettings settings) {
  auto store = store::Store::Open(data.database_path());
  if (!store) return Fail(store.error());
  auto sockets = fleet::SocketFolder::Open(data.run_path());
  if (!sockets) return Fail(sockets.error());
  auto fleet = fleet::ProcessFleet::Open({.log_path = data.log_path()}, std::move(*sockets));
  if (!fleet) return Fail(fleet.error());
  const auto made_key = EnsureAdminKey(*store, data.admin_key_path(), loop.WallNow());
  if (!made_key) return Fail(made_key.error());

  std::unique_ptr<ControlPlane> plane(new ControlPlane(loop, std::move(data), std::move(*store),
                                                       std::move(*fleet), std::move(settings)));
  plane->made_admin_key_ = *made_key;
  if (auto loaded = plane->endpoints_.Load(loop.Now()); !loaded) return Fail(loaded.error());
  plane->RemoveForeignLogs();
  return plane;
}

ControlPlane::ControlPlane(io::Loop& loop, store::DataDirectory data, store::Store store,
                           fleet::ProcessFleet fleet, ControlPlaneSettings settings)
    : loop_(loop),
      data_(std::move(data)),
      store_(std::move(store)),
      fleet_(std::move(fleet)),
      settings_(std::move(settings)),
      reconciler_(settings_.reconciler),
      catalog_(store_),
      endpoints_(store_, catalog_, reconciler_),
      models_(catalog_, endpoints_),
      api_(endpoints_, models_),
      client_(loop),
      news_(loop),
      scope_(loop) {}

ControlPlane::~ControlPlane() = default;

void ControlPlane::Start() {
  Do(PublishRoutes{});  // Even when there is no endpoint: requests are then told so.
  scope_.Spawn("reconcile", Reconcile(*this));
  scope_.Spawn("watch exits", WatchExits(*this));
  scope_.Spawn("keep house", KeepHouse(*this));
}

ApiAnswer ControlPlane::Handle(const ApiRequest& request) {
  ApiAnswer answer = api_.Handle(request, {.now = loop_.Now(), .wall = loop_.WallNow()});
  if (request.method != "GET") {
    Log().info("{} {} by \"{}\": {}", request.method, request.path, request.caller.name,
               answer.status);
    news_.Set();
  }
  return answer;
}

io::Task<void> ControlPlane::Reconcile(ControlPlane& plane) {
  for (;;) {
    plane.news_.Reset();
    for (const Action& action : plane.reconciler_.Step(plane.loop_.Now())) {
      std::visit([&plane](const auto& one) { plane.Do(one); }, action);
    }
    const auto woken = co_await plane.news_.Wait(Deadline(plane.reconciler_.NextWake()));
    if (!woken && woken.error().code == Code::kCancelled) co_return;
  }
}

io::Task<void> ControlPlane::WatchExits(ControlPlane& plane) {
  for (;;) {
    const auto readable =
        co_await plane.loop_.WaitReadable(plane.fleet_.exit_descriptor(), Deadline::Never());
    if (!readable) {
      if (readable.error().code != Code::kCancelled) Log().error("{}", readable.error().message);
      co_return;
    }
    plane.CollectExits();
  }
}

io::Task<void> ControlPlane::KeepHouse(ControlPlane& plane) {
  for (;;) {
    const auto slept = co_await plane.loop_.Sleep(plane.settings_.housekeeping_interval);
    if (!slept) co_return;
    plane.fleet_.RotateLogs();
  }
}

io::Task<void> ControlPlane::Probe(ControlPlane& plane, std::uint64_t replica) {
  const Status health = co_await plane.AskHealth(replica);
  if (!health && health.error().code == Code::kCancelled) co_return;
  plane.reconciler_.OnProbe(replica, health.has_value(), health ? "" : health.error().message,
                            plane.loop_.Now());
  plane.news_.Set();
}

io::Task<Status> ControlPlane::AskHealth(std::uint64_t replica) {
  auto address = io::Address::Parse(AddressOf(replica));
  if (!address) co_return Fail(address.error());
  const http::Origin origin{.address = std::move(*address), .connect = {}, .host = "localhost"};
  const Deadline deadline = Deadline::After(loop_.Now(), settings_.probe_wait_max);
  auto response = co_await client_.Send(origin, {.target = settings_.health_path}, deadline);
  if (!response) co_return Fail(response.error());
  const auto body = co_await (*response)->ReadAll(kHealthAnswerMax, deadline);
  if (!body) co_return Fail(body.error());
  constexpr int kGood = 200;
  if ((*response)->status() == kGood) co_return Status();
  co_return Fail(Code::kUnavailable,
                 fmt::format("{} answered {}", settings_.health_path, (*response)->status()));
}

void ControlPlane::Do(const StartReplica& start) {
  const Status started = StartProcess(start);
  if (started) {
    Log().info("{} starts as process {}", LabelOf(start.replica),
               fleet_.ProcessIdOf(start.replica));
    return;
  }
  Log().error("{} does not start: {}", LabelOf(start.replica), started.error().message);
  living_.erase(start.replica);
  reconciler_.OnExit(start.replica, started.error().message, loop_.Now());
  news_.Set();
}

Status ControlPlane::StartProcess(const StartReplica& start) {
  const auto model = endpoints_.ModelOf(start.endpoint_id);
  if (!model) return Fail(Code::kInternal, "its endpoint is gone");
  // The name of an endpoint may pass to another; a request that is still under way to this one must
  // not meet that one's replica: hence the id.
  const std::string socket_name =
      fmt::format("{}-{}", start.endpoint_id.substr(0, kSocketIdSize), start.place);
  const std::string address = "unix:" + fleet_.SocketPath(socket_name);
  if (!started_places_.insert(socket_name).second) settings_.on_restart(model->endpoint_name);
  living_[start.replica] = {
      .label = fmt::format("{}/{} (replica {})", model->endpoint_name, start.place, start.replica),
      .address = address};
  return fleet_.Start({.id = start.replica,
                       .log_name = fmt::format("{}.{}", model->endpoint_name, start.place),
                       .socket_name = socket_name,
                       .command = settings_.engine_command({.model_path = model->source,
                                                            .endpoint_name = model->endpoint_name,
                                                            .address = address})});
}

void ControlPlane::Do(const ProbeReplica& probe) {
  scope_.Spawn("probe", Probe(*this, probe.replica));
}

void ControlPlane::Do(const TerminateReplica& terminate) {
  Log().info("{} is asked to end", LabelOf(terminate.replica));
  fleet_.Terminate(terminate.replica);
}

void ControlPlane::Do(const KillReplica& kill) {
  Log().warn("{} is killed", LabelOf(kill.replica));
  fleet_.Kill(kill.replica);
}

void ControlPlane::Do(const PublishRoutes&) {
  auto table = std::make_shared<const policy::RoutingTable>(
      endpoints_.Routes([this](std::uint64_t replica) { return AddressOf(replica); }));
  settings_.publish_routes(std::move(table));
}

void ControlPlane::Do(const RecordUpdate& update) {
  const auto model = endpoints_.ModelOf(update.endpoint_id);
  const std::string name = model ? model->endpoint_name : update.endpoint_id;
  Log().info("endpoint {}: {}{}{}", name, ToString(update.state),
             update.message.empty() ? "" : ": ", update.message);
  // Not answered to anybody: if the disk fails now, a restart only brings the endpoint up again.
  if (auto recorded = endpoints_.Record(update); !recorded) {
    Log().error("endpoint {}: {}", name, recorded.error().message);
  }
}

void ControlPlane::CollectExits() {
  for (const fleet::ReplicaExit& exit : fleet_.CollectExits()) {
    Log().info("{} {}", LabelOf(exit.id), exit.reason);
    living_.erase(exit.id);
    reconciler_.OnExit(exit.id, exit.reason, loop_.Now());
    news_.Set();
  }
}

io::Task<void> ControlPlane::Shutdown(Deadline deadline) {
  scope_.Stop();
  co_await scope_.Join();
  for (const std::uint64_t id : fleet_.RunningIds()) fleet_.Terminate(id);
  bool killed = false;
  while (fleet_.running() > 0) {
    const auto readable = co_await loop_.WaitReadable(fleet_.exit_descriptor(),
                                                      killed ? Deadline::Never() : deadline);
    if (!readable) {
      // The deadline, or whoever shuts down is itself told to end: what is left, ends now.
      for (const std::uint64_t id : fleet_.RunningIds()) fleet_.Kill(id);
      if (killed) break;  // The destructors wait for them.
      killed = true;
    }
    CollectExits();
  }
}

// Logs of endpoints that were deleted; without this they would add up for ever.
void ControlPlane::RemoveForeignLogs() const {
  const std::vector<std::string> names = endpoints_.Names();
  std::error_code failure;
  for (const auto& entry : std::filesystem::directory_iterator(data_.log_path(), failure)) {
    const std::string file = entry.path().filename().string();
    const std::string endpoint = file.substr(0, file.find('.'));  // Their names have no dot.
    if (std::ranges::binary_search(names, endpoint)) continue;
    std::filesystem::remove(entry.path(), failure);
  }
  if (failure) Log().warn("cannot tidy {}: {}", data_.log_path(), failure.message());
}

std::string ControlPlane::AddressOf(std::uint64_t replica) const {
  const auto found = living_.find(replica);
  return found == living_.end() ? std::string() : found->second.address;
}

std::string ControlPlane::LabelOf(std::uint64_t replica) const {
  const auto found = living_.find(replica);
  return found == living_.end() ? fmt::format("replica {}", replica) : found->second.label;
}

}  // namespace penstock::control
