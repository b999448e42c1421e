// ExecBackend: replicas that a program of the operator's starts: ssh, Nomad, Ray, anything.
//
//   HOOK start NAME CORES MEMORY_BYTES COMMAND…   prints a handle; @ADDRESS@ in COMMAND is the
//                                                 hook's to replace
//   HOOK stop HANDLE term|kill
//   HOOK list                                     prints "HANDLE NAME running|ended [HOST:PORT]"
//   lines
//
// Each ends with status 0, or says on stderr why not. NAME is "INSTANCE-POOL-PLACE".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fleet/polled_fleet.h"

namespace penstock::fleet {

struct ExecSettings {
  std::string hook;                              // Path of the program.
  std::string instance;                          // Tells servers apart: letters and digits.
  Duration wait_max = std::chrono::seconds(30);  // For one call.
};

class ExecBackend : public Backend {
 public:
  explicit ExecBackend(ExecSettings settings) : settings_(std::move(settings)) {}

  std::string name() const override { return "exec"; }
  Result<std::string> Start(const ReplicaLaunch& launch) override;
  Status Stop(const std::string& handle, bool kill) override;
  Result<std::vector<ListedReplica>> List() override;
  std::string ReasonOf(const std::string& handle) override;
  std::string TailOf(const std::string&, std::size_t) override { return {}; }

 private:
  ExecSettings settings_;
};

// Lines of `HOOK list`; names of other servers and lines that are none are left out.
std::vector<ListedReplica> ParseHookList(std::string_view text, const std::string& instance);

}  // namespace penstock::fleet
