// Answer: what a run found, in plain words. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "bench/judge/summary.h"
#include "bench/judge/verdict.h"

namespace penstock::bench {

// "concurrency 8", "12.5 requests/s".
std::string LoadText(const LevelSummary& level);

// What is special about a level: "balanced, most within the budget", "over the budget".
std::string RemarkOf(const RunSummary& summary, std::size_t level);

// "ttft_p95 2.31 s (bound 2 s: 15 % over)", "errors 3.1 % (bound 1 %)".
std::string TermText(const BudgetTerm& term, const TermVerdict& verdict);

// A paragraph: with a budget, the most throughput within it and what breaks beyond, or which part
// of it cannot be met and by how much; without, the most there is; then the balanced point, and
// what to provision.
std::string Answer(const RunSummary& summary);
// The same for pages that tell what to provision elsewhere.
std::string AnswerWithoutProvision(const RunSummary& summary);

// The recommendation alone; none where nothing held the budget, or nothing succeeded.
std::optional<Provision> Recommend(const RunSummary& summary);
std::string ProvisionText(const Provision& provision);
// "9,000 to 18,000", or "9,000".
std::string RangeText(const Provision& provision);

}  // namespace penstock::bench
