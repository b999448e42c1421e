// Budget: what an endpoint's answers may take: `ttft_p95<2s,tpot_p95<100ms,errors<1%`. Pure.
//
// Terms are joined by commas, and all must hold. A term is METRIC_pQ<DURATION, or errors<SHARE%.
// METRIC: ttft, ttft_service, ttfo, tpot, latency, normalised_latency, request. Q: above 0 and
// not above 99.99, as in p50, p95, p99.9; a SHARE likewise is at least 0.01. DURATION: a number and
// us, ms, s or min. Blanks mean nothing; `<=` is
// `<`. A latency term counts a failed request as over its bound: an answer that never came is late.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bench/record/metrics.h"

namespace penstock::bench {

struct BudgetTerm {
  enum class Kind { kTime, kErrors };
  Kind kind = Kind::kTime;
  Metric metric = Metric::kTtft;
  // The share of requests that must hold the bound: 0.95 for p95; 1 − bound for errors.
  double quantile = 0.95;
  double bound_ms = 0;  // Of kTime.
  std::string text{};   // As written, without blanks: "ttft_p95<2s".

  bool operator==(const BudgetTerm&) const = default;
};

struct Budget {
  std::vector<BudgetTerm> terms{};  // Empty: no budget.

  // Errors: kInvalidArgument, field "budget", naming the term and what may stand there.
  static Result<Budget> Parse(std::string_view text);
  std::string Text() const;
  bool empty() const { return terms.empty(); }
  bool operator==(const Budget&) const = default;
};

// Whether one request holds one term. A reply that has no such time (a TPOT of one token) holds it.
// Cancelled requests must not be asked about.
bool Holds(const BudgetTerm& term, const RequestRecord& record, const RequestMetrics& metrics);

// Whether it holds every term: what goodput counts.
bool Holds(const Budget& budget, const RequestRecord& record);

}  // namespace penstock::bench
