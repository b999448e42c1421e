// ServeOptions: what `penstock serve` was asked for, and what its parts are given for it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "app/open_fleet.h"
#include "app/static_health.h"
#include "base/result.h"
#include "control/control_plane.h"
#include "gateway/gateway.h"
#include "http/limits.h"
#include "io/tls.h"
#include "meter/meter_service.h"
#include "policy/autoscale.h"

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

control::CalibratePolicy CalibratePolicyOf(const ServeOptions& options);
// A tenth of the machine stays for the server, the system and the files' cache.
fleet::InventorySettings InventoryOf(const ServeOptions& options);
policy::AutoscaleSettings AutoscaleOf(const ServeOptions& options);
// The program and its arguments that serve `launch`: our engine, or a relay to an external model.
std::vector<std::string> EngineCommand(const ServeOptions& options,
                                       const control::EngineLaunch& launch);

// Null: plain. Errors name the flag.
Result<std::shared_ptr<const io::TlsContext>> OpenTls(const ServeOptions& options);
// No file: no prices. Errors name flag and path.
Result<control::PriceTable> ReadPrices(const ServeOptions& options);
// `error`, as one of the file at `path` that `flag` names.
Error ErrorOfFile(const Error& error, const char* flag, const std::string& path);

}  // namespace penstock::app
