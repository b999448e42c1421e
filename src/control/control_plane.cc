#include "control/control_plane.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>
#include <variant>

#include "base/log.h"
#include "control/keys.h"
#include "fleet/split_fleet.h"

namespace penstock::control {
namespace {

constexpr std::size_t kHealthAnswerMax = 64 * 1024;
constexpr std::size_t kLogShownMax = 16 * 1024;

// The command of an engine but for what differs from one to the next.
std::vector<std::string> EngineIdentity(const ControlPlaneSettings& settings) {
  auto identity = settings.engine_command(
      {.model_path = "MODEL", .endpoint_name = "calibration", .address = "unix:/ADDRESS"});
  identity.push_back(settings.engine_identity);
  return identity;
}

// Where the sockets of a fleet on this machine lie: their paths are short enough for the kernel.
std::string SocketFolderOf(const fleet::Fleet& fleet, const store::DataDirectory& data) {
  const std::string address = fleet.ListenAddress("c", true);
  constexpr std::string_view kUnix = "unix:";
  if (!address.starts_with(kUnix)) return data.run_path();
  return std::filesystem::path(address.substr(kUnix.size())).parent_path().string();
}

ModelWorksSettings WorksSettings(const store::DataDirectory& data, std::string socket_path,
                                 const ControlPlaneSettings& settings,
                                 std::function<void()> on_calibrated) {
  return {.converted_path = data.converted_path(),
          .hub_path = data.hub_path(),
          .hub_endpoint = settings.hub_endpoint,
          .hub_token = settings.hub_token,
          .calibration_path = data.calibration_path(),
          .socket_path = std::move(socket_path),
          .calibrate = settings.calibrate,
          .engine_parallel = settings.engine_parallel,
          .engine_context_tokens = settings.engine_context_tokens,
          .machine = ReadMachine(),
          .engine_command =
              [command = settings.engine_command](const std::string& model,
                                                  const std::string& address) {
                return command(
                    {.model_path = model, .endpoint_name = "calibration", .address = address});
              },
          .on_calibrated = std::move(on_calibrated)};
}

}  // namespace

Result<std::unique_ptr<ControlPlane>> ControlPlane::Open(io::Loop& loop, store::DataDirectory data,
                                                         ControlPlaneSettings settings) {
  auto store = store::Store::Open(data.database_path());
  if (!store) return Fail(store.error());
  auto fleet = fleet::OpenBeside(data.run_path(), data.log_path(), std::move(settings.fleet));
  if (!fleet) return Fail(fleet.error());
  settings.fleet = std::move(*fleet);
  const auto made_key = EnsureAdminKey(*store, data.admin_key_path(), loop.WallNow());
  if (!made_key) return Fail(made_key.error());

  std::unique_ptr<ControlPlane> plane(
      new ControlPlane(loop, std::move(data), std::move(*store), std::move(settings)));
  plane->made_admin_key_ = *made_key;
  if (auto loaded = plane->endpoints_.Load(loop.Now()); !loaded) return Fail(loaded.error());
  if (auto adopted = plane->AdoptReplicas(); !adopted) return Fail(adopted.error());
  plane->RemoveForeignLogs();
  plane->RemoveForeignKeys();
  if (auto resumed = plane->works_.Resume(plane->data_.models_path(), loop.WallNow()); !resumed) {
    return Fail(resumed.error());
  }
  return plane;
}

ControlPlane::ControlPlane(io::Loop& loop, store::DataDirectory data, store::Store store,
                           ControlPlaneSettings settings)
    : loop_(loop),
      data_(std::move(data)),
      store_(std::move(store)),
      settings_(std::move(settings)),
      fleet_(std::move(settings_.fleet)),
      inventory_(settings_.inventory),
      reconciler_(settings_.replica),
      catalog_(store_, data_.hub_path(), data_.secrets_path()),
      calibrations_(store_, HardwareHash(ReadMachine(), EngineIdentity(settings_))),
      jobs_([&loop](std::function<void()> work) { loop.Post(std::move(work)); }),
      works_(catalog_, calibrations_, jobs_,
             WorksSettings(data_, SocketFolderOf(*fleet_, data_), settings_,
                           [this] {
                             endpoints_.Relearn(loop_.Now());
                             Publish();  // Contracts have changed, even where no replica has.
                             news_.Set();
                           })),
      events_(store_),
      endpoints_(store_, catalog_, reconciler_, events_, EndpointSettingsOf()),
      models_(catalog_, endpoints_, works_),
      scaler_(settings_.autoscale),
      billing_(store_, settings_.prices),
      keys_(store_, [this] { settings_.on_keys_changed(); }),
      api_(PartsOf()),
      azure_(PartsOf(), catalog_),
      client_(loop),
      news_(loop),
      scope_(loop) {}

ControlPlane::~ControlPlane() = default;

// What a former server left running, where the fleet outlives it: whose place is still wanted is
// taken up, and probed before it gets a request; the others end.
Status ControlPlane::AdoptReplicas() {
  if (!fleet_->outlives_server()) return {};
  const auto found = fleet_->FindRunning();
  if (!found) return Fail(found.error());
  for (const fleet::FoundReplica& one : *found) {
    const std::size_t dash = one.place_name.rfind('-');
    const std::string pool_id = one.place_name.substr(0, dash);
    const PoolWant* pool = endpoints_.PoolOf(pool_id);
    int place = -1;
    if (dash != std::string::npos) {
      std::from_chars(one.place_name.data() + dash + 1,
                      one.place_name.data() + one.place_name.size(), place);
    }
    const bool wanted = pool != nullptr && place >= 0 && place < pool->maximum;
    const auto replica = wanted ? reconciler_.Adopt(pool_id, place, loop_.Now()) : std::nullopt;
    if (!replica) {
      Log().info("{}: nobody wants it any more; it is ended", one.place_name);
      fleet_->Dismiss(one);
      continue;
    }
    (void)inventory_.Reserve(*replica, pool->served.memory_bytes);
    living_[*replica] = {.label = fmt::format("{}/{} (replica {})", pool->label, place, *replica),
                         .pool = pool_id};
    started_places_.insert(one.place_name);
    fleet_->Adopt(*replica, one);
    Log().info("{} is taken up", LabelOf(*replica));
  }
  return {};
}

void ControlPlane::Start() {
  Publish();  // Even when there is no endpoint: requests are then told so.
  scope_.Spawn("reconcile", Reconcile(*this));
  scope_.Spawn("watch exits", WatchExits(*this));
  scope_.Spawn("keep house", KeepHouse(*this));
  scope_.Spawn("scale", Scale(*this));
}

ApiParts ControlPlane::PartsOf() {
  return {.endpoints = endpoints_,
          .models = models_,
          .scaler = &scaler_,
          .billing = &billing_,
          .keys = &keys_,
          .logs = [this](const std::string& pool) { return LogsOf(pool); }};
}

std::optional<policy::Calibration> ControlPlane::CalibrationOf(
    const store::ModelVersionRecord& version) {
  return calibrations_.Find(version.fingerprint);
}

EndpointSettings ControlPlane::EndpointSettingsOf() {
  const fleet::InventorySettings& room = settings_.inventory;
  return {.limits = settings_.update,
          .capacity = {.memory_bytes = room.memory_bytes,
                       .cores = static_cast<int>(room.cores.size()),
                       .cores_per_replica = room.cores_per_replica},
          .calibration =
              [this](const store::ModelVersionRecord& version) { return CalibrationOf(version); },
          .check_model =
              [this](const store::ModelVersionRecord& version) { return works_.CheckUse(version); },
          .cold_start_wait_max = settings_.cold_start_wait_max};
}

ApiAnswer ControlPlane::Handle(const ApiRequest& request) {
  ApiAnswer answer =
      AzureApi::Owns(request.path) ? azure_.Handle(request, Now()) : api_.Handle(request, Now());
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
    plane.StepReconciler();
    if (plane.endpoints_.Advance(plane.Now())) plane.news_.Set();
    const TimePoint wake = std::min(plane.reconciler_.NextWake(), plane.endpoints_.NextWake());
    const auto woken = co_await plane.news_.Wait(Deadline(wake));
    if (!woken && woken.error().code == Code::kCancelled) co_return;
  }
}

