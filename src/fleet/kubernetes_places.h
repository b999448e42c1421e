// KubernetesPlaces: which pod of a Deployment stands in which place of a pool, and how many pods
// the Deployment shall have. Pure: no clock, no network.
//
// A Deployment's pods have no numbers, and its controller chooses which ones go; the reconciler
// thinks in places. So each place that was started gets a pod that nobody has yet, and keeps it for
// as long as that lives. A pod that dies ends its place; the Deployment makes another one, so the
// place counts on for a while, until it is started again.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "fleet/kubernetes_objects.h"

namespace penstock::fleet {

// How long a place whose pod died still counts: longer than the reconciler's longest back-off.
inline constexpr Duration kReplacementHold = std::chrono::seconds(60);
// Lists in a row without a pod, before it is gone: slices are rewritten one after the other.
inline constexpr int kPodMissingMax = 2;

class KubernetesPlaces {
 public:
  enum class State {
    kStarting,  // Waits for a pod.
    kHeld,      // Has one.
    kLeaving,   // Shall lose it.
    kEnded,
  };
  struct Place {
    State state = State::kStarting;
    KubernetesPod pod = {};  // Empty name: none.
    int missing = 0;
    std::string reason = {};  // Of kEnded.
    TimePoint ended_at{};
    bool replaced = false;  // kEnded: the Deployment makes another pod.
  };

  // A new start of a place; whatever it was before.
  void Start(const std::string& place);
  // Unknown places are ignored. Answers the pod that had better go; "" none.
  std::string Stop(const std::string& place, TimePoint now);

  // How many pods there shall be.
  int Desired(TimePoint now) const;

  // What the API server told: the Deployment's spec.replicas and its pods.
  void Observe(int replicas, const std::vector<KubernetesPod>& pods, TimePoint now);

  const std::map<std::string, Place>& all() const { return places_; }
  // No pod is wanted, none is there, and nobody needs to be told.
  bool idle(TimePoint now) const;
  // Something is still to be done that nobody asks for again.
  bool leaving() const;

 private:
  void Follow(const std::vector<KubernetesPod>& pods, TimePoint now);
  void LetGo(bool settled, int present, TimePoint now);
  void Assign(const std::vector<KubernetesPod>& pods);

  std::map<std::string, Place> places_;  // By name.
};

}  // namespace penstock::fleet
