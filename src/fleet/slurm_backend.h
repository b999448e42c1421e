// SlurmBackend: replicas as Slurm's batch jobs, by its own commands (sbatch, squeue, scancel).
//
// A job's name carries the server's instance and the replica's place, so that a server that was
// started again finds its own. The job chooses a port, and writes its address into a folder that
// all nodes share. A port that is taken ends the replica, which is then started again with another.
#pragma once

#include <string>
#include <vector>

#include "fleet/polled_fleet.h"

namespace penstock::fleet {

struct SlurmSettings {
  std::string folder;                // Shared by all nodes; scripts, addresses and logs lie there.
  std::string instance;              // Tells servers apart: letters and digits.
  std::string host = "$(hostname)";  // What the job says of where it listens: shell text.
  int port_first = 20000;
  int port_count = 20000;
  std::vector<std::string> sbatch_flags = {};    // Partition, account, GPUs, …
  Duration wait_max = std::chrono::seconds(20);  // For one command.
};

class SlurmBackend : public Backend {
 public:
  // Makes the folder. Errors name it.
  static Result<std::unique_ptr<SlurmBackend>> Open(SlurmSettings settings);

  std::string name() const override { return "slurm"; }
  Result<std::string> Start(const ReplicaLaunch& launch) override;
  Status Stop(const std::string& handle, bool kill) override;
  Result<std::vector<ListedReplica>> List() override;
  std::string ReasonOf(const std::string& handle) override;
  std::string TailOf(const std::string& log_name, std::size_t size_max) override;

 private:
  explicit SlurmBackend(SlurmSettings settings) : settings_(std::move(settings)) {}
  std::string Path(const std::string& file) const { return settings_.folder + "/" + file; }

  SlurmSettings settings_;
};

// Pure parts.
// The job's script: chooses a port, tells its address in `address_file`, becomes the command.
std::string SlurmScript(const ReplicaLaunch& launch, const SlurmSettings& settings,
                        const std::string& address_file);
// Lines of squeue's "%i|%T|%r|%j"; jobs of other servers are left out.
std::vector<ListedReplica> ParseSqueue(std::string_view text, const std::string& instance);

}  // namespace penstock::fleet
