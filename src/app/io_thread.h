// IoThread: one thread that accepts, answers and relays: a loop, a server and a gateway on it.
//
// Made, listened and started on the main thread; what is said later is posted to its loop.
#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <thread>

#include "base/clock.h"
#include "base/result.h"
#include "gateway/gateway.h"
#include "http/server.h"
#include "io/epoll/epoll_loop.h"
#include "io/task_scope.h"
#include "meter/ledger.h"

namespace penstock::app {

class IoThread {
 public:
  // How requests of one loop reach the control plane.
  using MakeControlPort = std::function<gateway::ControlPort(io::Loop&)>;

  // `metrics` and `ready` outlive the thread.
  IoThread(meter::Metrics& metrics, std::unique_ptr<meter::LedgerWriter> ledger,
           const MakeControlPort& control, const std::atomic<bool>& ready,
           const http::ServerLimits& limits, const gateway::GatewayLimits& gateway_limits);
  ~IoThread();  // REQUIRES: Join() was called, if Start() was.

  // Before Start(). Returns the address with its real port.
  Result<io::Address> Listen(const io::Address& address, const io::ListenOptions& options);

  // Before Start(). `sink` outlives the thread's run.
  void SetPayloadSink(meter::PayloadSink* sink) { gateway_.SetPayloadSink(sink); }
  // Before Start().
  void SetReportPort(gateway::ControlPort reports) { gateway_.SetReportPort(std::move(reports)); }

  void Start();

  void SetRoutes(std::shared_ptr<const gateway::LiveTable> routes);
  void SetKeys(std::shared_ptr<const policy::KeyTable> keys);

  // Any thread: stops accepting, lets what runs finish until `deadline`, calls `done` on the I/O
  // thread with the number of connections that had to be cut, and ends the thread.
  void BeginDrain(Deadline deadline, std::function<void(std::size_t)> done);
  // Waits for the thread's end, and closes its part of the ledger.
  void Join();

  io::EpollLoop& loop() { return loop_; }
  const http::ServerCounters& counters() const { return server_.counters(); }

 private:
  static io::Task<void> RunDrain(IoThread& thread, Deadline deadline,
                                 std::function<void(std::size_t)> done);

  io::EpollLoop loop_;
  std::unique_ptr<meter::LedgerWriter> ledger_;
  gateway::Gateway gateway_;
  http::Server server_;
  io::TaskScope scope_;
  std::jthread thread_;
};

}  // namespace penstock::app
