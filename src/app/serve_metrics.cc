// The counts that only the server as a whole knows, for /metrics.
#include <cstddef>
#include <cstdint>
#include <string>

#include "app/serve.h"
#include "gateway/pool_metrics.h"

namespace penstock::app {

void Serve::AddStaticMetrics() {
  for (std::size_t i = 0; i < static_well_.size(); ++i) {
    const StaticHealth::Server& server = *static_health_->servers()[i];
    metrics_.AddSource({"penstock_static_server_up",
                        "1 while a static endpoint's server is well and gets requests, else 0.",
                        {{"endpoint", server.endpoint}, {"address", server.address}},
                        [well = static_well_[i].get()] { return well->load() ? 1.0 : 0.0; }});
  }
}

void Serve::AddPayloadMetrics() {
  const meter::PayloadLogCounters& counters = payload_log_->counters();
  metrics_.AddSource({"penstock_payloads_logged_total",
                      "Requests and answers written to the inference table.",
                      {},
                      [&counters] { return static_cast<double>(counters.written.load()); }});
  metrics_.AddSource({"penstock_payloads_dropped_total",
                      "Requests and answers not logged: the queue or the disk was full.",
                      {},
                      [&counters] { return static_cast<double>(counters.dropped.load()); }});
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
