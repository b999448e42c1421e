#include "fleet/kubernetes_backend.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "http/url.h"

namespace penstock::fleet {
namespace {

constexpr const char* kFlag = "--kubernetes-deployment";
constexpr const char* kNamespaceFile = "/var/run/secrets/kubernetes.io/serviceaccount/namespace";
// Lower than any pod has by itself: it goes first.
constexpr int kFirstToGo = -1000;

bool IsGood(int status) { return status >= 200 && status < 300; }

// A DNS label of the API server's.
bool IsName(std::string_view name) {
  constexpr std::size_t kNameMax = 253;
  return !name.empty() && name.size() <= kNameMax &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string_view::npos;
}

std::string PoolOf(const std::string& place) { return place.substr(0, place.rfind('-')); }

}  // namespace

Result<KubernetesTarget> ParseKubernetesTarget(std::string_view text) {
  const std::size_t equals = text.find('=');
  const auto refuse = [text] {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} {}: expected MODEL=DEPLOYMENT[/SERVICE][:PORT], names as "
                            "Kubernetes has them",
                            kFlag, text),
                kFlag);
  };
  if (equals == std::string_view::npos || equals == 0) return refuse();
  KubernetesTarget target{.model = std::string(text.substr(0, equals)),
                          .deployment = {},
                          .service = {},
                          .port_name = {}};
  std::string_view rest = text.substr(equals + 1);
  if (const std::size_t colon = rest.rfind(':'); colon != std::string_view::npos) {
    target.port_name = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (!IsName(target.port_name)) return refuse();
  }
  const std::size_t slash = rest.find('/');
  target.deployment = rest.substr(0, slash);
  target.service =
      slash == std::string_view::npos ? target.deployment : std::string(rest.substr(slash + 1));
  if (!IsName(target.deployment) || !IsName(target.service)) return refuse();
  return target;
}

