// Property: whatever an API server answers, it is refused or read into pods of distinct names, and
// merging them again changes nothing.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/kubernetes_objects.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  using penstock::fleet::KubernetesPod;
  const std::string_view text(reinterpret_cast<const char*>(bytes), size);
  (void)penstock::fleet::ParseScale(text);
  (void)penstock::fleet::ParseDeployment(text);
  constexpr std::size_t kMessageMax = 300;
  if (penstock::fleet::ReadStatusMessage(text).size() > kMessageMax) std::abort();
  const auto slices = penstock::fleet::ParseEndpointSlices(text, "");
  if (!slices) return 0;
  std::set<std::string> names;
  for (const KubernetesPod& pod : slices->pods) {
    if (pod.name.empty() || !names.insert(pod.name).second) std::abort();
  }
  std::vector<KubernetesPod> pods = slices->pods;
  penstock::fleet::MergePods(pods, slices->pods);
  if (pods != slices->pods) std::abort();
  return 0;
}
