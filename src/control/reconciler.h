// Reconciler: brings the replicas that run to those that are wanted, pool by pool.
//
// A pure state machine: no clock, no process, no disk. The caller says what is wanted and what
// happened, calls Step(), does all that it answers in this order, and calls again at NextWake() or
// after the next news. Promises, for any history: a place never has two replicas; nothing starts
// for a pool that was removed; a replica that takes requests is drained before it is stopped; each
// start after a failure waits for its back-off; every replica that was started is seen to its end.
// A step costs what changed, not what there is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "control/replica_slot.h"

namespace penstock::control {

struct StartReplica {
  std::uint64_t replica = 0;  // 1 upward; never given twice.
  std::string pool;
  int place = 0;  // 0 upward; the successor of a failed replica has the same.
  bool operator==(const StartReplica&) const = default;
};
struct ProbeReplica {
  std::uint64_t replica = 0;
  bool operator==(const ProbeReplica&) const = default;
};
struct TerminateReplica {
  std::uint64_t replica = 0;
  bool operator==(const TerminateReplica&) const = default;
};
struct KillReplica {
  std::uint64_t replica = 0;
  bool operator==(const KillReplica&) const = default;
};
// Pools or the replicas that take requests have changed: publish a new routing table.
struct PublishRoutes {
  bool operator==(const PublishRoutes&) const = default;
};
using Action =
    std::variant<StartReplica, ProbeReplica, TerminateReplica, KillReplica, PublishRoutes>;

// A replica that has a part in the routing table.
struct RoutedReplica {
  std::uint64_t replica = 0;
  bool draining = false;
};

// What stands in a pool at this moment.
struct PoolStatus {
  int wanted = 0;
  int ready = 0;
  int warm = 0;             // Of the ready ones, those that were ready for `warm_up` and longer.
  int failures = 0;         // In a row, of the place with most.
  std::string message;      // For people: why not all are ready; "" where there is nothing to say.
  std::string no_capacity;  // Why there is no room for the missing ones; "" unless there is none.
  Duration start_time{};    // The longest last start of its places.
};

class Reconciler {
 public:
  explicit Reconciler(ReplicaSettings settings = {}) : settings_(settings) {}

  // Wants `replicas` (0 or more) in a new or a known pool.
  void SetPool(const std::string& pool, int replicas, TimePoint now);
  // Wants nothing of it any more. Unknown ids are ignored.
  void RemovePool(const std::string& pool, TimePoint now);
  // A replica that was found running in this place. Answers its number; nullopt: the place is taken
  // already.
  std::optional<std::uint64_t> Adopt(const std::string& pool, int place, TimePoint now);

  // News. Replicas that ended are ignored, so news may come late. OnNoCapacity: the start that was
  // asked for did not happen.
  void OnProbe(std::uint64_t replica, bool healthy, const std::string& reason, TimePoint now);
  void OnExit(std::uint64_t replica, const std::string& reason, TimePoint now);
  void OnNoCapacity(std::uint64_t replica, const std::string& reason, TimePoint now);

  // The next Step() publishes.
  void Republish() { routes_changed_ = true; }

  std::vector<Action> Step(TimePoint now);
  TimePoint NextWake() const;

  // Of a pool that is wanted; a default one otherwise. The message may name times relative to now.
  PoolStatus StatusOf(const std::string& pool, TimePoint now) const;
  std::vector<RoutedReplica> RoutedOf(const std::string& pool) const;
  // The pool and place of a replica that lives; "", 0 otherwise.
  std::pair<std::string, int> PlaceOf(std::uint64_t replica) const;

  // Replicas that live: started, and not known to have ended.
  std::size_t living() const { return places_.size(); }
  std::size_t pools() const { return pools_.size(); }

 private:
  struct Pool {
    bool removed = false;
    int wanted = 1;
    std::map<int, ReplicaSlot> slots;   // By place.
    TimePoint wake = TimePoint::max();  // Its entry in wakes_.
  };

  void FitSlots(Pool& pool, TimePoint now);
  void StepSlots(const std::string& id, Pool& pool, TimePoint now, std::vector<Action>& actions);
  void StepPool(const std::string& id, TimePoint now, std::vector<Action>& actions);
  void WakeAt(const std::string& id, Pool& pool, TimePoint when);
  // Where a living replica is; nullptr for others.
  struct Found {
    const std::string* id = nullptr;
    Pool* pool = nullptr;
    ReplicaSlot* slot = nullptr;
  };
  Found Find(std::uint64_t replica);
  static bool IsRouted(const Pool& pool, const ReplicaSlot& slot);
  static std::string MessageOf(const Pool& pool, int ready, TimePoint now);

  ReplicaSettings settings_;
  std::map<std::string, Pool> pools_;
  std::set<std::pair<TimePoint, std::string>> wakes_;                      // One entry a pool.
  std::unordered_map<std::uint64_t, std::pair<std::string, int>> places_;  // Of living replicas.
  std::uint64_t next_replica_ = 1;
  bool routes_changed_ = false;
};

}  // namespace penstock::control
