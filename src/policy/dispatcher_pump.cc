// Who of those that wait starts now: the half of Dispatcher that time and endings set off.
#include <algorithm>
#include <utility>

#include "base/check.h"
#include "policy/dispatcher.h"

namespace penstock::policy {

Dispatcher::Waiting* Dispatcher::HeadOf(Lane& lane) {
  while (!lane.line.empty()) {
    const auto found = waiting_.find(lane.line.front());
    if (found != waiting_.end() && !found->second.green) return &found->second;
    lane.line.pop_front();
  }
  return nullptr;
}

// Charges ceilings for those at the head of a line, and promotes those that the floor covers.
void Dispatcher::Promote(TimePoint now) {
  for (std::size_t i = 0; i < active_.size();) {
    Lane& lane = *lanes_[active_[i]];
    for (Waiting* head = HeadOf(lane); head != nullptr; head = HeadOf(lane)) {
      const double cost = head->estimate.cost;
      if (!head->capped && !lane.IsBelowCap(cost, now)) break;
      if (!std::exchange(head->capped, true)) lane.cap.Take(cost, now);
      if (!lane.IsWithinGuarantee(cost, now)) break;
      lane.guarantee.Take(cost, now);
      ++lane.counts.promoted;
      head->green = true;
      head->deadline = now + lane.policy.ttft_target;
      green_.Add(active_[i], lane.line.front(), head->deadline - ReadTime(head->estimate));
      lane.line.pop_front();
    }
    if (lane.line.empty()) {
      active_.erase(active_.begin() + static_cast<std::ptrdiff_t>(i));
    } else {
      ++i;
    }
  }
}

void Dispatcher::StartWaiting(RequestId id, Colour colour, TimePoint now) {
  const auto found = waiting_.find(id);
  CHECK(found != waiting_.end(), "who starts has waited");
  Waiting waiting = std::move(found->second);
  waiting_.erase(found);
  const auto replica = replicas_.Choose(waiting.arrival.prefix, {}, now);
  CHECK(replica, "a set with room answers");
  Lane& lane = *lanes_[waiting.arrival.lane];
  --lane.waiting;
  queued_ -= waiting.estimate.cost;
  // A green one's cost was taken from the guarantee when it turned green.
  if (colour == Colour::kGreen) lane.guarantee.Give(waiting.estimate.cost, now);
  Grant grant =
      Start(waiting.arrival, waiting.estimate, colour, waiting.quota_tokens, *replica, now);
  if (colour == Colour::kGreen) grant.deadline = waiting.deadline;
  started_.emplace_back(id, std::move(grant));
}

// From a request's start to its first token on a replica that does nothing else but decode.
Duration Dispatcher::ReadTime(const Estimate& estimate) const {
  constexpr double kBesideDecoding = 1.3;
  constexpr Duration kStep = std::chrono::milliseconds(100);
  if (policy_.replica_cost_per_s <= 0) return {};
  const double seconds = std::min(
      kBesideDecoding * static_cast<double>(estimate.input_tokens) / policy_.replica_cost_per_s,
      1e6);
  return kStep + Duration(static_cast<std::int64_t>(1e9 * seconds));
}

bool Dispatcher::StartGreen(TimePoint now) {
  const auto next = green_.Next(now + replicas_.PrefillAhead(now));
  if (!next) return false;
  StartWaiting(next->second, Colour::kGreen, now);
  return true;
}

bool Dispatcher::StartYellow(TimePoint now) {
  if (replicas_.Saturation() >= policy_.saturation) return false;
  Lane* best = nullptr;
  for (const LaneId id : active_) {
    Lane& lane = *lanes_[id];
    const Waiting* const head = HeadOf(lane);
    if (head == nullptr || !head->capped) continue;
    if (best == nullptr || lane.virtual_share() < best->virtual_share()) best = &lane;
  }
  if (best == nullptr) return false;
  const RequestId id = best->line.front();
  best->line.pop_front();
  StartWaiting(id, Colour::kYellow, now);
  return true;
}

void Dispatcher::Pump(TimePoint now) {
  if (waiting_.empty()) return;
  Promote(now);
  while (replicas_.ready() > 0 && replicas_.HasRoom(now)) {
    if (StartGreen(now)) continue;
    if (!StartYellow(now)) break;
    Promote(now);  // The next of that line may be due.
  }
}

TimePoint Dispatcher::NextWake(TimePoint now) {
  Duration wait = Duration::max();
  for (const LaneId id : active_) {
    Lane& lane = *lanes_[id];
    const Waiting* const head = HeadOf(lane);
    if (head == nullptr) continue;
    const double cost = head->estimate.cost;
    const bool by_level = lane.policy.accounting == Accounting::kUtilization;
    if (!head->capped) {
      wait =
          std::min(wait, by_level ? lane.cap.UntilPositive(now) : lane.cap.UntilCovers(cost, now));
    } else if (lane.policy.guarantee_per_s > 0) {
      wait = std::min(wait, by_level ? lane.guarantee.UntilPositive(now)
                                     : lane.guarantee.UntilCovers(cost, now));
    }
  }
  const TimePoint room_at = waiting_.empty() ? TimePoint::max() : replicas_.RoomAt(now);
  return wait == Duration::max() ? room_at : std::min(room_at, now + wait);
}

}  // namespace penstock::policy
