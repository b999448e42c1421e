// Early stopping: when enough requests were seen to say whether a percentile holds its bound. Pure.
//
// A request either holds the bound or it does not, so that the number over it is binomial. "p95 <
// B" says that at most 5 % are over. It is believed at confidence 0.99, and disbelieved likewise;
// in between more samples are needed. As in MLPerf's LoadGen one more request is counted over than
// were seen, which gives the least samples without any over: p90 64, p95 130, p99 662, p99.9 6,636.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/judge/budget.h"
#include "bench/record/record.h"

namespace penstock::bench {

inline constexpr double kConfidence = 0.99;

enum class Belief {
  kUnsettled,  // Either may be true.
  kHolds,
  kBroken,
};

// P(at most `over` of `samples` are over), each being over with probability `share`. Exact to
// about 1e-12 up to millions of samples. `share` within (0, 1); over < 0 gives 0.
double BinomialAtMost(std::int64_t samples, std::int64_t over, double share);

// What `over` of `samples` say about a percentile: `quantile` of all must hold the bound.
Belief BeliefIn(std::int64_t samples, std::int64_t over, double quantile);

// The least samples at which a percentile can be believed, none being over.
std::int64_t LeastSamples(double quantile);

// One probe of a search: takes requests as they end, and says when its verdict is clear.
//
// The test is made at sample counts a tenth apart, not at each sample: looking at every one would
// raise the chance that some look errs.
class ProbeJudge {
 public:
  // `samples_max`: after so many, the verdict is that of the percentiles seen. 0: never.
  ProbeJudge(Budget budget, std::int64_t samples_max);

  // A measured request ended. Cancelled ones are passed over: they say nothing.
  void Add(const RequestRecord& record);

  // Unsettled until the verdict is clear: every term holds, or one is broken.
  Belief belief() const { return belief_; }
  bool settled() const { return belief_ != Belief::kUnsettled || full_; }
  std::int64_t samples() const { return samples_; }

  struct Term {
    std::int64_t over = 0;
    Belief belief = Belief::kUnsettled;
  };
  const std::vector<Term>& terms() const { return terms_; }
  const Budget& budget() const { return budget_; }

  // A verdict in any case: the belief, else whether the shares seen hold every term.
  bool Passes() const;
  // The same of a few samples, where one that is late must not decide: whether no term has a
  // quarter of them, or more than it allows, over its bound. False without samples.
  bool Promising() const;

 private:
  void Look();

  Budget budget_;
  std::int64_t samples_max_;
  std::int64_t samples_ = 0;
  std::int64_t next_look_ = 3;
  std::vector<Term> terms_;
  Belief belief_ = Belief::kUnsettled;
  bool full_ = false;
};

// Samples after which a probe may end without a clear verdict, so that a search ends: five times
// the least of its strictest term, and never fewer than 100.
std::int64_t DefaultSamplesMax(const Budget& budget);

}  // namespace penstock::bench
