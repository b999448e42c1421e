// GreenTurns: in which order green requests that wait are started.
//
// Lanes take turns by start-time fair queueing: each request puts its lane's turn off by its cost
// over the lane's guarantee, and a lane that was idle begins where the others are. So whoever keeps
// to its guarantee is not held up by another's burst, and what one leaves unused the others get.
// Between turns that are about equal the earliest deadline decides. Within a lane they start as
// they came, but for those that cannot be in time any more: they give way to all that still can,
// and get every kLateTurn-th start, so that nobody starves. (Earliest deadline first would serve
// the late ones first, and make all late once there is too much.)
//
// A pure state machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>

#include "base/clock.h"
#include "policy/lane.h"

namespace penstock::policy {

using LaneId = std::uint32_t;

class GreenTurns {
 public:
  static constexpr int kLateTurn = 4;
  // Turns that differ by less count as equal: seconds of a lane's guarantee, about what the usual
  // target leaves a deadline.
  static constexpr double kEqualTurns = 2;
  // Lanes of equal turns that are looked at.
  static constexpr std::size_t kLookedAtMax = 16;

  // It waits from now on. `in_time_until`: when it must start, at the latest, to be in time.
  void Add(LaneId lane, RequestId id, TimePoint in_time_until);
  // It does not want to any more.
  void Remove(LaneId lane, RequestId id);
  // Whose turn it is to start at `now`; it waits no more. nullopt: nobody waits.
  std::optional<std::pair<LaneId, RequestId>> Next(TimePoint now);
  // A green request of `lane` started, whether it has waited or not. `turn`: its cost over the
  // lane's guarantee.
  void Started(LaneId lane, double turn);
  // The lane is gone. REQUIRES: nobody of it waits.
  void Forget(LaneId lane);

  bool empty() const { return waiting_ == 0; }
  std::size_t late() const;

 private:
  struct Line {
    double turn = 0;
    std::map<RequestId, TimePoint> hopeful;  // Ids ascend as requests come.
    std::set<RequestId> late;
  };
  using Turns = std::set<std::pair<double, LaneId>>;  // Of lanes that have somebody there.
  void MoveLate(LaneId id, Line& line, TimePoint now);
  // The lane whose first hopeful one is the most urgent of those whose turn it is.
  std::optional<LaneId> MostUrgent(TimePoint now);
  RequestId TakeHopeful(LaneId id, Line& line);
  RequestId TakeLate(LaneId id, Line& line);

  std::unordered_map<LaneId, Line> lines_;
  Turns hopeful_;
  Turns late_;
  double floor_ = 0;    // The turn of the lane that started last: newcomers begin there.
  int since_late_ = 0;  // Starts since a late one's.
  std::size_t waiting_ = 0;
};

}  // namespace penstock::policy