Result<std::unique_ptr<KubernetesBackend>> KubernetesBackend::Open(KubernetesSettings settings) {
  constexpr std::size_t kNamespaceMax = 1024;
  if (settings.targets.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--fleet kubernetes needs {} MODEL=DEPLOYMENT", kFlag), kFlag);
  }
  if (settings.name_space.empty()) {
    settings.name_space = ReadSmallFile(kNamespaceFile, kNamespaceMax).value_or("default");
  }
  if (!IsName(settings.name_space)) {
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

std::string KubernetesBackend::PathOf(const std::string& deployment) const {
  return fmt::format("/apis/apps/v1/namespaces/{}/deployments/{}", settings_.name_space,
                     deployment);
}

// An answer that is no success as an error that says what it means.
Result<ApiReply> KubernetesBackend::Asked(Result<ApiReply> reply, const std::string& what) const {
  if (!reply || IsGood(reply->status)) return reply;
  const Code code = reply->status == 410 ? Code::kClosed : CodeOfHttpStatus(reply->status);
  std::string advice;
  if (reply->status == 401) advice = "; is the token one of this cluster's?";
  if (reply->status == 403) advice = "; docs/operating.md has the Role that is needed";
  return Fail(code, fmt::format("{}: {} answered {}: {}{}", what, api_->url(), reply->status,
                                ReadStatusMessage(reply->body), advice));
}

// What a former server of this instance had.
Status KubernetesBackend::ReadHolders() {
  if (read_) return {};
  for (Deployment& deployment : deployments_) {
    const std::string& name = deployment.target.deployment;
    const auto reply = Asked(api_->Call("GET", PathOf(name)), "Deployment " + name);
    if (!reply) return Fail(reply.error());
    const auto scale = ParseDeployment(reply->body);
    if (!scale) return Fail(scale.error());
    const std::string prefix = settings_.instance + "-";
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
  std::string taken;
  Error failure{Code::kNotFound, fmt::format("no {} names model {}", kFlag, launch.model), kFlag};
  for (Deployment& deployment : deployments_) {
    const KubernetesTarget& target = deployment.target;
    const std::string versioned = fmt::format("{}/{}", launch.model, launch.model_version);
    if (target.model != launch.model && target.model != versioned) continue;
    if (!deployment.pool.empty()) {
      failure = {Code::kExhausted,
                 fmt::format("every Deployment of model {} serves another pool ({} does {}); name "
                             "another one, or let the endpoints share one (isolation: shared)",
                             launch.model, target.deployment, deployment.pool),
                 kFlag};
      continue;
    }
    if (auto held = Hold(deployment, HolderOf(pool)); !held) {
      failure = held.error();
      continue;
    }
    deployment.pool = pool;
    deployment.held = true;
    return &deployment;
  }
  return Fail(std::move(failure));
}

// Writes who has the Deployment; "" gives it free. kConflict: another server has it.
Status KubernetesBackend::Hold(Deployment& deployment, const std::string& holder) {
  const std::string path = PathOf(deployment.target.deployment);
  const std::string what = "Deployment " + deployment.target.deployment;
  for (int attempt = 1;; ++attempt) {
    const auto reply = Asked(api_->Call("GET", path), what);
    if (!reply) return Fail(reply.error());
    const auto scale = ParseDeployment(reply->body);
    if (!scale) return Fail(scale.error());
    if (scale->holder == holder) return {};
    const bool ours = scale->holder.starts_with(settings_.instance + "-");
    if (!scale->holder.empty() && !ours) {
      return Fail(Code::kConflict,
                  fmt::format("{} belongs to {}; remove its annotation {} if that server is gone",
                              what, scale->holder, kHolderAnnotation));
    }
    const auto patched =
        Asked(api_->Call("PATCH", path, HolderPatch(holder, scale->resource_version)), what);
    if (patched) return {};
    if (patched.error().code != Code::kConflict || attempt >= kConflictsMax) {
      return Fail(patched.error());
    }
  }
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
  // A hint: without it, the controller chooses.
  const auto marked = Asked(
      api_->Call("PATCH", fmt::format("/api/v1/namespaces/{}/pods/{}", settings_.name_space, pod),
                 DeletionCostPatch(kFirstToGo)),
      "pod " + pod);
  const bool gone = !marked && marked.error().code == Code::kNotFound;
  if (!marked && !gone) return Fail(marked.error());
  return {};
}

// Reads the scale, and patches it where it is not what it should be. Answers what it was.
Result<int> KubernetesBackend::ScaleTo(const Deployment& deployment) {
  const std::string path = PathOf(deployment.target.deployment) + "/scale";
  const std::string what = fmt::format("scale of {}", deployment.target.deployment);
  for (int attempt = 1;; ++attempt) {
    const auto reply = Asked(api_->Call("GET", path), what);
    if (!reply) return Fail(reply.error());
    const auto scale = ParseScale(reply->body);
    if (!scale) return Fail(scale.error());
    const int wanted = deployment.places.Desired(Clock::now());
    if (scale->replicas == wanted) return wanted;
    const auto patched =
        Asked(api_->Call("PATCH", path, ScalePatch(wanted, scale->resource_version)), what);
    if (patched) {
      Log().info("kubernetes: {} from {} to {}", what, scale->replicas, wanted);
      return scale->replicas;
    }
    // Somebody was there in between: look again.
    if (patched.error().code != Code::kConflict || attempt >= kConflictsMax) {
      return Fail(patched.error());
    }
  }
}

Result<KubernetesSlices> KubernetesBackend::Page(const KubernetesTarget& target,
                                                 const std::string& page) {
  std::string path = fmt::format(
      "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices?labelSelector={}&limit={}",
      settings_.name_space, http::PercentEncode("kubernetes.io/service-name=" + target.service),
      kSlicesPageMax);
  if (!page.empty()) path += "&continue=" + http::PercentEncode(page);
  const auto reply = Asked(api_->Call("GET", path), "EndpointSlices of " + target.service);
  if (!reply) return Fail(reply.error());
  return ParseEndpointSlices(reply->body, target.port_name);
}

Result<std::vector<KubernetesPod>> KubernetesBackend::Pods(const KubernetesTarget& target) {
  std::vector<KubernetesPod> pods;
  std::string page;
  bool restarted = false;
  for (int pages = 0; pages < kSlicePagesMax; ++pages) {
    auto slices = Page(target, page);
    if (!slices && slices.error().code == Code::kClosed && !page.empty() && !restarted) {
      // 410: what the page's token stood for has been compacted away.
      restarted = true;
      pods.clear();
      page.clear();
      continue;
    }
    if (!slices) return Fail(slices.error());
    MergePods(pods, std::move(slices->pods));
    page = std::move(slices->next_page);
    if (page.empty()) return pods;
  }
  return Fail(Code::kTooLarge, fmt::format("service {} has more than {} pages of EndpointSlices",
                                           target.service, kSlicePagesMax));
}

Status KubernetesBackend::Bring(Deployment& deployment) {
  const auto replicas = ScaleTo(deployment);
  if (!replicas) return Fail(replicas.error());
  const auto pods = Pods(deployment.target);
  if (!pods) return Fail(pods.error());
  const TimePoint now = Clock::now();
  deployment.places.Observe(*replicas, *pods, now);
  if (*replicas == 0 && deployment.places.idle(now)) {
    // Nobody's any more. Should it fail, the next pool of ours takes it all the same.
    if (auto freed = Hold(deployment, {}); !freed) return freed;
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
