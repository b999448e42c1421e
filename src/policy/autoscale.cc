#include "policy/autoscale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/check.h"
#include "policy/capacity.h"

namespace penstock::policy {
namespace {

constexpr int kReplicasMax = 1'000'000;  // Keeps the conversion to int defined.

int CeilReplicas(double replicas) {
  // A rounding error of the sum must not cost a whole replica.
  constexpr double kSlack = 1e-9;
  return static_cast<int>(
      std::clamp(std::ceil(replicas - kSlack), 0.0, static_cast<double>(kReplicasMax)));
}

// `total` since the first gateway started: what a restart set back goes on.
double Continue(double total, const double* before, double& base) {
  if (before != nullptr && total < *before) base += *before;
  return base + total;
}

}  // namespace

std::string_view ToString(AutoscaleRule rule) {
  switch (rule) {
    case AutoscaleRule::kNoData:
      return "no_data";
    case AutoscaleRule::kUncalibrated:
      return "uncalibrated";
    case AutoscaleRule::kFloor:
      return "floor";
    case AutoscaleRule::kCeiling:
      return "ceiling";
    case AutoscaleRule::kUp:
      return "up";
    case AutoscaleRule::kSteady:
      return "steady";
    case AutoscaleRule::kAtCeiling:
      return "at_ceiling";
    case AutoscaleRule::kRecentPeak:
      return "recent_peak";
    case AutoscaleRule::kShortHistory:
      return "short_history";
    case AutoscaleRule::kRestTooFull:
      return "rest_too_full";
    case AutoscaleRule::kPauseAfterDown:
      return "pause_after_down";
    case AutoscaleRule::kDown:
      return "down";
  }
  CHECK(false, "an AutoscaleRule outside its enum");
}

void Autoscaler::Observe(TimePoint now, const Observation& observation) {
  if (!observation.load) return;
  const PoolLoad& load = *observation.load;
  const double offered = Continue(load.offered_cost_total,
                                  last_ ? &last_->offered_cost_total : nullptr, offered_base_);
  const double served =
      Continue(load.served_cost_total, last_ ? &last_->served_cost_total : nullptr, served_base_);
  last_ = load;
  if (samples_.empty()) first_at_ = now;
  // After a gap the mean would be a guess about what nobody saw.
  if (!samples_.empty() && now - samples_.back().at > settings_.stale_after) {
    samples_.clear();
    needs_.clear();
    first_at_ = now;
  }
  const Sample sample{.at = now,
                      .offered = offered,
                      .served = served,
                      .queued = load.queued_cost,
                      .warm = observation.warm,
                      .cold = observation.cold};
  const bool soon = samples_.size() > 1 &&
                    now - samples_[samples_.size() - 2].at < std::chrono::milliseconds(900);
  if (soon) {
    samples_.back() = sample;
  } else {
    samples_.push_back(sample);
  }
  // One sample at or before the window's begin stays: the difference needs it.
  while (samples_.size() > 2 && samples_[1].at <= now - settings_.peak_over) samples_.pop_front();
  Learn(now);
}

double Autoscaler::MeanOver(Duration window, TimePoint now) const {
  if (samples_.size() < 2) return 0;
  const auto after = std::ranges::upper_bound(samples_, now - window, {}, &Sample::at);
  const Sample& from = after == samples_.begin() ? samples_.front() : *std::prev(after);
  const Duration seen =
      std::max(samples_.back().at - from.at, std::min(settings_.history_min, window));
  return (samples_.back().offered - from.offered) / Seconds(seen);
}

// What replicas do while work waits is what they can do.
void Autoscaler::Learn(TimePoint now) {
  const TimePoint begin = now - settings_.mean_over;
  if (samples_.size() < 2 || samples_.front().at > begin) return;
  const auto after = std::ranges::upper_bound(samples_, begin, {}, &Sample::at);
  const Sample& from = *std::prev(after);
  double replica_seconds = 0;
  for (auto sample = std::prev(after); std::next(sample) != samples_.end(); ++sample) {
    const Sample& next = *std::next(sample);
    if (next.queued <= 0 || next.cold > 0 || next.warm < 1) return;
    replica_seconds += next.warm * Seconds(next.at - sample->at);
  }
  if (replica_seconds <= 0) return;
  const double rate = (samples_.back().served - from.served) / replica_seconds;
  if (rate > 0) learned_ = std::max(learned_.value_or(0), rate);
}

void Autoscaler::Remember(TimePoint now, int needed) {
  while (!needs_.empty() && needs_.back().replicas <= needed) needs_.pop_back();
  needs_.push_back({.at = now, .replicas = needed});
  while (needs_.front().at < now - settings_.peak_over) needs_.pop_front();
}

AutoscaleDecision Autoscaler::Decide(TimePoint now, const AutoscaleState& state) {
  CHECK(state.minimum >= 0 && state.maximum >= state.minimum, "a range has its ends in order");
  AutoscaleDecision decision{.at = now,
                             .replicas_before = state.replicas,
                             .state = state,
                             .capacity = state.replica_cost_per_s.value_or(learned_.value_or(0))};
  if (decision.capacity > 0) {
    decision.floor =
        CeilReplicas(state.guaranteed_cost_per_s / (kGuaranteeShare * decision.capacity));
  }
  decision.floor = std::min(std::max(decision.floor, state.minimum), state.maximum);
  decision.replicas = std::clamp(state.replicas, decision.floor, state.maximum);
  const bool fresh = !samples_.empty() && now - samples_.back().at <= settings_.stale_after;
  if (fresh) {
    decision.offered_mean = MeanOver(settings_.mean_over, now);
    decision.offered_burst = MeanOver(settings_.burst_over, now);
    decision.offered_long = MeanOver(settings_.peak_over, now);
    decision.queued_cost = samples_.back().queued;
  }
  if (state.replicas < decision.floor) decision.rule = AutoscaleRule::kFloor;
  if (state.replicas > state.maximum) decision.rule = AutoscaleRule::kCeiling;
  const bool asked = decision.offered_mean > 0 || decision.queued_cost > 0;
  if (!fresh || decision.capacity <= 0) {
    if (decision.changed()) return decision;
    decision.rule = fresh ? AutoscaleRule::kUncalibrated : AutoscaleRule::kNoData;
    // Somebody asks: one replica is better than none, whatever it can do.
    if (fresh && asked && state.replicas == 0 && state.maximum > 0) {
      decision.rule = AutoscaleRule::kUp;
      decision.replicas = decision.needed = 1;
    }
    if (!fresh || state.replicas == 0) return decision;
  }

  const double wait = Seconds(std::max(settings_.queue_wait_min, state.start_time));
  // In full replicas.
  const double demand = std::max(decision.offered_mean / settings_.utilisation,
                                 decision.offered_burst / settings_.burst_utilisation) +
                        decision.queued_cost / wait / settings_.utilisation;
  if (decision.capacity > 0) {
    decision.needed = CeilReplicas(demand / decision.capacity);
  } else {
    decision.needed = asked ? std::max(1, state.replicas) : 0;
  }
  Remember(now, decision.needed);
  decision.needed_lately = needs_.front().replicas;

  const int target = std::clamp(decision.needed, decision.floor, state.maximum);
  if (target > decision.replicas) {
    decision.rule = AutoscaleRule::kUp;
    decision.replicas = target;
  } else if (target < decision.replicas && !decision.changed()) {
    decision.replicas = StepDown(now, decision, decision.rule);
    if (decision.changed()) last_down_at_ = now;
  } else if (!decision.changed() && decision.rule != AutoscaleRule::kUncalibrated) {
    decision.rule =
        decision.needed > state.maximum ? AutoscaleRule::kAtCeiling : AutoscaleRule::kSteady;
  }
  return decision;
}

int Autoscaler::StepDown(TimePoint now, const AutoscaleDecision& decision,
                         AutoscaleRule& rule) const {
  const int present = decision.replicas;
  const int lowest = std::clamp(decision.needed_lately, decision.floor, decision.state.maximum);
  if (lowest >= present) {
    rule = AutoscaleRule::kRecentPeak;
    return present;
  }
  if (now - first_at_ < settings_.peak_over) {
    rule = AutoscaleRule::kShortHistory;
    return present;
  }
  if (last_down_at_ != TimePoint::min() && now - last_down_at_ < settings_.down_interval) {
    rule = AutoscaleRule::kPauseAfterDown;
    return present;
  }
  const int step_max = std::max(1, static_cast<int>(settings_.down_step_share * present));
  for (int rest = std::max(lowest, present - step_max); rest < present; ++rest) {
    const bool idle = decision.offered_long <= 0 && decision.queued_cost <= 0;
    if (idle || decision.offered_long < settings_.utilisation * decision.capacity * rest) {
      rule = AutoscaleRule::kDown;
      return rest;
    }
  }
  rule = AutoscaleRule::kRestTooFull;
  return present;
}

std::string AutoscaleDecision::Explain() const {
  std::string text =
      fmt::format("offered {:.0f}/s (10 s), {:.0f}/s (60 s), {:.0f}/s (300 s), queued {:.0f}",
                  offered_burst, offered_mean, offered_long, queued_cost);
  text += capacity > 0 ? fmt::format("; a replica does {:.0f}/s", capacity)
                       : std::string("; what a replica does is not known");
  text +=
      fmt::format("; needs {}, lately {}, floor {}, range {} to {}, {} ready of {}", needed,
                  needed_lately, floor, state.minimum, state.maximum, state.ready, replicas_before);
  text += changed() ? fmt::format(": {}, {} -> {}", ToString(rule), replicas_before, replicas)
                    : fmt::format(": {}, stays {}", ToString(rule), replicas);
  return text;
}

}  // namespace penstock::policy
