// KubernetesNamespace: what replicas need of one namespace, as calls: who has a Deployment, its
// scale, and the pods behind its service.
//
// Each blocks, and says in its errors what an answer means. Writes name the version that they were
// read at; where somebody was there in between, they look again. What is to be written, and when,
// the backend decides.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "fleet/kubernetes_api.h"
#include "fleet/kubernetes_objects.h"

namespace penstock::fleet {

// "MODEL=DEPLOYMENT[/SERVICE][:PORT]": MODEL is catalog.schema.model, perhaps with a /VERSION.
struct KubernetesTarget {
  std::string model;
  std::string deployment;
  std::string service;    // As the Deployment where none is named.
  std::string port_name;  // Of the service; "" the first.
};
// kInvalidArgument, showing the form.
Result<KubernetesTarget> ParseKubernetesTarget(std::string_view text);
// Whether the API server would take it for a name: a DNS name in lower case.
bool IsKubernetesName(std::string_view name);

inline constexpr const char* kDeploymentFlag = "--kubernetes-deployment";
inline constexpr std::size_t kSlicesPageMax = 500;
inline constexpr int kSlicePagesMax = 100;
inline constexpr int kConflictsMax = 3;  // 409s in a row of one patch, until the next List().

class KubernetesNamespace {
 public:
  KubernetesNamespace(std::unique_ptr<KubernetesApi> api, std::string name)
      : api_(std::move(api)), name_(std::move(name)) {}

  Result<KubernetesScale> ReadDeployment(const std::string& deployment);
  // Writes who has the Deployment; "" gives it free. kConflict: it is somebody else's, whose name
  // does not begin with `prefix`.
  Status Hold(const std::string& deployment, const std::string& holder, const std::string& prefix);
  // Patches the scale where it is not `wanted`. Answers what it was.
  Result<int> ScaleTo(const std::string& deployment, int wanted);
  // All pages; from the first again where a page has expired.
  Result<std::vector<KubernetesPod>> Pods(const KubernetesTarget& target);
  // A hint to the controller that this one is to go before others. No error where it is gone.
  Status MarkToGo(const std::string& pod);

 private:
  Result<KubernetesSlices> Page(const KubernetesTarget& target, const std::string& page);
  Result<ApiReply> Asked(Result<ApiReply> reply, const std::string& what) const;
  std::string PathOf(const std::string& deployment) const;

  std::unique_ptr<KubernetesApi> api_;
  std::string name_;
};

}  // namespace penstock::fleet