void ControlPlane::StepReconciler() {
  for (const Action& action : reconciler_.Step(loop_.Now())) {
    std::visit([this](const auto& one) { Do(one); }, action);
  }
}

io::Task<void> ControlPlane::Scale(ControlPlane& plane) {
  for (;;) {
    const auto slept = co_await plane.loop_.Sleep(plane.settings_.scale_interval);
    if (!slept) co_return;
    plane.ScaleOnce();
  }
}

void ControlPlane::ScaleOnce() {
  const Moment moment = Now();
  for (const Scaled& scaled :
       scaler_.Tick(endpoints_.plan(), settings_.load, reconciler_, moment)) {
    const std::string text = scaled.decision.Explain();
    Log().info("{}: {}", scaled.pool->label, text);
    NoteOf(*scaled.pool, "scaled", text);
    news_.Set();
  }
  billing_.Observe(Levels(), moment.wall);
}

// What each served entity in effect is scaled to: by the replicas that are wanted, ready or not.
std::vector<BillingLevel> ControlPlane::Levels() const {
  std::vector<BillingLevel> levels;
  for (const auto& [name, endpoint] : endpoints_.all()) {
    if (!endpoint.config) continue;
    for (const ServedEntity& entity : endpoint.config->served_entities) {
      const PoolWant* pool = endpoints_.PoolOf(PoolIdOf(endpoint.id, entity));
      if (pool == nullptr) continue;
      const int replicas = reconciler_.StatusOf(pool->id, loop_.Now()).wanted;
      BillingLevel level{.endpoint_id = endpoint.id,
                         .endpoint = name,
                         .served_entity = entity.name,
                         .model = entity.model(),
                         .unit = "tokens_per_s",
                         .level = LevelOf(entity, replicas, pool->served.calibration),
                         .replicas = replicas};
      if (entity.model_units) {
        level.unit = "model_units";
        level.level = replicas > 0 ? *entity.model_units : 0;
      }
      if (endpoint.azure && entity.throughput) {
        level.unit = "ptu";
        level.level = endpoint.azure->capacity;  // Whatever the use: it is bought.
      }
      levels.push_back(std::move(level));
    }
  }
  return levels;
}

