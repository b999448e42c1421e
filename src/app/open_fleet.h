// OpenFleet: the driver that `serve --fleet` names.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "fleet/fleet.h"
#include "fleet/kubernetes_api.h"

namespace penstock::app {

struct FleetOptions {
  std::string kind = "process";  // Where replicas run: process, slurm, kubernetes, exec.
  std::string hook = {};         // Of exec: the program.
  std::string slurm_host = "$(hostname -i | cut -d' ' -f1)";  // Shell text: a node's address.
  std::vector<std::string> slurm_flags = {};                  // For sbatch.
  fleet::KubernetesAccess kubernetes = {};
  std::string kubernetes_namespace = {};
  std::vector<std::string> kubernetes_deployments = {};  // MODEL=DEPLOYMENT[/SERVICE][:PORT]
};

// Null: processes on this machine. `data_path`: the server's own folder; by it the next server
// finds its replicas. Errors name the flag.
Result<std::unique_ptr<fleet::Fleet>> OpenFleet(const FleetOptions& options,
                                                const std::string& data_path);

}  // namespace penstock::app
