// ProcessFleet: replicas as processes on this machine.
//
// One thread, the one that lives longest: its end kills the replicas. Nothing here blocks for
// longer than starting a program takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/result.h"
#include "fleet/process.h"
#include "fleet/replica_log.h"
#include "fleet/socket_folder.h"

namespace penstock::fleet {

struct FleetSettings {
  std::string log_path;                        // An existing folder.
  std::size_t log_size_max = 8 * 1024 * 1024;  // Per place; twice this with the moved half.
  std::size_t log_tail_size_max = 600;         // What a message quotes.
};

// What to run. `id` was never used before in this fleet.
struct ReplicaLaunch {
  std::uint64_t id = 0;
  // Of its log file and its socket, without suffix. The successor of a replica has the same ones,
  // so that their number stays bounded: clients keep something for every address that they ever
  // met.
  std::string log_name;
  std::string socket_name;           // See SocketFolder.
  std::vector<std::string> command;  // First the program's path.
};

struct ReplicaExit {
  std::uint64_t id = 0;
  std::string reason;  // For people: how it ended, and if badly, what it printed last.
};

class ProcessFleet {
 public:
  // kExhausted: no descriptor left.
  static Result<ProcessFleet> Open(FleetSettings settings, SocketFolder sockets);

  // The socket that a replica launched with this `socket_name` is to listen on.
  std::string SocketPath(std::string_view socket_name) const {
    return sockets_.SocketPath(socket_name);
  }

  // Errors as Process::Start and ReplicaLog::Open.
  Status Start(const ReplicaLaunch& launch);
  // Ask to end, and make end. Nothing happens for an id that does not run.
  void Terminate(std::uint64_t id);
  void Kill(std::uint64_t id);

  // Who ended since the last call, each once. Its socket is removed.
  std::vector<ReplicaExit> CollectExits();
  // Readable while CollectExits() has something to tell.
  int exit_descriptor() const { return watch_.get(); }

  // Keeps the log files within their limit; call now and then.
  void RotateLogs();

  std::size_t running() const { return replicas_.size(); }
  std::vector<std::uint64_t> RunningIds() const;
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
