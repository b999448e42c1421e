// Autoscaler: how many replicas a pool should have, from the load that was offered to it.
//
// A pure state machine: no clock, no I/O. The caller observes the load every second or so, asks for
// a decision, and brings it about. The rule (design, section 4): enough replicas for the mean of
// 60 s, each filled to 72 %, or for that of 10 s, each filled to 82 %, whichever are more, plus
// what waits; never fewer than the guarantees need; up at once; down only to what the last 300 s
// needed, a quarter at a time, if the rest would stay under 72 %. Simulations of a day of real
// traffic chose these numbers: margins by variance, trends and forecasts were not better at equal
// cost; scaling down slowly is what mattered, and then hearing of a rise early
// (benchmarks/autoscale).
#pragma once

#include <chrono>
#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "policy/pool_load.h"

namespace penstock::policy {

struct AutoscaleSettings {
  double utilisation = 0.72;                           // How full a replica shall be: rho.
  Duration mean_over = std::chrono::seconds(60);       // Of the offered load, going up.
  double burst_utilisation = 0.82;                     // The same for…
  Duration burst_over = std::chrono::seconds(10);      // …the mean over so short a time.
  Duration peak_over = std::chrono::seconds(300);      // What was needed lately, going down.
  Duration queue_wait_min = std::chrono::seconds(30);  // What waits shall be gone in so long…
                                                       // …or in the start time, if that is longer.
  double down_step_share = 0.25;                       // Of the replicas, at one step; at least 1.
  Duration down_interval = std::chrono::seconds(15);   // Between two steps down.
  Duration warm_up = std::chrono::seconds(60);         // A replica's first: teach nothing.
  Duration stale_after = std::chrono::seconds(15);     // Without an observation: no data.
  Duration history_min = std::chrono::seconds(10);     // A mean over less would be an accident.
};

// What stands at the moment of a decision.
struct AutoscaleState {
  int replicas = 0;                          // Wanted now, those that are starting included.
  int ready = 0;                             // Of them, those that take requests.
  int minimum = 0;                           // What the range allows; 0: may scale to zero.
  int maximum = 1;                           // At least `minimum`.
  double guaranteed_cost_per_s = 0;          // The sum of what was promised.
  std::optional<double> replica_cost_per_s;  // K; without: what saturated replicas showed.
  Duration start_time{};                     // From the start of a replica until it is ready.
};

enum class AutoscaleRule {
  kNoData,          // No observation lately: hold.
  kUncalibrated,    // Nobody knows what a replica can do: hold.
  kFloor,           // Fewer than the range or the guarantees need: up to it.
  kCeiling,         // More than the range allows: down to it.
  kUp,              // The load needs more: at once.
  kSteady,          // What is there is what is needed.
  kAtCeiling,       // The load needs more than the range allows.
  kRecentPeak,      // The load needs fewer now, but not so 300 s ago: hold.
  kShortHistory,    // Observed for less than 300 s: hold.
  kRestTooFull,     // With fewer, the rest would be over 72 %: hold.
  kPauseAfterDown,  // The last step down was less than 15 s ago: hold.
  kDown,
};
std::string_view ToString(AutoscaleRule rule);  // "no_data", "up", …

// A decision with all that led to it.
struct AutoscaleDecision {
  TimePoint at{};
  AutoscaleRule rule = AutoscaleRule::kNoData;
  int replicas_before = 0;
  int replicas = 0;          // What is wanted from now on.
  AutoscaleState state;      // As given.
  double offered_mean = 0;   // Cost/s over mean_over.
  double offered_burst = 0;  // Cost/s over burst_over.
  double offered_long = 0;   // Cost/s over peak_over.
  double queued_cost = 0;
  double capacity = 0;    // K that was used; 0: unknown.
  int floor = 0;          // ceil(guarantees / (0.85 K)), the minimum if that is more.
  int needed = 0;         // By the present load alone.
  int needed_lately = 0;  // The most of peak_over.

  bool changed() const { return replicas != replicas_before; }
  // One line for people: the inputs, the rule, the result.
  std::string Explain() const;
};

class Autoscaler {
 public:
  explicit Autoscaler(AutoscaleSettings settings = {}) : settings_(settings) {}

  // The pool's load at `now`, which never goes back; nullopt: it could not be read. `warm`:
  // replicas that take requests and did so for longer than warm_up; `cold`: those that have not.
  struct Observation {
    std::optional<PoolLoad> load;
    int warm = 0;
    int cold = 0;
  };
  void Observe(TimePoint now, const Observation& observation);

  // Changes nothing but what it remembers of its own steps: the caller brings the answer about.
  AutoscaleDecision Decide(TimePoint now, const AutoscaleState& state);

  // Cost/s that one replica did while work waited: the best minute so far; nullopt: never seen.
  std::optional<double> learned_capacity() const { return learned_; }

 private:
  struct Sample {
    TimePoint at;
    double offered = 0;  // Total, corrected for restarts of the gateway.
    double served = 0;
    double queued = 0;
    int warm = 0;
    int cold = 0;
  };
  struct Need {
    TimePoint at;
    int replicas = 0;
  };

  double MeanOver(Duration window, TimePoint now) const;
  void Learn(TimePoint now);
  void Remember(TimePoint now, int needed);
  int StepDown(TimePoint now, const AutoscaleDecision& decision, AutoscaleRule& rule) const;

  AutoscaleSettings settings_;
  std::deque<Sample> samples_;  // Of peak_over, oldest first; at most one a second.
  std::deque<Need> needs_;      // Descending: the front is the most of peak_over.
  std::optional<PoolLoad> last_;
  double offered_base_ = 0;  // What was counted before the gateway was started again.
  double served_base_ = 0;
  TimePoint first_at_{};
  TimePoint last_down_at_ = TimePoint::min();
  std::optional<double> learned_;
};

}  // namespace penstock::policy
