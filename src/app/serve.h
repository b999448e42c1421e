// Serve: the server process: a control plane on the main thread, requests on the I/O threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/io_thread.h"
#include "app/open_fleet.h"
#include "app/reports.h"
#include "app/static_health.h"
#include "base/clock.h"
#include "base/result.h"
#include "control/control_plane.h"
#include "gateway/live_table.h"
#include "io/epoll/epoll_loop.h"
#include "meter/meter_service.h"
#include "meter/metrics.h"
#include "meter/payload_log.h"

namespace penstock::app {

struct ServeOptions {
  std::string data_dir = "data";
  std::string listen = "127.0.0.1:8484";
  bool listen_beyond_loopback = false;
  // PEM files; both or neither. With them the server speaks TLS only.
  std::string tls_certificate;
  std::string tls_key;
  std::string port_file;
  int io_threads = 1;
  int busy_wait_max_us = 0;  // Of each I/O thread.
  int drain_wait_max_s = 30;
  std::vector<std::string> static_endpoints;
  std::string static_policies;  // Path of a file; "": none.
  StaticHealthSettings static_health;
  // How replicas are started.
  int engine_parallel = 8;
  int engine_context_tokens = 0;
  int engine_threads = 0;
  // Of models.
  std::string calibrate = "first-use";
  std::string hub_endpoint;
  // What replicas may take of this machine.
  FleetOptions fleet;
  int replica_cores = 0;                      // Of each, pinned; 0: all share all.
  std::int64_t replica_memory_bytes_max = 0;  // Of all; 0: nine tenths of the machine's.
  int cold_start_wait_max_s = 120;            // For the first replica of what was scaled to zero.
  int scale_down_wait_s = 300;                // Of less load, before replicas are taken away.
  std::string external_ca_file;               // PEM; "": external models as the system trusts.
  int update_wait_max_s = 600;                // A new configuration not ready by then has failed.
  std::string price_table;                    // File; "": no prices.
  meter::LedgerSettings ledger;
  std::vector<std::string> log_payloads;  // Endpoints.
  http::ServerLimits limits;
  gateway::GatewayLimits gateway_limits;
};

// Owns everything that `penstock serve` runs.
class Serve {
 public:
  explicit Serve(ServeOptions options);
  ~Serve();
  Serve(const Serve&) = delete;
  Serve& operator=(const Serve&) = delete;

  // Checks everything that can be checked, listens, serves until SIGTERM or SIGINT, drains. Blocks.
  // Errors: those of a start that failed, each naming its flag, path or address.
  Status Run();

 private:
  Status Open();
  Status OpenControl();
  void PublishKeys();
  Status OpenMeter();
  Status Listen();
  Status Announce() const;
  std::string Url() const;
  void Publish(std::shared_ptr<const policy::RoutingTable> routes);
  void Republish();
  void NoteStaticHealth();
  void AddStaticMetrics();
  void AddMetrics();
  void AddPayloadMetrics();
  std::vector<std::string> EngineCommand(const control::EngineLaunch& launch) const;
  gateway::ControlPort ControlPortOf(io::Loop& loop);
  gateway::ControlPort ReportPortOf(io::Loop& loop);
  static io::Task<Result<gateway::ControlAnswer>> AskReports(Serve& serve, io::Loop& home,
                                                             gateway::ControlRequest request);
  static io::Task<Result<gateway::ControlAnswer>> AskControl(Serve& serve, io::Loop& home,
                                                             gateway::ControlRequest request);
  static io::Task<void> Main(Serve& serve);
  io::Task<void> Stop();

  ServeOptions options_;
  io::EpollLoop loop_;
  meter::Metrics metrics_;
  gateway::PoolSet pools_;
  std::atomic<bool> ready_ = false;
  std::vector<policy::EndpointRoute> static_routes_;
  std::unique_ptr<StaticHealth> static_health_;
  std::vector<std::unique_ptr<std::atomic<bool>>> static_well_;  // For metrics, as its servers().
  std::shared_ptr<const policy::RoutingTable> published_;        // Of the control plane.
  std::unique_ptr<control::ControlPlane> control_;
  std::unique_ptr<meter::MeterService> meter_;
  io::EpollLoop report_loop_;  // Reads files, which may take its time.
  std::unique_ptr<Reports> reports_;
  std::unique_ptr<meter::PayloadLog> payload_log_;  // Where an endpoint opted in by a flag.
  std::jthread report_thread_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  io::Address address_;
  Status ended_;
};

}  // namespace penstock::app
