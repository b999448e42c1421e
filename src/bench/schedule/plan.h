// Plan: which concurrency a closed-loop sweep tries next, and when it no longer pays. Pure.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

namespace penstock::bench {

struct PlanLimits {
  std::vector<int> levels;  // Tried in this order, all of them; empty: 1, 2, 4, 8 … while it pays.
  int concurrency_max = 256;     // Of the doubling.
  double gain_min = 0.05;        // A doubling must raise output throughput by this share to pay.
  int poor_gains_max = 2;        // Doublings in a row that may fail to.
  double latency_max_ms = 0;     // Stop once the p90 latency exceeds this. 0: no limit.
  double error_share_max = 0.1;  // Stop once more than this share of a level's requests failed.
};

// What a level showed.
struct LevelOutcome {
  int concurrency = 0;
  double output_tokens_per_s = 0;
  double latency_p90_ms = 0;
  double error_share = 0;
};

enum class StopReason {
  kNotStopped,
  kListDone,        // Every level asked for was run.
  kNoGain,          // More concurrency no longer gave more throughput.
  kLatency,         // Over latency_max_ms.
  kErrors,          // Over error_share_max.
  kConcurrencyMax,  // The limit was reached.
  kTokensMax,       // The run may spend no more tokens.
  kBudget,          // A search found the most that holds the budget.
  kBudgetNotMet,    // A search found that nothing holds it.
  kProbesMax,       // A search reached its limit of probes.
  kTimeMax,         // A search reached its limit of time.
};
std::string_view Describe(StopReason reason);  // A clause for people: "throughput no longer grew".

class ConcurrencyPlan {
 public:
  explicit ConcurrencyPlan(PlanLimits limits) : limits_(std::move(limits)) {}

  // The next concurrency to run; none once the sweep has ended. The same until Observe().
  std::optional<int> Next() const;

  // What the level that Next() named showed.
  void Observe(const LevelOutcome& outcome);

  StopReason reason() const { return reason_; }

 private:
  void ObserveDoubling(const LevelOutcome& outcome);

  PlanLimits limits_;
  std::size_t done_ = 0;  // Levels observed.
  int doubled_ = 1;       // The next level of the doubling.
  double best_output_tokens_per_s_ = 0;
  int poor_gains_ = 0;
  StopReason reason_ = StopReason::kNotStopped;
};

// Measured requests of a level where the user names no number: enough for every worker to come
// round four times, and never fewer than ten.
int DefaultRequests(int concurrency);

}  // namespace penstock::bench
