#include "bench/judge/early_stop.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/check.h"

namespace penstock::bench {

double BinomialAtMost(std::int64_t samples, std::int64_t over, double share) {
  CHECK(share > 0 && share < 1, "a probability lies within (0, 1)");
  if (over < 0) return 0;
  if (over >= samples) return 1;
  const auto n = static_cast<double>(samples);
  const double log_share = std::log(share);
  const double log_rest = std::log1p(-share);
  double sum = 0;
  // From the largest term down: what is below 1e-18 of the sum cannot change it.
  for (std::int64_t i = over; i >= 0; --i) {
    const auto k = static_cast<double>(i);
    const double log_term = std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) +
                            k * log_share + (n - k) * log_rest;
    const double term = std::exp(log_term);
    sum += term;
    if (k < n * share && term < sum * 1e-18) break;
  }
  return std::min(sum, 1.0);
}

Belief BeliefIn(std::int64_t samples, std::int64_t over, double quantile) {
  const double share = 1 - quantile;
  if (samples <= 0) return Belief::kUnsettled;
  const auto expected = static_cast<double>(samples) * share;
  // One test is enough: the other cannot hold on this side of the expectation.
  if (static_cast<double>(over) <= expected) {
    const bool holds = BinomialAtMost(samples, over + 1, share) <= 1 - kConfidence;
    return holds ? Belief::kHolds : Belief::kUnsettled;
  }
  const bool broken = 1 - BinomialAtMost(samples, over - 1, share) <= 1 - kConfidence;
  return broken ? Belief::kBroken : Belief::kUnsettled;
}

std::int64_t LeastSamples(double quantile) {
  std::int64_t too_few = 1;
  std::int64_t enough = 2;
  while (BeliefIn(enough, 0, quantile) != Belief::kHolds) {
    too_few = enough;
    enough *= 2;
  }
  while (enough - too_few > 1) {
    const std::int64_t middle = too_few + (enough - too_few) / 2;
    (BeliefIn(middle, 0, quantile) == Belief::kHolds ? enough : too_few) = middle;
  }
  return enough;
}

ProbeJudge::ProbeJudge(Budget budget, std::int64_t samples_max)
    : budget_(std::move(budget)), samples_max_(samples_max), terms_(budget_.terms.size()) {}

void ProbeJudge::Add(const RequestRecord& record) {
  if (record.error == ErrorKind::kCancelled || settled()) return;
  const RequestMetrics metrics = MetricsOf(record);
  ++samples_;
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    if (!Holds(budget_.terms[i], record, metrics)) ++terms_[i].over;
  }
  full_ = samples_max_ > 0 && samples_ >= samples_max_;
  if (samples_ >= next_look_ || full_) {
    Look();
    next_look_ = samples_ + std::max<std::int64_t>(samples_ / 10, 1);
  }
}

void ProbeJudge::Look() {
  bool all_hold = true;
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    Term& term = terms_[i];
    term.belief = BeliefIn(samples_, term.over, budget_.terms[i].quantile);
    if (term.belief == Belief::kBroken) belief_ = Belief::kBroken;
    all_hold = all_hold && term.belief == Belief::kHolds;
  }
  if (all_hold && belief_ == Belief::kUnsettled) belief_ = Belief::kHolds;
}

bool ProbeJudge::Passes() const {
  if (belief_ != Belief::kUnsettled) return belief_ == Belief::kHolds;
  if (samples_ == 0) return false;
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    const double share = static_cast<double>(terms_[i].over) / static_cast<double>(samples_);
    if (share > 1 - budget_.terms[i].quantile + 1e-12) return false;
  }
  return true;
}

bool ProbeJudge::Promising() const {
  constexpr double kOverMax = 0.25;
  if (belief_ == Belief::kBroken || samples_ == 0) return false;
  for (std::size_t i = 0; i < terms_.size(); ++i) {
    const double share = static_cast<double>(terms_[i].over) / static_cast<double>(samples_);
    if (share >= std::max(kOverMax, 1 - budget_.terms[i].quantile + 1e-12)) return false;
  }
  return true;
}

std::int64_t DefaultSamplesMax(const Budget& budget) {
  std::int64_t most = 100;
  for (const BudgetTerm& term : budget.terms) {
    most = std::max(most, 5 * LeastSamples(term.quantile));
  }
  return most;
}

}  // namespace penstock::bench
