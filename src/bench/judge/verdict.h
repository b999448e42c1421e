// Verdict: whether a level held the run's budget, and what to provision. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "bench/judge/budget.h"
#include "bench/judge/early_stop.h"
#include "bench/record/record.h"

namespace penstock::bench {

struct TermVerdict {
  std::int64_t over = 0;  // Of the judged requests.
  // What was seen at the term's percentile, in milliseconds; of errors the share. Of all measured
  // requests of the level; infinite where so many failed that there is no such request.
  double seen = 0;
  Belief belief = Belief::kUnsettled;
  bool holds = false;
};

// A level against a budget.
struct BudgetVerdict {
  std::int64_t judged = 0;  // Requests, until the verdict was clear; 0: there was no budget.
  bool passes = false;
  // At confidence 0.99. Else the limit of samples came first, and the shares seen decided.
  bool proven = false;
  std::vector<TermVerdict> terms{};  // As the budget's.
};

// `requests`: a level's, in the order in which they ended. `samples_max` as ProbeJudge takes it.
BudgetVerdict JudgeBudget(const Budget& budget, std::span<const RequestRecord* const> requests,
                          std::int64_t samples_max);

// The limit of samples of a run's probes: those asked for, else DefaultSamplesMax().
std::int64_t ProbeSamplesMax(const RunSettings& settings, const Budget& budget);

// What to write into an endpoint's configuration, in tokens/s of input and output together.
struct Provision {
  std::int64_t min_tokens_per_s = 0;
  std::int64_t max_tokens_per_s = 0;
  int chunk = 0;  // Both are multiples of it; 0: the endpoint tells no chunk.
};

// `most`: total tokens/s at the most load that holds the budget; `balanced`: at the balanced point.
// The range runs from what keeps the balanced load to what keeps the most, each rounded up to whole
// chunks. None where nothing held.
std::optional<Provision> Recommend(double most, double balanced, int chunk);

}  // namespace penstock::bench
