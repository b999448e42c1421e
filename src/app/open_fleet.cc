#include "app/open_fleet.h"

#include <utility>

#include "fleet/exec_backend.h"
#include "fleet/kubernetes_backend.h"
#include "fleet/polled_fleet.h"
#include "fleet/slurm_backend.h"
#include "policy/key_table.h"

namespace penstock::app {
namespace {

using OpenedBackend = Result<std::unique_ptr<fleet::Backend>>;

OpenedBackend OpenKubernetes(const FleetOptions& options, const std::string& instance) {
  fleet::KubernetesSettings settings{.access = options.kubernetes,
                                     .name_space = options.kubernetes_namespace,
                                     .instance = instance};
  for (const std::string& text : options.kubernetes_deployments) {
    auto target = fleet::ParseKubernetesTarget(text);
    if (!target) return Fail(target.error());
    settings.targets.push_back(std::move(*target));
  }
  auto backend = fleet::KubernetesBackend::Open(std::move(settings));
  if (!backend) return Fail(backend.error());
  return std::move(*backend);
}

OpenedBackend OpenBackend(const FleetOptions& options, const std::string& data_path) {
  constexpr std::size_t kInstanceDigits = 8;
  const std::string instance =
      policy::Hex(policy::HashSecret(data_path)).substr(0, kInstanceDigits);
  if (options.kind == "kubernetes") return OpenKubernetes(options, instance);
  if (options.kind == "slurm") {
    auto slurm = fleet::SlurmBackend::Open({.folder = data_path + "/slurm",
                                            .instance = instance,
                                            .host = options.slurm_host,
                                            .sbatch_flags = options.slurm_flags});
    if (!slurm) return Fail(slurm.error());
    return std::move(*slurm);
  }
  if (options.hook.empty()) {
    return Fail(Code::kInvalidArgument, "--fleet exec needs --fleet-hook", "--fleet-hook");
  }
  return std::make_unique<fleet::ExecBackend>(
      fleet::ExecSettings{.hook = options.hook, .instance = instance});
}

}  // namespace

Result<std::unique_ptr<fleet::Fleet>> OpenFleet(const FleetOptions& options,
                                                const std::string& data_path) {
  constexpr Duration kPollInterval = std::chrono::milliseconds(500);
  constexpr Duration kPollIntervalRemote = std::chrono::seconds(1);
  if (options.kind == "process") return nullptr;
  auto backend = OpenBackend(options, data_path);
  if (!backend) return Fail(backend.error());
  auto fleet = fleet::PolledFleet::Open(
      std::move(*backend), options.kind == "kubernetes" ? kPollIntervalRemote : kPollInterval);
  if (!fleet) return Fail(fleet.error());
  return std::move(*fleet);
}

}  // namespace penstock::app
