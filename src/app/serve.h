// Serve: the server process: a control plane on the main thread, requests on the I/O threads.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "app/io_thread.h"
#include "app/reports.h"
#include "app/serve_options.h"
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
  // Before a restart was a minute that rate limits remember.
  void CountLastMinute(const policy::KeyTable& keys);
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