void ControlPlane::NoteOf(const PoolWant& pool, const std::string& kind,
                          const std::string& message) {
  for (const std::string& name : pool.endpoints) {
    const Endpoint* endpoint = endpoints_.Find(name);
    if (endpoint == nullptr) continue;
    for (const std::string& entity : EntitiesOfPool(*endpoint, pool.id)) {
      events_.Add({.endpoint_id = endpoint->id,
                   .at = loop_.WallNow(),
                   .kind = kind,
                   .served_entity = entity,
                   .message = message});
    }
  }
}

std::string ControlPlane::LogsOf(const std::string& pool) const {
  std::string text;
  for (const auto& [replica, living] : living_) {
    if (living.pool != pool) continue;
    std::string tail = fleet_->TailOf(replica, kLogShownMax);
    for (std::size_t at = 0; (at = tail.find(" | ", at)) != std::string::npos;) {
      tail.replace(at, 3, "\n");
    }
    text += fmt::format("== {}\n{}\n", living.label, tail);
  }
  return text;
}

io::Task<void> ControlPlane::WatchExits(ControlPlane& plane) {
  for (;;) {
    const auto readable =
        co_await plane.loop_.WaitReadable(plane.fleet_->exit_descriptor(), Deadline::Never());
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
    plane.fleet_->KeepHouse();
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
  const PoolWant* pool = endpoints_.PoolOf(start.pool);
  if (pool == nullptr) {
    reconciler_.OnExit(start.replica, "its endpoint is gone", loop_.Now());
    news_.Set();
    return;
  }
  const auto room = pool->served.external
                        ? Result<fleet::Inventory::Assignment>(fleet::Inventory::Assignment{})
                        : inventory_.Reserve(start.replica, pool->served.memory_bytes);
  if (!room) {
    // Said once, not each second.
    if (no_room_.insert(start.pool).second) {
      Log().warn("{}/{} waits for capacity: {}", pool->label, start.place, room.error().message);
      NoteOf(*pool, "capacity", fmt::format("Waiting for capacity: {}.", room.error().message));
    }
    reconciler_.OnNoCapacity(start.replica, room.error().message, loop_.Now());
    news_.Set();
    return;
  }
  no_room_.erase(start.pool);
  const Status started = StartProcess(start, *pool, *room);
  if (started) {
    Log().info("{} starts", LabelOf(start.replica));
    NoteOf(*pool, "replica", fmt::format("{} starts.", LabelOf(start.replica)));
    return;
  }
  Log().error("{} does not start: {}", LabelOf(start.replica), started.error().message);
  living_.erase(start.replica);
  inventory_.Release(start.replica);
  reconciler_.OnExit(start.replica, started.error().message, loop_.Now());
  news_.Set();
}

Status ControlPlane::StartProcess(const StartReplica& start, const PoolWant& pool,
                                  const fleet::Inventory::Assignment& room) {
  // The name of an endpoint may pass to another; a request that is still under way to this one must
  // not meet that one's replica: hence the pool's id.
  const std::string place_name = fmt::format("{}-{}", start.pool, start.place);
  if (!started_places_.insert(place_name).second) {
    for (const std::string& endpoint : pool.endpoints) settings_.on_restart(endpoint);
  }
  living_[start.replica] = {
      .label = fmt::format("{}/{} (replica {})", pool.label, start.place, start.replica),
      .pool = start.pool};
  const std::string name = pool.label == "shared" ? pool.model : pool.endpoints.front();
  const bool local = pool.served.external.has_value();
  return fleet_->Start(
      {.id = start.replica,
       .log_name = LogNameOf(pool, start.place),
       .place_name = place_name,
       .command = settings_.engine_command({.model_path = pool.served.source,
                                            .endpoint_name = name,
                                            .address = fleet_->ListenAddress(place_name, local),
                                            .cores = static_cast<int>(room.cores.size()),
                                            .system_prompt = pool.served.system_prompt,
                                            .external = pool.served.external}),
       .model = pool.model,
       .model_version = pool.version,
       .cores = room.cores,
       .cores_wanted = static_cast<int>(room.cores.size()),
       .memory_bytes = pool.served.memory_bytes,
       .local = local});
}

void ControlPlane::Do(const ProbeReplica& probe) {
  scope_.Spawn("probe", Probe(*this, probe.replica));
}

void ControlPlane::Do(const TerminateReplica& terminate) {
  Log().info("{} is asked to end", LabelOf(terminate.replica));
  fleet_->Terminate(terminate.replica);
}

void ControlPlane::Do(const KillReplica& kill) {
  Log().warn("{} is killed", LabelOf(kill.replica));
  fleet_->Kill(kill.replica);
}

void ControlPlane::Do(const PublishRoutes&) {
  auto table = std::make_shared<const policy::RoutingTable>(
      endpoints_.Routes([this](std::uint64_t replica) { return AddressOf(replica); }));
  settings_.publish_routes(std::move(table));
}

void ControlPlane::CollectExits() {
  for (const fleet::ReplicaExit& exit : fleet_->CollectExits()) {
    Log().info("{} {}", LabelOf(exit.id), exit.reason);
    if (const PoolWant* pool = endpoints_.PoolOf(reconciler_.PlaceOf(exit.id).first)) {
      NoteOf(*pool, "replica", fmt::format("{} {}.", LabelOf(exit.id), exit.reason));
    }
    living_.erase(exit.id);
    inventory_.Release(exit.id);
    reconciler_.OnExit(exit.id, exit.reason, loop_.Now());
    news_.Set();
  }
}

io::Task<void> ControlPlane::Shutdown(Deadline deadline) {
  scope_.Stop();
  co_await scope_.Join();
  billing_.Flush(loop_.WallNow());
  if (fleet_->outlives_server()) co_return;
  for (const std::uint64_t id : fleet_->RunningIds()) fleet_->Terminate(id);
  bool killed = false;
  while (fleet_->running() > 0) {
    const auto readable = co_await loop_.WaitReadable(fleet_->exit_descriptor(),
                                                      killed ? Deadline::Never() : deadline);
    if (!readable) {
      // The deadline, or whoever shuts down is itself told to end: what is left, ends now.
      for (const std::uint64_t id : fleet_->RunningIds()) fleet_->Kill(id);
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
    const std::string endpoint = LabelOfLog(file);
    if (endpoint == "shared" || std::ranges::binary_search(names, endpoint)) continue;
    std::filesystem::remove(entry.path(), failure);
  }
  if (failure) Log().warn("cannot tidy {}: {}", data_.log_path(), failure.message());
}

// Keys that a killed server had written for something that it did not come to store.
void ControlPlane::RemoveForeignKeys() {
  auto used = catalog_.KeyFiles();
  if (!used) {
    Log().warn("cannot tidy {}: {}", data_.secrets_path(), used.error().message);
    return;
  }
  used->merge(endpoints_.KeyFiles());
  catalog_.secrets().Sweep(*used);
}

std::string ControlPlane::AddressOf(std::uint64_t replica) const {
  return fleet_->AddressOf(replica);
}

std::string ControlPlane::LabelOf(std::uint64_t replica) const {
  const auto found = living_.find(replica);
  return found == living_.end() ? fmt::format("replica {}", replica) : found->second.label;
}

}  // namespace penstock::control
