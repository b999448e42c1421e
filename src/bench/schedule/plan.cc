#include "bench/schedule/plan.h"

#include <algorithm>

namespace penstock::bench {

std::string_view Describe(StopReason reason) {
  switch (reason) {
    case StopReason::kNotStopped:
      return "the sweep was interrupted";
    case StopReason::kListDone:
      return "all levels asked for were run";
    case StopReason::kNoGain:
      return "throughput no longer grew with concurrency";
    case StopReason::kLatency:
      return "latency passed its limit";
    case StopReason::kErrors:
      return "too many requests failed";
    case StopReason::kConcurrencyMax:
      return "the concurrency limit was reached";
    case StopReason::kTokensMax:
      return "the run had spent its tokens";
    case StopReason::kBudget:
      return "the most that holds the budget was found";
    case StopReason::kBudgetNotMet:
      return "the budget cannot be met at the least load";
    case StopReason::kProbesMax:
      return "the limit of probes was reached";
    case StopReason::kTimeMax:
      return "the search's time was up";
  }
  return "";
}

std::optional<int> ConcurrencyPlan::Next() const {
  if (reason_ != StopReason::kNotStopped) return std::nullopt;
  if (limits_.levels.empty()) return doubled_;
  return limits_.levels[done_];
}

void ConcurrencyPlan::Observe(const LevelOutcome& outcome) {
  ++done_;
  if (limits_.levels.empty()) {
    ObserveDoubling(outcome);
  } else if (done_ == limits_.levels.size()) {
    reason_ = StopReason::kListDone;
  }
}

void ConcurrencyPlan::ObserveDoubling(const LevelOutcome& outcome) {
  const bool gained =
      outcome.output_tokens_per_s > best_output_tokens_per_s_ * (1 + limits_.gain_min);
  poor_gains_ = gained ? 0 : poor_gains_ + 1;
  best_output_tokens_per_s_ = std::max(best_output_tokens_per_s_, outcome.output_tokens_per_s);
  doubled_ = outcome.concurrency * 2;

  if (outcome.error_share > limits_.error_share_max) {
    reason_ = StopReason::kErrors;
  } else if (limits_.latency_max_ms > 0 && outcome.latency_p90_ms > limits_.latency_max_ms) {
    reason_ = StopReason::kLatency;
  } else if (poor_gains_ >= limits_.poor_gains_max) {
    reason_ = StopReason::kNoGain;
  } else if (doubled_ > limits_.concurrency_max) {
    reason_ = StopReason::kConcurrencyMax;
  }
}

int DefaultRequests(int concurrency) { return std::max(10, 4 * concurrency); }

}  // namespace penstock::bench
