// Process: a child process that cannot outlive us, watched through a descriptor.
//
// The child gets nothing of ours but its standard streams: other descriptors close, signals are at
// their defaults, its process group is its own (Ctrl-C at a terminal reaches only us). The kernel
// kills it when the thread that called Start() ends, however that happens; so start children on a
// thread that lives as long as they shall. All calls on that thread.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/result.h"

namespace penstock::fleet {

struct ProcessOptions {
  std::vector<std::string> command;  // First the program's path (PATH is not searched).
  int output = -1;              // Borrowed during Start(): its stdout and stderr. Must be open.
  std::vector<int> cores = {};  // Which it may run on; empty: all that we may.
};

struct ProcessExit {
  bool signalled = false;  // Killed by signal `number`; else exited with status `number`.
  int number = 0;
  // "exited with status 2", "was killed by signal 11 (Segmentation fault)"
  std::string ToString() const;
};

class Process {
 public:
  // Returns once the program runs. Errors, naming the program: kInvalidArgument (no such file),
  // kForbidden (not executable), kExhausted (no processes, memory or descriptors left).
  static Result<Process> Start(const ProcessOptions& options);

  Process(Process&& other) noexcept;
  Process& operator=(Process&&) = delete;
  ~Process();  // Kills and reaps what still runs.

  pid_t pid() const { return pid_; }
  // Becomes readable when the process has ended. Valid while this object lives.
  int exit_descriptor() const { return pidfd_.get(); }

  // How it ended; nullopt while it runs. Never blocks. Repeats its answer.
  std::optional<ProcessExit> TryWait();

  void Terminate();  // SIGTERM. Nothing happens when it has ended.
  void Kill();       // SIGKILL.

 private:
  Process(pid_t pid, Descriptor pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  void Signal(int signal) const;
  std::optional<ProcessExit> Wait(int flags) const;

  pid_t pid_;  // 0 when moved from.
  Descriptor pidfd_;
  std::optional<ProcessExit> exit_;
};

}  // namespace penstock::fleet
