// Run: a simulation under way: its clock, its fleet, its requests. Private to the simulation's
// files.
#pragma once

#include <cstdint>
#include <deque>
#include <queue>
#include <unordered_map>
#include <utility>
#include <vector>

#include "plan/sim_prefix_cache.h"
#include "plan/sim_replica.h"
#include "plan/simulation.h"
#include "policy/dispatcher.h"

namespace penstock::plan::sim {

inline constexpr double kTickSeconds = 1;  // Of the autoscaler, as in production.
inline constexpr double kMinute = 60;

TimePoint At(double seconds);
std::uint64_t Micros(double seconds);

enum class EventKind : std::uint8_t { kReplica, kReady, kTick, kWake, kFailure };

struct Event {
  double at = 0;
  std::uint64_t order = 0;  // Equal times happen in the order in which they were planned.
  EventKind kind = EventKind::kTick;
  std::uint64_t replica = 0;
  std::uint64_t version = 0;  // Of the replica; an older one is void.
  bool operator>(const Event& other) const {
    return at != other.at ? at > other.at : order > other.order;
  }
};

// A request from its arrival to its end.
struct Live {
  std::size_t tenant = 0;
  const SimArrival* arrival = nullptr;  // Borrowed of the scenario.
  double arrived_at = 0;
  policy::Grant grant{};
  std::vector<std::uint64_t> prefix{};  // Chained hashes of its blocks.
  int cached_tokens = 0;
  double first_token_at = -1;
};

// A tenant's arrivals, as far as they came.
struct Source {
  std::size_t next = 0;
  std::deque<double> due{};  // Of a closed loop: when its users that pause send again, in order.
};

struct Running {
  SimReplica replica;
  SimPrefixCache prefixes;
  std::uint64_t version = 0;
  bool ready = false;
  bool draining = false;
  double started_at = 0;
  double ready_at = 0;
};

class Run {
 public:
  explicit Run(const Scenario& scenario);
  SimOutcome Go();

 private:
  void Plan(double at, EventKind kind, std::uint64_t replica = 0, std::uint64_t version = 0);
  void StartReplicas(int count, bool at_once);
  void Publish();
  void Arrive(std::size_t tenant, const SimArrival& arrival);
  void Begin(std::uint32_t id, policy::Grant grant);
  void Finish(std::uint32_t id, bool whole, policy::ReplicaSet::Fate fate);
  void Release(std::uint32_t id);
  void TakeStarted();
  void ExpireQueue();
  void OnReplica(const Event& event);
  void OnTick();
  void OnFailure(const SimFailure& failure);
  void Schedule(std::uint64_t id, Running& running);
  void StopReplicas(int count);
  void PlanWake();
  void Send(std::uint32_t id);
  std::pair<int, int> WarmAndCold() const;
  void Scale(int warm, int cold);
  void Drain(Running& running);
  double DueOf(std::size_t tenant) const;
  std::size_t NextArrival() const;
  void ArriveNext(std::size_t tenant);
  void Handle(const Event& event);
  void Sum();
  void Count(const Live& live, policy::Refusal refusal);
  double CostOf(const SimArrival& arrival, std::size_t tenant) const;
  void CloseReplica(std::uint64_t id);

  const Scenario& scenario_;
  SimOutcome outcome_;
  policy::Dispatcher dispatcher_;
  policy::Autoscaler autoscaler_;
  std::vector<policy::LaneId> lanes_;
  std::vector<Source> sources_;  // Of each tenant.
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  std::unordered_map<std::uint64_t, Running> replicas_;
  std::vector<std::uint64_t> replica_ids_;  // In order of their start; stable to walk.
  std::uint64_t next_replica_ = 1;
  int wanted_ = 0;  // Replicas that are not on their way out.
  std::vector<Live> live_;
  std::vector<std::uint32_t> free_;
  std::size_t under_way_ = 0;
  std::unordered_map<policy::RequestId, std::uint32_t> waiting_;
  std::deque<std::pair<double, policy::RequestId>> expiry_;  // All wait equally long at most.
  std::vector<SimReplica::Happening> happened_;
  double now_ = 0;
  double wake_at_ = SimReplica::kNever;
  double minute_offered_ = 0;
  double busy_s_ = 0;
  double lived_s_ = 0;
};

}  // namespace penstock::plan::sim
