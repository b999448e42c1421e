#include "bench/judge/verdict.h"

#include <algorithm>
#include <cmath>

#include "bench/record/statistics.h"

namespace penstock::bench {
namespace {

// The value at a term's percentile. A failed request has no time: it counts as slower than all.
double SeenAt(const BudgetTerm& term, std::span<const RequestRecord* const> requests) {
  std::vector<double> values;
  std::int64_t failed = 0;
  for (const RequestRecord* record : requests) {
    if (record->failed()) {
      ++failed;
      values.push_back(HUGE_VAL);
    } else if (const auto value = ValueOf(MetricsOf(*record), term.metric)) {
      values.push_back(*value);
    }
  }
  if (term.kind == BudgetTerm::Kind::kErrors) {
    return requests.empty() ? 0
                            : static_cast<double>(failed) / static_cast<double>(requests.size());
  }
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return Quantile(values, term.quantile);
}

std::int64_t UpTo(double tokens_per_s, int chunk) {
  if (chunk <= 0) return std::llround(std::ceil(tokens_per_s));
  const double chunks = std::max(std::ceil(tokens_per_s / chunk - 1e-9), 1.0);
  return std::llround(chunks) * chunk;
}

}  // namespace

BudgetVerdict JudgeBudget(const Budget& budget, std::span<const RequestRecord* const> requests,
                          std::int64_t samples_max) {
  BudgetVerdict verdict;
  if (budget.empty()) return verdict;
  std::vector<const RequestRecord*> measured;
  ProbeJudge judge(budget, samples_max);
  for (const RequestRecord* record : requests) {
    if (record->phase != Phase::kMeasured || record->error == ErrorKind::kCancelled) continue;
    measured.push_back(record);
    judge.Add(*record);
  }
  verdict.judged = judge.samples();
  verdict.passes = judge.Passes();
  verdict.proven = judge.belief() != Belief::kUnsettled;
  for (std::size_t i = 0; i < budget.terms.size(); ++i) {
    const BudgetTerm& term = budget.terms[i];
    const ProbeJudge::Term& seen = judge.terms()[i];
    const auto allowed = (1 - term.quantile) * static_cast<double>(judge.samples());
    const bool within = judge.samples() > 0 && static_cast<double>(seen.over) <= allowed + 1e-9;
    verdict.terms.push_back(
        {.over = seen.over,
         .seen = SeenAt(term, measured),
         .belief = seen.belief,
         .holds = seen.belief == Belief::kHolds || (seen.belief == Belief::kUnsettled && within)});
  }
  return verdict;
}

std::int64_t ProbeSamplesMax(const RunSettings& settings, const Budget& budget) {
  return settings.requests_per_level > 0 ? settings.requests_per_level : DefaultSamplesMax(budget);
}

std::optional<Provision> Recommend(double most, double balanced, int chunk) {
  if (most <= 0) return std::nullopt;
  return Provision{.min_tokens_per_s = UpTo(std::min(balanced > 0 ? balanced : most, most), chunk),
                   .max_tokens_per_s = UpTo(most, chunk),
                   .chunk = chunk};
}

}  // namespace penstock::bench
