#include "fleet/kubernetes_namespace.h"

#include <fmt/format.h>

#include <utility>

#include "base/log.h"
#include "http/url.h"

namespace penstock::fleet {
namespace {

// Lower than any pod has by itself: it goes first.
constexpr int kFirstToGo = -1000;

bool IsGood(int status) { return status >= 200 && status < 300; }

}  // namespace

bool IsKubernetesName(std::string_view name) {
  constexpr std::size_t kNameMax = 253;
  return !name.empty() && name.size() <= kNameMax &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-.") == std::string_view::npos;
}

Result<KubernetesTarget> ParseKubernetesTarget(std::string_view text) {
  const std::size_t equals = text.find('=');
  const auto refuse = [text] {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} {}: expected MODEL=DEPLOYMENT[/SERVICE][:PORT], names as "
                            "Kubernetes has them",
                            kDeploymentFlag, text),
                kDeploymentFlag);
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
    if (!IsKubernetesName(target.port_name)) return refuse();
  }
  const std::size_t slash = rest.find('/');
  target.deployment = rest.substr(0, slash);
  target.service =
      slash == std::string_view::npos ? target.deployment : std::string(rest.substr(slash + 1));
  if (!IsKubernetesName(target.deployment) || !IsKubernetesName(target.service)) return refuse();
  return target;
}

std::string KubernetesNamespace::PathOf(const std::string& deployment) const {
  return fmt::format("/apis/apps/v1/namespaces/{}/deployments/{}", name_, deployment);
}

// An answer that is no success as an error that says what it means.
Result<ApiReply> KubernetesNamespace::Asked(Result<ApiReply> reply, const std::string& what) const {
  if (!reply || IsGood(reply->status)) return reply;
  const Code code = reply->status == 410 ? Code::kClosed : CodeOfHttpStatus(reply->status);
  std::string advice;
  if (reply->status == 401) advice = "; is the token one of this cluster's?";
  if (reply->status == 403) advice = "; docs/operating.md has the Role that is needed";
  return Fail(code, fmt::format("{}: {} answered {}: {}{}", what, api_->url(), reply->status,
                                ReadStatusMessage(reply->body), advice));
}

Result<KubernetesScale> KubernetesNamespace::ReadDeployment(const std::string& deployment) {
  const auto reply = Asked(api_->Call("GET", PathOf(deployment)), "Deployment " + deployment);
  if (!reply) return Fail(reply.error());
  return ParseDeployment(reply->body);
}

Status KubernetesNamespace::Hold(const std::string& deployment, const std::string& holder,
                                 const std::string& prefix) {
  const std::string what = "Deployment " + deployment;
  for (int attempt = 1;; ++attempt) {
    const auto scale = ReadDeployment(deployment);
    if (!scale) return Fail(scale.error());
    if (scale->holder == holder) return {};
    if (!scale->holder.empty() && !scale->holder.starts_with(prefix)) {
      return Fail(Code::kConflict,
                  fmt::format("{} belongs to {}; remove its annotation {} if that server is gone",
                              what, scale->holder, kHolderAnnotation));
    }
    const auto patched =
        Asked(api_->Call("PATCH", PathOf(deployment), HolderPatch(holder, scale->resource_version)),
              what);
    if (patched) return {};
    if (patched.error().code != Code::kConflict || attempt >= kConflictsMax) {
      return Fail(patched.error());
    }
  }
}

Result<int> KubernetesNamespace::ScaleTo(const std::string& deployment, int wanted) {
  const std::string path = PathOf(deployment) + "/scale";
  const std::string what = fmt::format("scale of {}", deployment);
  for (int attempt = 1;; ++attempt) {
    const auto reply = Asked(api_->Call("GET", path), what);
    if (!reply) return Fail(reply.error());
    const auto scale = ParseScale(reply->body);
    if (!scale) return Fail(scale.error());
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

Result<KubernetesSlices> KubernetesNamespace::Page(const KubernetesTarget& target,
                                                   const std::string& page) {
  std::string path = fmt::format(
      "/apis/discovery.k8s.io/v1/namespaces/{}/endpointslices?labelSelector={}&limit={}", name_,
      http::PercentEncode("kubernetes.io/service-name=" + target.service), kSlicesPageMax);
  if (!page.empty()) path += "&continue=" + http::PercentEncode(page);
  const auto reply = Asked(api_->Call("GET", path), "EndpointSlices of " + target.service);
  if (!reply) return Fail(reply.error());
  return ParseEndpointSlices(reply->body, target.port_name);
}

Result<std::vector<KubernetesPod>> KubernetesNamespace::Pods(const KubernetesTarget& target) {
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

Status KubernetesNamespace::MarkToGo(const std::string& pod) {
  const auto marked =
      Asked(api_->Call("PATCH", fmt::format("/api/v1/namespaces/{}/pods/{}", name_, pod),
                       DeletionCostPatch(kFirstToGo)),
            "pod " + pod);
  const bool gone = !marked && marked.error().code == Code::kNotFound;
  if (!marked && !gone) return Fail(marked.error());
  return {};
}

}  // namespace penstock::fleet
