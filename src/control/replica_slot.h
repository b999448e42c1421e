// ReplicaSlot: one place for a replica: started, probed, replaced when it fails, drained when it is
// no longer wanted. At most one replica lives in it at any time.
//
// A pure state machine: no clock, no process. The caller passes `now` (which never goes back), does
// what Next() answers, and tells what happened. Phases:
//
//   waiting -> starting -> ready -> draining -> stopping -> killing -> gone
//      ^___________|__________|  (an exit nobody asked for: back-off)
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/clock.h"

namespace penstock::control {

struct ReplicaSettings {
  Duration start_max = std::chrono::seconds(300);  // From start to the first good probe.
  Duration backoff_min = std::chrono::milliseconds(500);
  Duration backoff_max = std::chrono::seconds(30);    // 0.5, 1, 2, 4, 8, 16, 30, 30, … s
  Duration healthy_reset = std::chrono::seconds(60);  // Ready for so long: failures are forgotten.
  Duration probe_interval = std::chrono::seconds(2);  // Of a ready replica.
  int probe_failures_max = 3;                         // In a row: the replica is replaced.
  Duration capacity_retry = std::chrono::seconds(1);  // Without room: until it is tried again.
  // From leaving the routing table to SIGTERM: until every request thread has heard of it.
  Duration drain_wait = std::chrono::milliseconds(500);
  // From SIGTERM, upon which a replica finishes what it has, to SIGKILL.
  Duration stop_max = std::chrono::seconds(35);
};

class ReplicaSlot {
 public:
  enum class Phase { kWaiting, kStarting, kReady, kDraining, kStopping, kKilling, kGone };
  enum class Want { kNothing, kStart, kProbe, kTerminate, kKill };

  explicit ReplicaSlot(TimePoint now) : since_(now) {}
  // A place whose replica was found running, after a restart of the server.
  static ReplicaSlot Adopted(TimePoint now, std::uint64_t replica);

  // What to do now. Call again until kNothing. After kStart the slot holds replica() =
  // `next_replica`.
  Want Next(TimePoint now, const ReplicaSettings& settings, std::uint64_t next_replica);
  // When Next() may have something to do, if nothing is told meanwhile. TimePoint::max(): never.
  TimePoint NextWake(const ReplicaSettings& settings) const;

  // What happened to replica(). OnExit covers a failed start too.
  void OnProbe(bool healthy, const std::string& reason, TimePoint now,
               const ReplicaSettings& settings);
  void OnExit(const std::string& reason, TimePoint now, const ReplicaSettings& settings);
  // It could not be started, because there is no room for it now. No failure: it is tried again.
  void OnNoCapacity(const std::string& reason, TimePoint now, const ReplicaSettings& settings);

  // No longer wanted. Gone at once when nothing runs.
  void Retire(TimePoint now);

  Phase phase() const { return phase_; }
  bool retired() const { return retired_; }
  std::uint64_t replica() const { return replica_; }  // 0: none yet.
  int failures() const { return failures_; }          // In a row.
  const std::string& last_failure() const { return last_failure_; }
  TimePoint retry_at() const { return retry_at_; }  // While waiting.
  TimePoint since() const { return since_; }        // Of the phase.
  // Why there is no room for it; "" unless it waits for that.
  const std::string& capacity_wait() const { return capacity_wait_; }
  Duration start_time() const { return start_time_; }  // Of the last start; 0: never ready yet.

 private:
  void Enter(Phase phase, TimePoint now);
  Want NextStarting(TimePoint now, const ReplicaSettings& settings);
  Want NextReady(TimePoint now, const ReplicaSettings& settings);
  Want ProbeIfDue(TimePoint now);

  Phase phase_ = Phase::kWaiting;
  TimePoint since_;  // Of the phase.
  bool retired_ = false;
  std::uint64_t replica_ = 0;

  TimePoint retry_at_{TimePoint::min()};
  int failures_ = 0;
  std::string last_failure_;
  std::string verdict_;  // Why we stop it: the reason of the exit to come.
  std::string capacity_wait_;
  Duration start_time_{};

  TimePoint next_probe_{};
  bool probing_ = false;
  int failed_probes_ = 0;
};

}  // namespace penstock::control
