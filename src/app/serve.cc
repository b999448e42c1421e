#include "app/serve.h"

#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "app/signals.h"
#include "app/static_endpoint.h"
#include "app/static_policy.h"
#include "app/version.h"
#include "base/file.h"
#include "base/log.h"
#include "gateway/limits_replay.h"
#include "hub/pull.h"
#include "io/call.h"
#include "io/task_scope.h"
#include "store/data_directory.h"

namespace penstock::app {
namespace {

// What replicas get to end after SIGTERM, once no request is left.
constexpr Duration kReplicaStopWaitMax = std::chrono::seconds(5);

constexpr std::size_t kPoliciesBytesMax = std::size_t{1} << 20;

control::ApiRequest ToApi(gateway::ControlRequest request) {
  return {.method = std::move(request.method),
          .path = std::move(request.path),
          .body = std::move(request.body),
          .caller = {.name = std::move(request.caller),
                     .role = request.admin ? policy::Role::kAdmin : policy::Role::kUser,
                     .groups = std::move(request.groups)},
          .query = std::move(request.query),
          .host = std::move(request.host),
          .forwarded_proto = std::move(request.forwarded_proto)};
}

// A stream takes two descriptors, so the shell's usual 1,024 would hold five hundred: takes what
// the system allows. More clients than that wait in the backlog.
void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

Serve::Serve(ServeOptions options) : options_(std::move(options)), metrics_(kVersion) {}

Serve::~Serve() {
  report_loop_.Stop();
  for (const auto& thread : threads_) thread->Join();
}

Status Serve::Run() {
  BlockSignals();
  RaiseDescriptorLimit();
  if (Status opened = Open(); !opened) return opened;
  io::RunBlocking(loop_, Main(*this));
  return ended_;
}

Status Serve::Open() {
  auto routes = ParseStaticEndpoints(options_.static_endpoints, loop_.WallNow());
  if (!routes) return Fail(routes.error());
  static_routes_ = std::move(*routes);
  if (!options_.static_policies.empty()) {
    const auto text = ReadSmallFile(options_.static_policies, kPoliciesBytesMax);
    if (!text)
      return Fail(ErrorOfFile(text.error(), "--static-policies", options_.static_policies));
    if (Status applied = ApplyStaticPolicies(*text, static_routes_); !applied) {
      return Fail(ErrorOfFile(applied.error(), "--static-policies", options_.static_policies));
    }
  }
  static_health_ = std::make_unique<StaticHealth>(loop_, static_routes_, options_.static_health,
                                                  [this] { NoteStaticHealth(); });
  for (std::size_t i = 0; i < static_health_->servers().size(); ++i) {
    static_well_.push_back(std::make_unique<std::atomic<bool>>(true));
  }
  if (Status opened = OpenControl(); !opened) return opened;
  if (Status metering = OpenMeter(); !metering) return metering;
  if (Status listening = Listen(); !listening) return listening;
  if (Status announced = Announce(); !announced) {
    for (const auto& thread : threads_) {  // Their listeners accept already, and end as in a drain.
      thread->Start();
      thread->BeginDrain(Deadline::After(loop_.Now(), Duration::zero()), [](std::size_t) {});
    }
    return announced;
  }
  const auto keys = control_->Keys();
  if (!keys) return Fail(keys.error());
  control_->SetUrl(Url());
  for (const auto& thread : threads_) thread->SetKeys(std::make_shared<policy::KeyTable>(*keys));
  control_->Publish();
  CountLastMinute(*keys);
  for (const auto& thread : threads_) thread->Start();
  report_thread_ = std::jthread([this] {
    pthread_setname_np(pthread_self(), "penstock-report");
    report_loop_.Run();
  });
  meter_->Start();
  meter_->AddTo(metrics_);
  AddPayloadMetrics();
  AddStaticMetrics();
  AddMetrics();
  return {};
}

Status Serve::OpenControl() {
  auto data = store::DataDirectory::Open(options_.data_dir);
  if (!data) return Fail(data.error());
  auto prices = ReadPrices(options_);
  if (!prices) return Fail(prices.error());
  auto fleet = OpenFleet(options_.fleet, data->path());
  if (!fleet) return Fail(fleet.error());
  auto control = control::ControlPlane::Open(
      loop_, std::move(*data),
      {.fleet = std::move(*fleet),
       .engine_command =
           [this](const control::EngineLaunch& launch) { return EngineCommand(options_, launch); },
       .publish_routes =
           [this](std::shared_ptr<const policy::RoutingTable> routes) {
             Publish(std::move(routes));
           },
       .load = [this](const std::string& pool) { return pools_.LoadOf(pool); },
       .on_restart =
           [this](const std::string& endpoint) {
             metrics_.ForEndpoint(endpoint).ReplicaRestarted();
           },
       .on_keys_changed = [this] { PublishKeys(); },
       .update = {.update_max = std::chrono::seconds(options_.update_wait_max_s)},
       .cold_start_wait_max = std::chrono::seconds(options_.cold_start_wait_max_s),
       .autoscale = AutoscaleOf(options_),
       .inventory = InventoryOf(options_),
       .prices = std::move(*prices),
       .calibrate = CalibratePolicyOf(options_),
       .engine_parallel = options_.engine_parallel,
       .engine_context_tokens = options_.engine_context_tokens,
       .engine_identity = fmt::format("penstock {}", kVersion),
       .hub_endpoint = options_.hub_endpoint,
       .hub_token = hub::TokenOfUser()});
  if (!control) return Fail(control.error());
  control_ = std::move(*control);
  return {};
}

Status Serve::OpenMeter() {
  auto meter = meter::MeterService::Open(control_->data().path(),
                                         {.ledger = options_.ledger,
                                          .wall_now = [this] { return loop_.WallNow(); },
                                          .sample = [this] { return metrics_.States(); }});
  if (!meter) return Fail(meter.error());
  meter_ = std::move(*meter);
  payload_log_ = std::make_unique<meter::PayloadLog>(control_->data().path() + "/payloads");
  reports_ = std::make_unique<Reports>(*meter_, metrics_, [this] { return loop_.WallNow(); });
  return {};
}

Status Serve::Listen() {
  auto address = io::Address::Parse(options_.listen);
  if (!address) return Fail(address.error());
  if (!address->IsLoopback() && !options_.listen_beyond_loopback &&
      options_.tls_certificate.empty()) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("--listen {}: this is not loopback; keys and texts would travel in clear. "
                    "Add --listen-beyond-loopback if that is meant",
                    options_.listen),
        "--listen");
  }
  auto tls = OpenTls(options_);
  if (!tls) return Fail(tls.error());
  const bool several = options_.io_threads > 1 && address->kind == io::Address::Kind::kTcp;
  if (several) {
    // Sockets that share a port would join another server's unnoticed: so ask for it alone first.
    const auto alone = loop_.Listen(*address, {});
    if (!alone) return Fail(alone.error());
  }
  for (int i = 0; i < options_.io_threads; ++i) {
    auto thread = std::make_unique<IoThread>(
        metrics_, meter_->MakeWriter(), [this](io::Loop& loop) { return ControlPortOf(loop); },
        ready_, options_.limits, options_.gateway_limits);
    thread->SetPayloadSink(payload_log_.get());
    thread->loop().SetBusyWaitMax(std::chrono::microseconds(options_.busy_wait_max_us));
    thread->SetReportPort(ReportPortOf(thread->loop()));
    auto bound = thread->Listen(*address, {.reuse_port = several, .tls = *tls});
    if (!bound) return Fail(bound.error());
    address = std::move(*bound);
    threads_.push_back(std::move(thread));
    if (!several) break;  // One Unix socket has one listener.
  }
  address_ = *address;
  return {};
}

