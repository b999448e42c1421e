#include "fleet/kubernetes_places.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <utility>

namespace penstock::fleet {
namespace {

using State = KubernetesPlaces::State;

bool IsWanted(const KubernetesPlaces::Place& place) {
  return place.state == State::kStarting || place.state == State::kHeld;
}

void End(KubernetesPlaces::Place& place, std::string reason, bool replaced, TimePoint now) {
  place.state = State::kEnded;
  place.reason = std::move(reason);
  place.ended_at = now;
  place.replaced = replaced;
  place.pod = {};
}

}  // namespace

void KubernetesPlaces::Start(const std::string& place) { places_[place] = {}; }

std::string KubernetesPlaces::Stop(const std::string& name, TimePoint now) {
  const auto found = places_.find(name);
  if (found == places_.end() || found->second.state == State::kEnded) return {};
  Place& place = found->second;
  if (place.pod.name.empty() && place.state == State::kStarting) {
    End(place, "it was not wanted any more before it had a pod", false, now);
    return {};
  }
  place.state = State::kLeaving;
  return place.pod.name;
}

int KubernetesPlaces::Desired(TimePoint now) const {
  return static_cast<int>(std::ranges::count_if(places_, [now](const auto& entry) {
    const Place& place = entry.second;
    return IsWanted(place) || (place.state == State::kEnded && place.replaced &&
                               now - place.ended_at < kReplacementHold);
  }));
}

void KubernetesPlaces::Observe(int replicas, const std::vector<KubernetesPod>& pods,
                               TimePoint now) {
  Follow(pods, now);
  const auto present = std::ranges::count(pods, false, &KubernetesPod::terminating);
  LetGo(replicas == Desired(now), static_cast<int>(present), now);
  Assign(pods);
}

// Who lost its pod?
void KubernetesPlaces::Follow(const std::vector<KubernetesPod>& pods, TimePoint now) {
  for (auto& [name, place] : places_) {
    if (place.pod.name.empty() || place.state == State::kEnded) continue;
    const bool leaves = place.state == State::kLeaving;
    const auto seen = std::ranges::find(pods, place.pod.name, &KubernetesPod::name);
    if (seen != pods.end() && !seen->terminating) {
      place.pod = *seen;
      place.missing = 0;
      continue;
    }
    if (seen == pods.end() && ++place.missing < kPodMissingMax) continue;
    const char* how = seen == pods.end() ? "is gone" : "is being ended";
    End(place, fmt::format("pod {} {}", place.pod.name, how), !leaves, now);
  }
}

// The controller may have chosen another pod than the one that was named to it: then that one's
// place ends by itself, and this one's pod is free again.
void KubernetesPlaces::LetGo(bool settled, int present, TimePoint now) {
  if (!settled || present > Desired(now)) return;
  for (auto& [name, place] : places_) {
    if (place.state != State::kLeaving) continue;
    End(place, fmt::format("the Deployment was scaled down; pod {} stays", place.pod.name), false,
        now);
  }
}

void KubernetesPlaces::Assign(const std::vector<KubernetesPod>& pods) {
  std::set<std::string> taken;
  for (const auto& [name, place] : places_) {
    if (!place.pod.name.empty()) taken.insert(place.pod.name);
  }
  for (auto& [name, place] : places_) {
    if (place.state != State::kStarting) continue;
    // Ready ones first: a pod that comes up slowly must not hold up a place.
    const KubernetesPod* best = nullptr;
    for (const KubernetesPod& pod : pods) {
      if (pod.terminating || taken.contains(pod.name)) continue;
      if (best == nullptr || (pod.ready && !best->ready)) best = &pod;
    }
    if (best == nullptr) return;
    place.pod = *best;
    place.state = State::kHeld;
    taken.insert(best->name);
  }
}

bool KubernetesPlaces::idle(TimePoint now) const { return Desired(now) == 0 && !leaving(); }

bool KubernetesPlaces::leaving() const {
  return std::ranges::any_of(
      places_, [](const auto& entry) { return entry.second.state == State::kLeaving; });
}

}  // namespace penstock::fleet
