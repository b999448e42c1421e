// Dispatcher: who runs on a pool's replicas, and when.
//
// A pure state machine; `now` never goes back. Each lane (a served entity's contract) reserves what
// a request is expected to cost before it runs. Within its lane's guarantee a request is green: it
// starts before all others, in fair turns (policy/green_turns.h). Beyond it, yellow: it starts
// while the pool is below its saturation, in turns by what each lane drew beyond its guarantee over
// its weight (VTC). Waiting requests keep their order within a lane; as soon as the guarantee
// covers the first of a line, it is promoted to green.
//
// A request that starts gets a Grant. Whoever has it gives it back exactly once, by Finish().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "policy/green_turns.h"
#include "policy/lane.h"
#include "policy/pool_load.h"
#include "policy/replica_set.h"
#include "policy/retry_budget.h"

namespace penstock::policy {

struct Arrival {
  LaneId lane = 0;
  RequestSize size = {};
  PromptPrefix prefix = {};
};

// A request that runs, and what is reserved for it. Moves; an empty one holds nothing.
struct Grant {
  Grant() = default;
  Grant(Grant&& other) noexcept { *this = std::move(other); }
  Grant& operator=(Grant&& other) noexcept {
    lane = other.lane;
    replica = other.replica;
    colour = other.colour;
    estimate = other.estimate;
    charged = other.charged;
    unread = other.unread;
    quota_tokens = other.quota_tokens;
    started_at = other.started_at;
    deadline = other.deadline;
    size = other.size;
    held = std::exchange(other.held, false);
    return *this;
  }

  LaneId lane = 0;
  std::uint64_t replica = 0;
  Colour colour = Colour::kYellow;
  Estimate estimate;
  double charged = 0;  // To the buckets, so far: the estimate, then what went beyond it.
  double unread = 0;   // Prompt tokens that the replica has before it until the first token comes.
  std::int64_t quota_tokens = 0;
  TimePoint started_at{};
  TimePoint deadline = TimePoint::max();  // For its first token, if it is green.
  RequestSize size;
  bool held = false;
};

struct Answer {
  enum class Kind : std::uint8_t { kStart, kQueue, kRefuse };
  Kind kind = Kind::kRefuse;
  Grant grant;       // kStart.
  RequestId id = 0;  // kQueue: TakeStarted() will name it, unless Leave() does first.
  Refusal refusal = Refusal::kNone;  // kRefuse.
  Duration retry_after{};            // kRefuse: when it would fit, as things are.
};

// How a request ended.
struct Ending {
  std::optional<TokenCounts> actual = {};  // What it consumed; none: nothing at all.
  bool whole = false;                      // To its natural end, so that its length teaches.
  ReplicaSet::Fate fate = ReplicaSet::Fate::kGood;
};

class Dispatcher {
 public:
  void Configure(const PoolPolicy& policy, std::span<const ReplicaRoute> replicas, TimePoint now);
  // Adds a lane, or changes it. The id holds until RemoveLane().
  LaneId SetLane(std::string_view key, const LanePolicy& policy, TimePoint now);
  // Requests that run or wait go on.
  void RemoveLane(std::string_view key);
  bool empty() const { return lane_ids_.empty() && replicas_.in_flight() == 0 && waiting_.empty(); }

  Answer Arrive(Arrival arrival, TimePoint now);
  // A waiting request is not wanted any more (its client left, or it waited too long: then
  // `refusal` is counted). False: it does not wait; it has started, or never did.
  bool Leave(RequestId id, Refusal refusal, TimePoint now);

  // It produced `cost` so far. Debits what goes beyond the estimate, so that a lane that
  // underestimates itself is held back before its requests end.
  void Progress(Grant& grant, double cost, TimePoint now);
  // Its first token has come, so its prompt is read. Once; no-op where nobody waits for it.
  void Begun(Grant& grant, TimePoint now);
  void Finish(Grant grant, const Ending& ending, TimePoint now);
  // Tokens that the request of `grant` can have produced within `elapsed`, where nobody counted
  // them: at the speed of its lane's answers, or else of a full replica by its calibration; never
  // more than it asked for. REQUIRES: grant.held.
  std::int64_t OutputWithin(const Grant& grant, Duration elapsed) const;

