// KubernetesObjects: the few fields of the API server's answers that replicas are run by. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::fleet {

// What "Deployment" and its subresource "Scale" both have. 0 replicas where the field is absent,
// as the server leaves zeros out.
struct KubernetesScale {
  std::string resource_version;
  int replicas = 0;         // Wanted: spec.replicas. A Deployment without the field wants 1.
  std::string holder = {};  // Of a Deployment: the annotation kHolderAnnotation; "" none.
};
inline constexpr const char* kHolderAnnotation = "penstock.io/pool";

// One pod behind a service.
struct KubernetesPod {
  std::string name;     // Of the pod; its address where no pod is named.
  std::string address;  // "10.1.2.3:8000", "[fd00::1]:8000"
  bool ready = false;   // Unknown counts as ready, as the API says.
  bool terminating = false;
  bool operator==(const KubernetesPod&) const = default;
};

// One page of a list of EndpointSlices.
struct KubernetesSlices {
  std::vector<KubernetesPod> pods;  // A pod that stands in several slices stands here once.
  std::string next_page;            // The token `continue`; "" for the last page.
};

// Errors: kUpstream, saying what is missing. `port_name`: which of a slice's ports; "" the first.
Result<KubernetesScale> ParseScale(std::string_view text);
Result<KubernetesScale> ParseDeployment(std::string_view text);
Result<KubernetesSlices> ParseEndpointSlices(std::string_view text, const std::string& port_name);

// Puts `more` behind `pods`; of a pod that is in both, the ready one counts.
void MergePods(std::vector<KubernetesPod>& pods, std::vector<KubernetesPod> more);

// What an answer that is no success says: the Status object's message, else its beginning.
std::string ReadStatusMessage(std::string_view text);

// Bodies of merge patches.
std::string ScalePatch(int replicas, const std::string& resource_version);
std::string HolderPatch(const std::string& holder, const std::string& resource_version);
std::string DeletionCostPatch(int cost);

}  // namespace penstock::fleet