io::Task<Result<gateway::ControlAnswer>> Serve::AskControl(Serve& serve, io::Loop& home,
                                                           gateway::ControlRequest request) {
  const auto answer = co_await io::CallOn(
      home, serve.loop_,
      [&serve, api = ToApi(std::move(request))] { return serve.control_->Handle(api); });
  if (!answer) co_return Fail(answer.error());
  co_return gateway::ControlAnswer{
      .status = answer->status, .body = answer->body, .fields = answer->fields};
}

gateway::ControlPort Serve::ControlPortOf(io::Loop& loop) {
  return [this, &loop](gateway::ControlRequest request) {
    return AskControl(*this, loop, std::move(request));
  };
}

std::string Serve::Url() const {
  if (address_.kind == io::Address::Kind::kUnix) return address_.ToString();
  return (options_.tls_certificate.empty() ? "http://" : "https://") + address_.ToString();
}

io::Task<Result<gateway::ControlAnswer>> Serve::AskReports(Serve& serve, io::Loop& home,
                                                           gateway::ControlRequest request) {
  co_return co_await io::CallOn(home, serve.report_loop_, [&serve, asked = std::move(request)] {
    return serve.reports_->Handle(asked);
  });
}

gateway::ControlPort Serve::ReportPortOf(io::Loop& loop) {
  return [this, &loop](gateway::ControlRequest request) {
    return AskReports(*this, loop, std::move(request));
  };
}