  // The replica of `grant` failed before anything of its answer was passed on: another one, if
  // there is one and the retry budget allows. False: the grant is as it was.
  bool Retry(Grant& grant, std::span<const std::uint64_t> tried, ReplicaSet::Fate fate,
             TimePoint now);

  // Time passed: starts what has become possible.
  void Pump(TimePoint now);
  // When Pump() may next start something by the passing of time alone.
  TimePoint NextWake(TimePoint now);
  // Waiting requests that were started since the last call, in that order.
  std::vector<std::pair<RequestId, Grant>> TakeStarted() { return std::exchange(started_, {}); }
  bool has_started() const { return !started_.empty(); }

  // False once RemoveLane() was called and its last request has ended.
  bool has_lane(LaneId id) const { return id < lanes_.size() && lanes_[id] != nullptr; }
  // REQUIRES: has_lane(id).
  Lane& lane(LaneId id) { return *lanes_[id]; }
  const ReplicaSet& replicas() const { return replicas_; }
  // Whether a prompt's blocks are of use: with one replica there is nothing to choose.
  bool wants_prefix() const { return replicas_.ready() > 1; }
  PoolLoad load() const;
  std::size_t waiting() const { return waiting_.size(); }
  // How long a request that waits from now on may do so.
  Duration queue_wait_max() const {
    return is_cold() ? policy_.cold_start_wait_max : policy_.queue_wait_max;
  }
  // No replica is ready, and requests wait for the first one.
  bool is_cold() const {
    return replicas_.ready() == 0 && policy_.cold_start_wait_max > Duration{};
  }
  std::size_t waiting_late() const { return green_.late(); }
  std::uint64_t retries() const { return retries_; }
  std::uint64_t retries_refused() const { return retries_refused_; }

 private:
  struct Waiting {
    Arrival arrival = {};
    Estimate estimate = {};
    std::int64_t quota_tokens = 0;
    bool capped = false;  // The ceiling's bucket was charged already.
    bool green = false;
    TimePoint deadline{};  // Of a green one.
  };

  Answer Refuse(Lane& lane, Refusal refusal, Duration retry_after, double cost);
  Answer Enqueue(Arrival arrival, const Estimate& estimate, std::int64_t quota_tokens, bool capped,
                 TimePoint now);
  bool MayStartAtOnce(const Lane& lane, Colour colour, TimePoint now) const;
  Grant Start(Arrival& arrival, const Estimate& estimate, Colour colour, std::int64_t quota_tokens,
              std::uint64_t replica, TimePoint now);
  void StartWaiting(RequestId id, Colour colour, TimePoint now);
  // The first of the lane's line, or nullptr; drops those that left.
  Waiting* HeadOf(Lane& lane);
  void Promote(TimePoint now);
  Duration ReadTime(const Estimate& estimate) const;
  bool StartGreen(TimePoint now);
  bool StartYellow(TimePoint now);
  void Activate(LaneId id);
  void DropIdle(LaneId id);
  Duration DrainTime(const Lane& lane) const;

  PoolPolicy policy_;
  ReplicaSet replicas_;
  RetryBudget budget_;
  std::vector<std::unique_ptr<Lane>> lanes_;  // By id, which is never used again; nullptr: gone.
  std::unordered_map<std::string, LaneId> lane_ids_;
  std::unordered_map<RequestId, Waiting> waiting_;
  GreenTurns green_;            // Those that wait.
  std::vector<LaneId> active_;  // Lanes with a line.
  double virtual_floor_ = 0;  // The share of the lane that was served last: newcomers begin there.
  std::vector<std::pair<RequestId, Grant>> started_;
  RequestId next_id_ = 1;
  double offered_ = 0;
  double refused_ = 0;
  double served_ = 0;
  double queued_ = 0;
  std::uint64_t retries_ = 0;
  std::uint64_t retries_refused_ = 0;
};

}  // namespace penstock::policy
