#include "policy/green_turns.h"

#include <algorithm>
#include <array>
#include <span>

namespace penstock::policy {

void GreenTurns::Add(LaneId id, RequestId request, TimePoint in_time_until) {
  Line& line = lines_[id];
  if (line.hopeful.empty() && line.late.empty()) line.turn = std::max(line.turn, floor_);
  if (line.hopeful.empty()) hopeful_.emplace(line.turn, id);
  line.hopeful.emplace(request, in_time_until);
  ++waiting_;
}

void GreenTurns::Remove(LaneId id, RequestId request) {
  const auto found = lines_.find(id);
  if (found == lines_.end()) return;
  Line& line = found->second;
  if (line.hopeful.erase(request) != 0) {
    if (line.hopeful.empty()) hopeful_.erase({line.turn, id});
    --waiting_;
  } else if (line.late.erase(request) != 0) {
    if (line.late.empty()) late_.erase({line.turn, id});
    --waiting_;
  }
}

void GreenTurns::MoveLate(LaneId id, Line& line, TimePoint now) {
  while (!line.hopeful.empty() && line.hopeful.begin()->second < now) {
    if (line.late.empty()) late_.emplace(line.turn, id);
    line.late.insert(line.hopeful.begin()->first);
    line.hopeful.erase(line.hopeful.begin());
  }
  if (line.hopeful.empty()) hopeful_.erase({line.turn, id});
}

RequestId GreenTurns::TakeHopeful(LaneId id, Line& line) {
  const RequestId request = line.hopeful.begin()->first;
  line.hopeful.erase(line.hopeful.begin());
  if (line.hopeful.empty()) hopeful_.erase({line.turn, id});
  return request;
}

RequestId GreenTurns::TakeLate(LaneId id, Line& line) {
  const RequestId request = *line.late.begin();
  line.late.erase(line.late.begin());
  if (line.late.empty()) late_.erase({line.turn, id});
  return request;
}

std::optional<LaneId> GreenTurns::MostUrgent(TimePoint now) {
  while (!hopeful_.empty()) {
    std::array<LaneId, kLookedAtMax> looked_at;
    std::size_t count = 0;
    for (const auto& [turn, id] : hopeful_) {
      if (count == kLookedAtMax || turn > hopeful_.begin()->first + kEqualTurns) break;
      looked_at[count++] = id;
    }
    std::optional<LaneId> best;
    TimePoint soonest = TimePoint::max();
    for (const LaneId id : std::span(looked_at).first(count)) {
      Line& line = lines_.at(id);
      MoveLate(id, line, now);
      if (line.hopeful.empty() || (best && line.hopeful.begin()->second >= soonest)) continue;
      best = id;
      soonest = line.hopeful.begin()->second;
    }
    if (best) return best;
  }
  return std::nullopt;
}

std::optional<std::pair<LaneId, RequestId>> GreenTurns::Next(TimePoint now) {
  const auto urgent = MostUrgent(now);
  if (urgent && (late_.empty() || ++since_late_ < kLateTurn)) {
    --waiting_;
    return std::pair{*urgent, TakeHopeful(*urgent, lines_.at(*urgent))};
  }
  if (late_.empty()) return std::nullopt;
  since_late_ = 0;
  --waiting_;
  const LaneId id = late_.begin()->second;
  return std::pair{id, TakeLate(id, lines_.at(id))};
}

void GreenTurns::Started(LaneId id, double turn) {
  Line& line = lines_[id];
  const double old = line.turn;
  floor_ = std::max(floor_, old);
  // Only where nobody waits may this lane have been idle.
  line.turn = (waiting_ == 0 ? floor_ : old) + turn;
  if (hopeful_.erase({old, id}) != 0) hopeful_.emplace(line.turn, id);
  if (late_.erase({old, id}) != 0) late_.emplace(line.turn, id);
}

void GreenTurns::Forget(LaneId id) { lines_.erase(id); }

std::size_t GreenTurns::late() const {
  std::size_t count = 0;
  for (const auto& [id, line] : lines_) count += line.late.size();
  return count;
}

}  // namespace penstock::policy
