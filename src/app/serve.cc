#include "app/serve.h"

#include <sys/resource.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <utility>

#include <fmt/format.h>

#include "app/signals.h"
#include "app/static_endpoint.h"
#include "app/static_policy.h"
#include "app/version.h"
#include "base/file.h"
#include "base/log.h"
#include "gateway/pool_metrics.h"
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
                     .role = request.admin ? policy::Role::kAdmin : policy::Role::kUser}};
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
    if (!text) return Fail(text.error());
    if (Status applied = ApplyStaticPolicies(*text, static_routes_); !applied) {
      applied.error().message = fmt::format("--static-policies {}: {}", options_.static_policies,
                                            applied.error().message);
      return applied;
    }
  }
  if (Status opened = OpenControl(); !opened) return opened;
  if (Status listening = Listen(); !listening) return listening;
  const auto keys = control_->Keys();
  if (!keys) return Fail(keys.error());
  for (const auto& thread : threads_) {
    thread->SetKeys(std::make_shared<policy::KeyTable>(*keys));
    thread->Start();
  }
  AddMetrics();
  return Announce();
}

Status Serve::OpenControl() {
  auto data = store::DataDirectory::Open(options_.data_dir);
  if (!data) return Fail(data.error());
  auto control = control::ControlPlane::Open(
      loop_, std::move(*data),
      {.engine_command =
           [this](const control::EngineLaunch& launch) { return EngineCommand(launch); },
       .publish_routes =
           [this](const std::shared_ptr<const policy::RoutingTable>& routes) { Publish(*routes); },
       .load = [this](const std::string& pool) { return pools_.LoadOf(pool); },
       .on_restart =
           [this](const std::string& endpoint) {
             metrics_.ForEndpoint(endpoint).ReplicaRestarted();
           }});
  if (!control) return Fail(control.error());
  control_ = std::move(*control);
  return {};
}

std::vector<std::string> Serve::EngineCommand(const control::EngineLaunch& launch) const {
  return {std::filesystem::read_symlink("/proc/self/exe").string(),
          "engine",
          "--model=" + launch.model_path,
          "--model-name=" + launch.endpoint_name,
          "--listen=" + launch.address,
          fmt::format("--parallel={}", options_.engine_parallel),
          fmt::format("--context-tokens={}", options_.engine_context_tokens),
          fmt::format("--threads={}", options_.engine_threads)};
}

Status Serve::Listen() {
  auto address = io::Address::Parse(options_.listen);
  if (!address) return Fail(address.error());
  if (!address->IsLoopback() && !options_.listen_beyond_loopback) {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("--listen {}: this is not loopback; keys and texts would travel in clear. "
                    "Add --listen-beyond-loopback if that is meant",
                    options_.listen),
        "--listen");
  }
  const bool several = options_.io_threads > 1 && address->kind == io::Address::Kind::kTcp;
  if (several) {
    // Sockets that share a port would join another server's unnoticed: so ask for it alone first.
    const auto alone = loop_.Listen(*address, {});
    if (!alone) return Fail(alone.error());
  }
  for (int i = 0; i < options_.io_threads; ++i) {
    auto thread = std::make_unique<IoThread>(
        metrics_, [this](io::Loop& loop) { return ControlPortOf(loop); }, ready_, options_.limits,
        options_.gateway_limits);
    auto bound = thread->Listen(*address, {.reuse_port = several});
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
  co_return gateway::ControlAnswer{.status = answer->status, .body = answer->body};
}

gateway::ControlPort Serve::ControlPortOf(io::Loop& loop) {
  return [this, &loop](gateway::ControlRequest request) {
    return AskControl(*this, loop, std::move(request));
  };
}

// Says where the server is: for people in the log, for programs in files, written whole.
Status Serve::Announce() const {
  const bool unix_socket = address_.kind == io::Address::Kind::kUnix;
  const std::string url = unix_socket ? address_.ToString() : "http://" + address_.ToString();
  if (!options_.port_file.empty()) {
    const std::string port = fmt::format("{}\n", address_.port);
    if (Status written = WriteFileDurably(options_.port_file, port, 0644); !written) return written;
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

void Serve::Publish(const policy::RoutingTable& routes) {
  auto table = std::make_shared<policy::RoutingTable>(routes);
  for (const policy::EndpointRoute& route : static_routes_) table->Add(route);
  for (const auto& [name, route] : *table) {
    std::size_t ready = 0;
    std::size_t all = 0;
    for (const policy::ServedRoute& served : route->served) {
      all += served.replicas.size();
      ready += static_cast<std::size_t>(std::ranges::count(
          served.replicas, policy::ReplicaState::kReady, &policy::ReplicaRoute::state));
    }
    metrics_.ForEndpoint(name).SetReplicas(ready, all - ready);
  }
  const auto live = pools_.Apply(*table, loop_.Now());
  for (const auto& thread : threads_) thread->SetRoutes(live);
}

io::Task<void> Serve::Main(Serve& serve) {
  serve.control_->Start();
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
  if (cut != 0) Log().warn("{} connections were cut at the drain's end", cut);
  co_await control_->Shutdown(Deadline::After(loop_.Now(), kReplicaStopWaitMax));
  Log().info("stopped");
}

void Serve::AddMetrics() {
  metrics_.AddCollector([this](std::vector<meter::Metrics::Reading>& readings) {
    gateway::CollectPools(pools_, loop_.Now(), readings);
  });
  const auto add = [this](const char* name, const char* help, auto read) {
    metrics_.AddSource({name, help, {}, [this, read] {
                          double sum = 0;
                          for (const auto& thread : threads_) {
                            sum += static_cast<double>(read(thread->counters()));
                          }
                          return sum;
                        }});
  };
  using Counters = const http::ServerCounters&;
  add("penstock_http_connections_total", "Connections accepted.",
      [](Counters c) { return c.connections_total.value(); });
  add("penstock_http_connections_open", "Connections open now.",
      [](Counters c) { return c.connections_open.value(); });
  add("penstock_http_received_bytes_total", "Bytes received from clients.",
      [](Counters c) { return c.received_bytes.value(); });
  add("penstock_http_sent_bytes_total", "Bytes sent to clients.",
      [](Counters c) { return c.sent_bytes.value(); });
  add("penstock_http_handler_failures_total", "Requests whose handler failed: bugs.",
      [](Counters c) { return c.handler_failures.value(); });
  for (std::size_t i = 0; i < http::kRefusals; ++i) {
    metrics_.AddSource({"penstock_http_refusals_total",
                        "Peers refused or cut by the server itself, by reason.",
                        {{"reason", std::string(http::ToString(static_cast<http::Refusal>(i)))}},
                        [this, i] {
                          std::uint64_t sum = 0;
                          for (const auto& thread : threads_) {
                            sum += thread->counters().refusals[i].value();
                          }
                          return static_cast<double>(sum);
                        }});
  }
}

}  // namespace penstock::app
