#include "control/reconciler.h"

#include <fmt/format.h>

#include <algorithm>
#include <ranges>
#include <utility>

#include "base/check.h"

namespace penstock::control {
namespace {

using Phase = ReplicaSlot::Phase;

constexpr Duration kWarmUp = std::chrono::seconds(60);

std::string FailureText(const ReplicaSlot& slot, TimePoint now) {
  std::string text = fmt::format("A replica failed {} time{} in a row; last: {}.", slot.failures(),
                                 slot.failures() == 1 ? "" : "s", slot.last_failure());
  if (slot.phase() == Phase::kWaiting && slot.retry_at() > now) {
    text += fmt::format(" Next attempt in {:.1f} s.", Seconds(slot.retry_at() - now));
  }
  return text;
}

}  // namespace

void Reconciler::SetPool(const std::string& id, int replicas, TimePoint) {
  CHECK(replicas >= 0, "a pool cannot want less than nothing");
  const auto [entry, added] = pools_.try_emplace(id);
  Pool& pool = entry->second;
  const bool returned = std::exchange(pool.removed, false);
  if (added || returned) routes_changed_ = true;
  if (!added && !returned && pool.wanted == replicas) return;
  pool.wanted = replicas;
  WakeAt(id, pool, TimePoint::min());
}

void Reconciler::RemovePool(const std::string& id, TimePoint) {
  const auto found = pools_.find(id);
  if (found == pools_.end() || found->second.removed) return;
  found->second.removed = true;
  routes_changed_ = true;
  WakeAt(id, found->second, TimePoint::min());
}

std::optional<std::uint64_t> Reconciler::Adopt(const std::string& id, int place, TimePoint now) {
  Pool& pool = pools_.at(id);
  const std::uint64_t replica = next_replica_;
  if (!pool.slots.emplace(place, ReplicaSlot::Adopted(now, replica)).second) return std::nullopt;
  ++next_replica_;
  places_.emplace(replica, std::pair(id, place));
  WakeAt(id, pool, TimePoint::min());
  return replica;
}

void Reconciler::OnProbe(std::uint64_t replica, bool healthy, const std::string& reason,
                         TimePoint now) {
  const Found found = Find(replica);
  if (found.slot == nullptr) return;
  const bool routed = IsRouted(*found.pool, *found.slot);
  found.slot->OnProbe(healthy, reason, now, settings_);
  if (routed != IsRouted(*found.pool, *found.slot)) routes_changed_ = true;
  WakeAt(*found.id, *found.pool, TimePoint::min());
}

void Reconciler::OnExit(std::uint64_t replica, const std::string& reason, TimePoint now) {
  const Found found = Find(replica);
  if (found.slot == nullptr) return;
  if (IsRouted(*found.pool, *found.slot)) routes_changed_ = true;
  found.slot->OnExit(reason, now, settings_);
  WakeAt(*found.id, *found.pool, TimePoint::min());
  places_.erase(replica);
}

void Reconciler::OnNoCapacity(std::uint64_t replica, const std::string& reason, TimePoint now) {
  const Found found = Find(replica);
  if (found.slot == nullptr) return;
  found.slot->OnNoCapacity(reason, now, settings_);
  WakeAt(*found.id, *found.pool, TimePoint::min());
  places_.erase(replica);
}

std::vector<Action> Reconciler::Step(TimePoint now) {
  std::vector<Action> actions;
  // A pool's own step may only move its wake to later, so this ends.
  while (!wakes_.empty() && wakes_.begin()->first <= now) {
    StepPool(std::string(wakes_.begin()->second), now, actions);
  }
  if (routes_changed_) {
    // First: requests must stop coming before a replica is asked to end.
    actions.insert(actions.begin(), PublishRoutes{});
    routes_changed_ = false;
  }
  return actions;
}

void Reconciler::StepPool(const std::string& id, TimePoint now, std::vector<Action>& actions) {
  Pool& pool = pools_.at(id);
  FitSlots(pool, now);
  StepSlots(id, pool, now, actions);
  if (pool.removed && pool.slots.empty()) {
    wakes_.erase({pool.wake, id});
    pools_.erase(id);
    return;
  }
  TimePoint wake = TimePoint::max();
  for (const auto& [place, slot] : pool.slots) wake = std::min(wake, slot.NextWake(settings_));
  // What is due has been done; a time that has passed would only turn in circles.
  WakeAt(id, pool, std::max(wake, now + Duration(1)));
}

void Reconciler::WakeAt(const std::string& id, Pool& pool, TimePoint when) {
  if (pool.wake != TimePoint::max()) wakes_.erase({pool.wake, id});
  pool.wake = when;
  if (when != TimePoint::max()) wakes_.emplace(when, id);
}

// Adds places, lowest number first, or retires them, highest first.
void Reconciler::FitSlots(Pool& pool, TimePoint now) {
  const int wanted = pool.removed ? 0 : pool.wanted;
  auto active = static_cast<int>(
      std::ranges::count_if(pool.slots, [](const auto& entry) { return !entry.second.retired(); }));
  for (int place = 0; active < wanted; ++place) {
    if (pool.slots.try_emplace(place, now).second) ++active;
  }
  for (auto& [place, slot] : std::views::reverse(pool.slots)) {
    if (active <= wanted) break;
    if (slot.retired()) continue;
    if (IsRouted(pool, slot)) routes_changed_ = true;
    slot.Retire(now);
    --active;
  }
}

void Reconciler::StepSlots(const std::string& id, Pool& pool, TimePoint now,
                           std::vector<Action>& actions) {
  for (auto& [place, slot] : pool.slots) {
    for (;;) {
      const bool routed = IsRouted(pool, slot);
      const auto want = slot.Next(now, settings_, next_replica_);
      if (routed != IsRouted(pool, slot)) routes_changed_ = true;
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
  std::erase_if(pool.slots, [](const auto& entry) { return entry.second.phase() == Phase::kGone; });
}

TimePoint Reconciler::NextWake() const {
  if (routes_changed_) return TimePoint::min();
  return wakes_.empty() ? TimePoint::max() : wakes_.begin()->first;
}

PoolStatus Reconciler::StatusOf(const std::string& id, TimePoint now) const {
  const auto found = pools_.find(id);
  if (found == pools_.end() || found->second.removed) return {};
  const Pool& pool = found->second;
  PoolStatus status{.wanted = pool.wanted};
  for (const auto& [place, slot] : pool.slots) {
    if (slot.retired()) continue;
    if (slot.phase() == Phase::kReady) {
      ++status.ready;
      if (now - slot.since() >= kWarmUp) ++status.warm;
    }
    status.failures = std::max(status.failures, slot.failures());
    status.start_time = std::max(status.start_time, slot.start_time());
    if (!slot.capacity_wait().empty()) status.no_capacity = slot.capacity_wait();
  }
  status.message = MessageOf(pool, status.ready, now);
  return status;
}

std::string Reconciler::MessageOf(const Pool& pool, int ready, TimePoint now) {
  std::string message;
  if (ready < pool.wanted) message = fmt::format("{} of {} replicas ready.", ready, pool.wanted);
  const ReplicaSlot* worst = nullptr;  // The one with most failures in a row.
  const std::string* no_room = nullptr;
  for (const auto& [place, slot] : pool.slots) {
    if (slot.retired()) continue;
    if (!slot.capacity_wait().empty()) no_room = &slot.capacity_wait();
    if (slot.failures() == 0) continue;
    if (worst == nullptr || slot.failures() > worst->failures()) worst = &slot;
  }
  const auto add = [&message](const std::string& text) {
    if (!message.empty()) message += ' ';
    message += text;
  };
  if (no_room != nullptr) add(fmt::format("Waiting for capacity: {}.", *no_room));
  if (worst != nullptr) add(FailureText(*worst, now));
  return message;
}

std::vector<RoutedReplica> Reconciler::RoutedOf(const std::string& id) const {
  std::vector<RoutedReplica> routed;
  const auto found = pools_.find(id);
  if (found == pools_.end() || found->second.removed) return routed;
  for (const auto& [place, slot] : found->second.slots) {
    if (!IsRouted(found->second, slot)) continue;
    routed.push_back({.replica = slot.replica(), .draining = slot.phase() == Phase::kDraining});
  }
  return routed;
}

std::pair<std::string, int> Reconciler::PlaceOf(std::uint64_t replica) const {
  const auto found = places_.find(replica);
  return found == places_.end() ? std::pair<std::string, int>() : found->second;
}

Reconciler::Found Reconciler::Find(std::uint64_t replica) {
  const auto found = places_.find(replica);
  if (found == places_.end()) return {};
  Pool& pool = pools_.at(found->second.first);
  return {.id = &found->second.first, .pool = &pool, .slot = &pool.slots.at(found->second.second)};
}

bool Reconciler::IsRouted(const Pool& pool, const ReplicaSlot& slot) {
  return !pool.removed && (slot.phase() == Phase::kReady || slot.phase() == Phase::kDraining);
}

}  // namespace penstock::control
