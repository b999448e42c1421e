// Reconciler: brings what runs to what is wanted, endpoint by endpoint.
//
// A pure state machine: no clock, no process, no disk. The caller says what is wanted and what
// happened, calls Step(), does all that it answers in this order, and calls again at NextWake() or
// after the next news. Promises, for any history: a place never has two replicas; nothing starts
// for an endpoint that was removed; a replica that takes requests is drained before it is stopped;
// each start after a failure waits for its back-off; every replica that was started is seen to its
// end.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "base/clock.h"
#include "control/endpoint.h"
#include "control/replica_slot.h"

namespace penstock::control {

struct ReconcilerSettings {
  ReplicaSettings replica = {};
  // A configuration that was never in effect has failed after so many starts of one replica in a
  // row, or after so long. Attempts go on; if they succeed, it is in effect after all.
  int start_attempts_max = 5;
  Duration update_max = std::chrono::minutes(10);
};

struct StartReplica {
  std::uint64_t replica = 0;  // 1 upward; never given twice.
  std::string endpoint_id;
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
// Endpoints or the replicas that take requests have changed: publish a new routing table.
struct PublishRoutes {
  bool operator==(const PublishRoutes&) const = default;
};
// Store the new state of the endpoint's update.
struct RecordUpdate {
  std::string endpoint_id;
  UpdateState state = UpdateState::kInProgress;
  std::string message;
  bool operator==(const RecordUpdate&) const = default;
};
using Action = std::variant<StartReplica, ProbeReplica, TerminateReplica, KillReplica,
                            PublishRoutes, RecordUpdate>;

// A replica that has a part in the routing table.
struct RoutedReplica {
  std::uint64_t replica = 0;
  bool draining = false;
};

class Reconciler {
 public:
  explicit Reconciler(ReconcilerSettings settings = {}) : settings_(settings) {}

  // Wants `replicas` (at least 1) for a new or a known endpoint. `update` says where a new one
  // stands: kNotUpdating for one that was in effect before a restart.
  void SetEndpoint(const std::string& endpoint_id, int replicas, UpdateState update, TimePoint now);
  // Wants nothing for it any more. Unknown ids are ignored.
  void RemoveEndpoint(const std::string& endpoint_id, TimePoint now);

  // News. Replicas that ended are ignored, so news may come late.
  void OnProbe(std::uint64_t replica, bool healthy, const std::string& reason, TimePoint now);
  void OnExit(std::uint64_t replica, const std::string& reason, TimePoint now);

  std::vector<Action> Step(TimePoint now);
  TimePoint NextWake() const;

  // Of an endpoint that is wanted; a default one otherwise. The message may name times relative to
  // now.
  EndpointStatus StatusOf(const std::string& endpoint_id, TimePoint now) const;
  std::vector<RoutedReplica> RoutedOf(const std::string& endpoint_id) const;

  // Replicas that live: started, and not known to have ended.
  std::size_t living() const { return places_.size(); }

 private:
  struct Endpoint {
    bool removed = false;
    int replicas = 1;
    UpdateState update = UpdateState::kInProgress;
    TimePoint update_since{};
    std::map<int, ReplicaSlot> slots;  // By place.
  };

  void FitSlots(Endpoint& endpoint, TimePoint now);
  void StepSlots(const std::string& id, Endpoint& endpoint, TimePoint now,
                 std::vector<Action>& actions);
  void StepUpdate(const std::string& id, Endpoint& endpoint, TimePoint now,
                  std::vector<Action>& actions);
  // Where a living replica is; nullptr, nullptr for others.
  std::pair<const Endpoint*, ReplicaSlot*> Find(std::uint64_t replica);
  static bool IsRouted(const Endpoint& endpoint, const ReplicaSlot& slot);
  static const ReplicaSlot* WorstOf(const Endpoint& endpoint);
  static int ReadyIn(const Endpoint& endpoint);

  ReconcilerSettings settings_;
  std::map<std::string, Endpoint> endpoints_;
  std::unordered_map<std::uint64_t, std::pair<std::string, int>> places_;  // Of living replicas.
  std::uint64_t next_replica_ = 1;
  bool routes_changed_ = false;
};

}  // namespace penstock::control