// Says where the server is: for people in the log, for programs in files, written whole.
Status Serve::Announce() const {
  const std::string url = Url();
  if (!options_.port_file.empty()) {
    const std::string port = fmt::format("{}\n", address_.port);
    const Status written = WriteFileDurably(options_.port_file, port, 0644);
    if (!written) return Fail(ErrorOfFile(written.error(), "--port-file", options_.port_file));
  }
  // Last, so that whoever sees it finds everything else.
  const std::string& run = control_->data().run_path();
  if (Status written = WriteFileDurably(run + "/url", url + "\n", 0600); !written) return written;
  Log().info("penstock {} listens on {}, data in {}", kVersion, url, control_->data().path());
  if (control_->made_admin_key()) {
    Log().info("first start: the admin key is in {}", control_->data().admin_key_path());
  }
  return {};
}

void Serve::PublishKeys() {
  const auto keys = control_->Keys();
  if (!keys) {
    Log().error("keys: {}", keys.error().message);
    return;
  }
  const auto table = std::make_shared<policy::KeyTable>(*keys);
  for (const auto& thread : threads_) thread->SetKeys(table);
}

void Serve::CountLastMinute(const policy::KeyTable& keys) {
  const auto counted = gateway::ReplayLimits(*pools_.table(), keys, meter_->ledger().folder(),
                                             loop_.WallNow(), loop_.Now());
  if (!counted) {
    Log().warn("rate limits begin anew: {}", counted.error().message);
  } else if (*counted > 0) {
    Log().info("rate limits: {} requests of the last minute count", *counted);
  }
}

void Serve::Publish(std::shared_ptr<const policy::RoutingTable> routes) {
  published_ = std::move(routes);
  Republish();
}

void Serve::Republish() {
  auto table = std::make_shared<policy::RoutingTable>(*published_);
  for (const policy::EndpointRoute& route : static_routes_) table->Add(static_health_->Well(route));
  for (const std::string& name : options_.log_payloads) {
    const auto found = table->Find(name);
    if (!found) continue;
    policy::EndpointRoute route = *found;
    route.policy.log_payloads = true;
    table->Add(std::move(route));
  }
  std::set<std::string> names;
  for (const auto& [name, route] : *table) {
    names.insert(name);
    std::size_t ready = 0;
    std::size_t all = 0;
    double provisioned = 0;
    for (const policy::ServedRoute& served : route->served) {
      all += served.replicas.size();
      provisioned += served.lane.guarantee_per_s;
      ready += static_cast<std::size_t>(std::ranges::count(
          served.replicas, policy::ReplicaState::kReady, &policy::ReplicaRoute::state));
    }
    meter::EndpointMetrics& endpoint = metrics_.ForEndpoint(name);
    endpoint.SetReplicas(ready, all - ready);
    endpoint.SetProvisioned(provisioned);
  }
  metrics_.ShowOnly(names);
  const auto live = pools_.Apply(*table, loop_.Now());
  for (const auto& thread : threads_) thread->SetRoutes(live);
}

io::Task<void> Serve::Main(Serve& serve) {
  serve.control_->Start();
  serve.static_health_->Start();
  serve.ready_ = true;
  const Result<int> signal = co_await WaitForSignal(serve.loop_);
  if (!signal) serve.ended_ = Fail(signal.error());
  co_await serve.Stop();
}

io::Task<void> Serve::Stop() {
  Log().info("draining: running requests get {} s; a second signal ends at once",
             options_.drain_wait_max_s);
  ready_ = false;
  const Deadline deadline =
      Deadline::After(loop_.Now(), std::chrono::seconds(options_.drain_wait_max_s));
  io::Event drained(loop_);
  std::size_t left = threads_.size();
  std::size_t cut = 0;
  for (const auto& thread : threads_) {
    thread->BeginDrain(deadline, [&](std::size_t count) {
      loop_.Post([&, count] {
        cut += count;
        if (--left == 0) drained.Set();
      });
    });
  }
  // Nobody cancels the main task, so this ends only when all have drained.
  (void)co_await drained.Wait(Deadline::Never());
  for (const auto& thread : threads_) thread->Join();
  report_loop_.Stop();
  report_thread_.join();
  meter_->Stop();  // The threads have closed their writers.
  if (cut != 0) Log().warn("{} connections were cut at the drain's end", cut);
  co_await static_health_->Stop();
  co_await control_->Shutdown(Deadline::After(loop_.Now(), kReplicaStopWaitMax));
  (void)::unlink((control_->data().run_path() + "/url").c_str());
  Log().info("stopped");
}

void Serve::NoteStaticHealth() {
  for (std::size_t i = 0; i < static_well_.size(); ++i) {
    *static_well_[i] = static_health_->servers()[i]->well;
  }
  Republish();
}

}  // namespace penstock::app
