// ProcessFleet: replicas as processes on this machine.
//
// One thread, the one that lives longest: its end kills the replicas. Nothing here blocks for
// longer than starting a program takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "fleet/fleet.h"
#include "fleet/process.h"
#include "fleet/replica_log.h"
#include "fleet/socket_folder.h"

namespace penstock::fleet {

struct FleetSettings {
  std::string log_path;                        // An existing folder.
  std::size_t log_size_max = 8 * 1024 * 1024;  // Per place; twice this with the moved half.
  std::size_t log_tail_size_max = 600;         // What a message quotes.
};

class ProcessFleet : public Fleet {
 public:
  // kExhausted: no descriptor left.
  static Result<std::unique_ptr<ProcessFleet>> Open(FleetSettings settings, SocketFolder sockets);

  // "unix:" and the place's socket.
  std::string ListenAddress(const std::string& place_name, bool) const override {
    return "unix:" + sockets_.SocketPath(place_name);
  }
  std::string AddressOf(std::uint64_t id) const override;

  // The last lines that a running replica of this place printed; "" if none runs.
  std::string TailOf(std::uint64_t id, std::size_t size_max) const override;

  // Errors as Process::Start and ReplicaLog::Open.
  Status Start(const ReplicaLaunch& launch) override;
  void Terminate(std::uint64_t id) override;
  void Kill(std::uint64_t id) override;

  // The sockets of those that ended are removed.
  std::vector<ReplicaExit> CollectExits() override;
  int exit_descriptor() const override { return watch_.get(); }

  // Keeps the log files within their limit; call now and then.
  void KeepHouse() override;

  std::size_t running() const override { return replicas_.size(); }
  std::vector<std::uint64_t> RunningIds() const override;
  // 0: not running.
  pid_t ProcessIdOf(std::uint64_t id) const;

 private:
  struct Replica {
    Process process;
    ReplicaLog log;
    std::string socket_path;
  };
  ProcessFleet(FleetSettings settings, SocketFolder sockets, Descriptor watch)
      : settings_(std::move(settings)), sockets_(std::move(sockets)), watch_(std::move(watch)) {}

  FleetSettings settings_;
  SocketFolder sockets_;
  Descriptor watch_;  // An epoll of the processes' exit descriptors.
  std::unordered_map<std::uint64_t, Replica> replicas_;
};

}  // namespace penstock::fleet
