#include "control/replica_slot.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"

namespace penstock::control {
namespace {

// While a replica starts, probes follow at a tenth of its age: early ones cost a late start little,
// and a model that loads for minutes is not asked fifty times a second.
Duration StartProbeInterval(Duration age) {
  return std::clamp<Duration>(age / 10, std::chrono::milliseconds(20), std::chrono::seconds(1));
}

Duration Backoff(int failures, const ReplicaSettings& settings) {
  Duration delay = settings.backoff_min;
  for (int i = 1; i < failures && delay < settings.backoff_max; ++i) delay *= 2;
  return std::min(delay, settings.backoff_max);
}

}  // namespace

ReplicaSlot ReplicaSlot::Adopted(TimePoint now, std::uint64_t replica) {
  ReplicaSlot slot(now);
  slot.phase_ = Phase::kStarting;
  slot.replica_ = replica;
  slot.next_probe_ = now;
  return slot;
}

ReplicaSlot::Want ReplicaSlot::Next(TimePoint now, const ReplicaSettings& settings,
                                    std::uint64_t next_replica) {
  switch (phase_) {
    case Phase::kWaiting:
      if (now < retry_at_) return Want::kNothing;
      Enter(Phase::kStarting, now);
      replica_ = next_replica;
      next_probe_ = now;
      probing_ = false;
      failed_probes_ = 0;
      verdict_.clear();
      return Want::kStart;
    case Phase::kStarting:
      return NextStarting(now, settings);
    case Phase::kReady:
      return NextReady(now, settings);
    case Phase::kDraining:
      if (now - since_ < settings.drain_wait) return Want::kNothing;
      Enter(Phase::kStopping, now);
      return Want::kTerminate;
    case Phase::kStopping:
      if (now - since_ < settings.stop_max) return Want::kNothing;
      Enter(Phase::kKilling, now);
      return Want::kKill;
    case Phase::kKilling:
    case Phase::kGone:
      return Want::kNothing;
  }
  CHECK(false, "a phase outside its enum");
}

ReplicaSlot::Want ReplicaSlot::NextStarting(TimePoint now, const ReplicaSettings& settings) {
  const bool late = now - since_ >= settings.start_max;
  if (!late && !retired_) return ProbeIfDue(now);
  if (late) {
    verdict_ = fmt::format("did not become healthy within {:g} s", Seconds(settings.start_max));
  }
  Enter(Phase::kStopping, now);
  return Want::kTerminate;
}

ReplicaSlot::Want ReplicaSlot::NextReady(TimePoint now, const ReplicaSettings& settings) {
  if (failed_probes_ >= settings.probe_failures_max) {
    // It hangs: asking it politely would only lengthen the outage.
    Enter(Phase::kKilling, now);
    return Want::kKill;
  }
  if (failures_ > 0 && now - since_ >= settings.healthy_reset) {
    failures_ = 0;
    last_failure_.clear();
  }
  return ProbeIfDue(now);
}

ReplicaSlot::Want ReplicaSlot::ProbeIfDue(TimePoint now) {
  if (probing_ || now < next_probe_) return Want::kNothing;
  probing_ = true;
  return Want::kProbe;
}

TimePoint ReplicaSlot::NextWake(const ReplicaSettings& settings) const {
  const TimePoint probe = probing_ ? TimePoint::max() : next_probe_;
  switch (phase_) {
    case Phase::kWaiting:
      return retry_at_;
    case Phase::kStarting:
      return std::min(probe, since_ + settings.start_max);
    case Phase::kReady:
      return failures_ > 0 ? std::min(probe, since_ + settings.healthy_reset) : probe;
    case Phase::kDraining:
      return since_ + settings.drain_wait;
    case Phase::kStopping:
      return since_ + settings.stop_max;
    case Phase::kKilling:
    case Phase::kGone:
      return TimePoint::max();
  }
  CHECK(false, "a phase outside its enum");
}

void ReplicaSlot::OnProbe(bool healthy, const std::string& reason, TimePoint now,
                          const ReplicaSettings& settings) {
  probing_ = false;
  if (phase_ == Phase::kStarting) {
    next_probe_ = now + StartProbeInterval(now - since_);
    if (!healthy) return;
    start_time_ = now - since_;
    capacity_wait_.clear();
    Enter(Phase::kReady, now);
    next_probe_ = now + settings.probe_interval;
  } else if (phase_ == Phase::kReady) {
    next_probe_ = now + settings.probe_interval;
    failed_probes_ = healthy ? 0 : failed_probes_ + 1;
    if (!healthy) {
      verdict_ = fmt::format("failed {} health checks in a row: {}", failed_probes_, reason);
    }
  }
}

void ReplicaSlot::OnExit(const std::string& reason, TimePoint now,
                         const ReplicaSettings& settings) {
  if (retired_) {
    Enter(Phase::kGone, now);
    return;
  }
  if (phase_ == Phase::kReady && now - since_ >= settings.healthy_reset) failures_ = 0;
  // A verdict that probes overturned meanwhile does not count.
  const bool judged = phase_ == Phase::kStopping || phase_ == Phase::kKilling;
  last_failure_ = judged && !verdict_.empty() ? fmt::format("{}; {}", verdict_, reason) : reason;
  ++failures_;
  capacity_wait_.clear();
  retry_at_ = now + Backoff(failures_, settings);
  Enter(Phase::kWaiting, now);
}

void ReplicaSlot::OnNoCapacity(const std::string& reason, TimePoint now,
                               const ReplicaSettings& settings) {
  if (retired_) {
    Enter(Phase::kGone, now);
    return;
  }
  capacity_wait_ = reason;
  retry_at_ = now + settings.capacity_retry;
  Enter(Phase::kWaiting, now);
}

void ReplicaSlot::Retire(TimePoint now) {
  if (retired_) return;
  retired_ = true;
  if (phase_ == Phase::kWaiting) Enter(Phase::kGone, now);
  if (phase_ == Phase::kReady) Enter(Phase::kDraining, now);
}

void ReplicaSlot::Enter(Phase phase, TimePoint now) {
  phase_ = phase;
  since_ = now;
}

}  // namespace penstock::control
