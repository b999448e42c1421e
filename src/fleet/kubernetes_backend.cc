#include "fleet/kubernetes_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/log.h"

namespace penstock::fleet {
namespace {

constexpr const char* kNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";

std::string PoolOf(const std::string& place) { return place.substr(0, place.rfind('-')); }

}  // namespace

Result<std::unique_ptr<KubernetesBackend>> KubernetesBackend::Open(KubernetesSettings settings) {
  constexpr std::size_t kNamespaceMax = 1024;
  if (settings.targets.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--fleet kubernetes needs {} MODEL=DEPLOYMENT", kDeploymentFlag),
                kDeploymentFlag);
  }
  if (settings.name_space.empty()) {
    settings.name_space = ReadSmallFile(kNamespaceFile, kNamespaceMax).value_or("default");
  }
  if (!IsKubernetesName(settings.name_space)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--kubernetes-namespace {}: no such name can be", settings.name_space),
                "--kubernetes-namespace");
  }
  auto api = KubernetesApi::Open(settings.access);
  if (!api) return Fail(api.error());
  std::unique_ptr<KubernetesBackend> backend(
      new KubernetesBackend(std::move(settings), std::move(*api)));
  for (const KubernetesTarget& target : backend->settings_.targets) {
    backend->deployments_.push_back({.target = target});
  }
  return backend;
}

// What a former server of this instance had.
Status KubernetesBackend::ReadHolders() {
  if (read_) return {};
  for (Deployment& deployment : deployments_) {
    const auto scale = namespace_.ReadDeployment(deployment.target.deployment);
    if (!scale) return Fail(scale.error());
    const std::string prefix = HolderOf("");
    if (!scale->holder.starts_with(prefix)) continue;
    deployment.pool = scale->holder.substr(prefix.size());
    deployment.held = true;
    for (int i = 0; i < scale->replicas; ++i) {
      deployment.places.Start(fmt::format("{}-{}", deployment.pool, i));
    }
  }
  read_ = true;
  return {};
}

KubernetesBackend::Deployment* KubernetesBackend::Find(const std::string& pool) {
  const auto found = std::ranges::find(deployments_, pool, &Deployment::pool);
  return found == deployments_.end() ? nullptr : &*found;
}

// The pool's Deployment, or one that is free.
Result<KubernetesBackend::Deployment*> KubernetesBackend::Take(const std::string& pool,
                                                               const ReplicaLaunch& launch) {
  if (Deployment* own = Find(pool)) return own;
  Error failure{Code::kNotFound, fmt::format("no {} names model {}", kDeploymentFlag, launch.model),
                kDeploymentFlag};
  for (Deployment& deployment : deployments_) {
    const KubernetesTarget& target = deployment.target;
    const std::string versioned = fmt::format("{}/{}", launch.model, launch.model_version);
    if (target.model != launch.model && target.model != versioned) continue;
    if (!deployment.pool.empty()) {
      failure = {Code::kExhausted,
                 fmt::format("every Deployment of model {} serves another pool ({} does {}); name "
                             "another one, or let the endpoints share one (isolation: shared)",
                             launch.model, target.deployment, deployment.pool),
                 kDeploymentFlag};
      continue;
    }
    if (auto held = namespace_.Hold(target.deployment, HolderOf(pool), HolderOf("")); !held) {
      failure = held.error();
      continue;
    }
    deployment.pool = pool;
    deployment.held = true;
    return &deployment;
  }
  return Fail(std::move(failure));
}

Result<std::string> KubernetesBackend::Start(const ReplicaLaunch& launch) {
  if (auto read = ReadHolders(); !read) return Fail(read.error());
  auto deployment = Take(PoolOf(launch.place_name), launch);
  if (!deployment) return Fail(deployment.error());
  (*deployment)->places.Start(launch.place_name);
  return launch.place_name;
}

Status KubernetesBackend::Stop(const std::string& handle, bool) {
  Deployment* deployment = Find(PoolOf(handle));
  if (deployment == nullptr) return {};
  const std::string pod = deployment->places.Stop(handle, Clock::now());
  if (pod.empty()) return {};
  return namespace_.MarkToGo(pod);  // Without it, the controller chooses.
}

Status KubernetesBackend::Bring(Deployment& deployment) {
  const std::string& name = deployment.target.deployment;
  const auto replicas = namespace_.ScaleTo(name, deployment.places.Desired(Clock::now()));
  if (!replicas) return Fail(replicas.error());
  const auto pods = namespace_.Pods(deployment.target);
  if (!pods) return Fail(pods.error());
  const TimePoint now = Clock::now();
  deployment.places.Observe(*replicas, *pods, now);
  if (*replicas == 0 && deployment.places.idle(now)) {
    // Nobody's any more. Should it fail, the next pool of ours takes it all the same.
    if (auto freed = namespace_.Hold(name, {}, HolderOf("")); !freed) return freed;
    deployment.pool.clear();
    deployment.held = false;
    deployment.places = {};
  }
  return {};
}

Result<std::vector<ListedReplica>> KubernetesBackend::List() {
  if (auto read = ReadHolders(); !read) return Fail(read.error());
  std::vector<ListedReplica> listed;
  for (Deployment& deployment : deployments_) {
    if (deployment.pool.empty()) continue;
    // One that cannot be asked keeps its places, and does not hold up the others.
    if (deployment.not_before <= Clock::now()) NoteAsked(deployment, Bring(deployment));
    for (const auto& [name, place] : deployment.places.all()) {
      listed.push_back({.handle = name,
                        .place_name = name,
                        .address = place.pod.ready ? place.pod.address : std::string(),
                        .ended = place.state == KubernetesPlaces::State::kEnded,
                        .reason = place.reason});
    }
  }
  return listed;
}

// Said once; asked less and less often.
void KubernetesBackend::NoteAsked(Deployment& deployment, const Status& asked) const {
  if (asked) {
    if (deployment.failures > 0) {
      Log().info("kubernetes: {} can be asked again", deployment.target.deployment);
    }
    deployment.failures = 0;
    return;
  }
  if (++deployment.failures == 1) Log().warn("kubernetes: {}", asked.error().message);
  const int doublings = std::min(deployment.failures - 1, 5);
  deployment.not_before =
      Clock::now() + std::min<Duration>(kAskAgainMin * (1 << doublings), kAskAgainMax);
}

std::string KubernetesBackend::ReasonOf(const std::string& handle) {
  if (const Deployment* deployment = Find(PoolOf(handle))) {
    const auto found = deployment->places.all().find(handle);
    if (found != deployment->places.all().end() && !found->second.reason.empty()) {
      return found->second.reason;
    }
  }
  return fmt::format("{} was scaled down", handle);
}

bool KubernetesBackend::busy() const {
  return std::ranges::any_of(deployments_, [](const Deployment& one) { return !one.pool.empty(); });
}

}  // namespace penstock::fleet
