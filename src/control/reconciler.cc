#include "control/reconciler.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>

#include "base/check.h"

namespace penstock::control {
namespace {

using Phase = ReplicaSlot::Phase;

std::string FailureText(const ReplicaSlot& slot, TimePoint now) {
  std::string text = fmt::format("A replica failed {} time{} in a row; last: {}.", slot.failures(),
                                 slot.failures() == 1 ? "" : "s", slot.last_failure());
  if (slot.phase() == Phase::kWaiting && slot.retry_at() > now) {
    text += fmt::format(" Next attempt in {:.1f} s.", Seconds(slot.retry_at() - now));
  }
  return text;
}

}  // namespace

void Reconciler::SetEndpoint(const std::string& endpoint_id, int replicas, UpdateState update,
                             TimePoint now) {
  CHECK(replicas >= 1, "an endpoint wants at least one replica");
  const auto [entry, added] = endpoints_.try_emplace(endpoint_id);
  Endpoint& endpoint = entry->second;
  CHECK(!endpoint.removed, "an endpoint's id is used again");
  endpoint.replicas = replicas;
  if (added) {
    endpoint.update = update;
    endpoint.update_since = now;
    routes_changed_ = true;
  }
}

void Reconciler::RemoveEndpoint(const std::string& endpoint_id, TimePoint) {
  const auto found = endpoints_.find(endpoint_id);
  if (found == endpoints_.end() || found->second.removed) return;
  found->second.removed = true;
  routes_changed_ = true;
}

void Reconciler::OnProbe(std::uint64_t replica, bool healthy, const std::string& reason,
                         TimePoint now) {
  const auto [endpoint, slot] = Find(replica);
  if (slot == nullptr) return;
  const bool routed = IsRouted(*endpoint, *slot);
  slot->OnProbe(healthy, reason, now, settings_.replica);
  if (routed != IsRouted(*endpoint, *slot)) routes_changed_ = true;
}

void Reconciler::OnExit(std::uint64_t replica, const std::string& reason, TimePoint now) {
  const auto [endpoint, slot] = Find(replica);
  if (slot == nullptr) return;
  if (IsRouted(*endpoint, *slot)) routes_changed_ = true;
  slot->OnExit(reason, now, settings_.replica);
  places_.erase(replica);
}

std::vector<Action> Reconciler::Step(TimePoint now) {
  std::vector<Action> actions;
  for (auto entry = endpoints_.begin(); entry != endpoints_.end();) {
    auto& [id, endpoint] = *entry;
    FitSlots(endpoint, now);
    StepSlots(id, endpoint, now, actions);
    if (endpoint.removed && endpoint.slots.empty()) {
      entry = endpoints_.erase(entry);
      continue;
    }
    if (!endpoint.removed) StepUpdate(id, endpoint, now, actions);
    ++entry;
  }
  if (routes_changed_) {
    // First: requests must stop coming before a replica is asked to end.
    actions.insert(actions.begin(), PublishRoutes{});
    routes_changed_ = false;
  }
  return actions;
}

// Adds places, lowest number first, or retires them, highest first.
void Reconciler::FitSlots(Endpoint& endpoint, TimePoint now) {
  const int wanted = endpoint.removed ? 0 : endpoint.replicas;
  auto active = static_cast<int>(std::ranges::count_if(
      endpoint.slots, [](const auto& entry) { return !entry.second.retired(); }));
  for (int place = 0; active < wanted; ++place) {
    if (endpoint.slots.try_emplace(place, now).second) ++active;
  }
  for (auto& [place, slot] : std::views::reverse(endpoint.slots)) {
    if (active <= wanted) break;
    if (slot.retired()) continue;
    if (IsRouted(endpoint, slot)) routes_changed_ = true;
    slot.Retire(now);
    --active;
  }
}

void Reconciler::StepSlots(const std::string& id, Endpoint& endpoint, TimePoint now,
                           std::vector<Action>& actions) {
  for (auto& [place, slot] : endpoint.slots) {
    for (;;) {
      const bool routed = IsRouted(endpoint, slot);
      const auto want = slot.Next(now, settings_.replica, next_replica_);
      if (routed != IsRouted(endpoint, slot)) routes_changed_ = true;
      if (want == ReplicaSlot::Want::kNothing) break;
      switch (want) {
        case ReplicaSlot::Want::kStart:
          places_.emplace(next_replica_++, std::pair(id, place));
          actions.emplace_back(StartReplica{slot.replica(), id, place});
          break;
        case ReplicaSlot::Want::kProbe:
          actions.emplace_back(ProbeReplica{slot.replica()});
          break;
        case ReplicaSlot::Want::kTerminate:
          actions.emplace_back(TerminateReplica{slot.replica()});
          break;
        case ReplicaSlot::Want::kKill:
          actions.emplace_back(KillReplica{slot.replica()});
          break;
        case ReplicaSlot::Want::kNothing:
          break;
      }
    }
  }
  std::erase_if(endpoint.slots,
                [](const auto& entry) { return entry.second.phase() == Phase::kGone; });
}

void Reconciler::StepUpdate(const std::string& id, Endpoint& endpoint, TimePoint now,
                            std::vector<Action>& actions) {
  if (endpoint.update == UpdateState::kNotUpdating) return;
  if (ReadyIn(endpoint) >= endpoint.replicas) {
    endpoint.update = UpdateState::kNotUpdating;
    actions.emplace_back(RecordUpdate{id, endpoint.update, ""});
    return;
  }
  if (endpoint.update == UpdateState::kFailed) return;
  const ReplicaSlot* worst = WorstOf(endpoint);
  const bool often = worst != nullptr && worst->failures() >= settings_.start_attempts_max;
  const bool late = now - endpoint.update_since >= settings_.update_max;
  if (!often && !late) return;
  endpoint.update = UpdateState::kFailed;
  std::string message =
      often ? FailureText(*worst, TimePoint::max())  // Without a time that will have passed.
            : fmt::format("Not ready within {:g} s.", Seconds(settings_.update_max));
  actions.emplace_back(RecordUpdate{id, endpoint.update, std::move(message)});
}

TimePoint Reconciler::NextWake() const {
  TimePoint next = routes_changed_ ? TimePoint::min() : TimePoint::max();
  for (const auto& [id, endpoint] : endpoints_) {
    for (const auto& [place, slot] : endpoint.slots) {
      next = std::min(next, slot.NextWake(settings_.replica));
    }
    if (!endpoint.removed && endpoint.update == UpdateState::kInProgress) {
      next = std::min(next, endpoint.update_since + settings_.update_max);
    }
  }
  return next;
}

EndpointStatus Reconciler::StatusOf(const std::string& endpoint_id, TimePoint now) const {
  const auto found = endpoints_.find(endpoint_id);
  if (found == endpoints_.end() || found->second.removed) return {};
  const Endpoint& endpoint = found->second;
  EndpointStatus status{.update = endpoint.update,
                        .replicas_ready = ReadyIn(endpoint),
                        .replicas_desired = endpoint.replicas};
  const bool in_effect = endpoint.update == UpdateState::kNotUpdating;
  status.ready = in_effect && status.replicas_ready > 0;
  if (status.ready) {
    status.deployment = Deployment::kReady;
  } else if (in_effect) {
    status.deployment = Deployment::kRecovering;
  } else {
    status.deployment =
        endpoint.update == UpdateState::kFailed ? Deployment::kFailed : Deployment::kCreating;
  }
  if (status.replicas_ready < endpoint.replicas) {
    status.message =
        fmt::format("{} of {} replicas ready.", status.replicas_ready, endpoint.replicas);
  }
  if (const ReplicaSlot* worst = WorstOf(endpoint); worst != nullptr) {
    if (!status.message.empty()) status.message += ' ';
    status.message += FailureText(*worst, now);
  }
  return status;
}

std::vector<RoutedReplica> Reconciler::RoutedOf(const std::string& endpoint_id) const {
  std::vector<RoutedReplica> routed;
  const auto found = endpoints_.find(endpoint_id);
  if (found == endpoints_.end() || found->second.removed) return routed;
  for (const auto& [place, slot] : found->second.slots) {
    if (!IsRouted(found->second, slot)) continue;
    routed.push_back({.replica = slot.replica(), .draining = slot.phase() == Phase::kDraining});
  }
  return routed;
}

std::pair<const Reconciler::Endpoint*, ReplicaSlot*> Reconciler::Find(std::uint64_t replica) {
  const auto found = places_.find(replica);
  if (found == places_.end()) return {nullptr, nullptr};
  const auto& [endpoint_id, place] = found->second;
  Endpoint& endpoint = endpoints_.at(endpoint_id);
  return {&endpoint, &endpoint.slots.at(place)};
}

bool Reconciler::IsRouted(const Endpoint& endpoint, const ReplicaSlot& slot) {
  return !endpoint.removed && (slot.phase() == Phase::kReady || slot.phase() == Phase::kDraining);
}

// The slot with most failures in a row, nullptr if none failed lately.
const ReplicaSlot* Reconciler::WorstOf(const Endpoint& endpoint) {
  const ReplicaSlot* worst = nullptr;
  for (const auto& [place, slot] : endpoint.slots) {
    if (slot.retired() || slot.failures() == 0) continue;
    if (worst == nullptr || slot.failures() > worst->failures()) worst = &slot;
  }
  return worst;
}

int Reconciler::ReadyIn(const Endpoint& endpoint) {
  return static_cast<int>(std::ranges::count_if(
      endpoint.slots, [](const auto& entry) { return entry.second.phase() == Phase::kReady; }));
}

}  // namespace penstock::control
