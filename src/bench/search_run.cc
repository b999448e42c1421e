#include "bench/search_run.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "bench/early_stop.h"
#include "bench/summary.h"

namespace penstock::bench {
namespace {

// The level's own figures; what the load was is in its records.
ProbeOutcome OutcomeOf(double load, bool passes, const RunRecords& level) {
  ProbeOutcome outcome{.load = load, .passes = passes};
  const RunSummary summary = Summarise(level);
  if (summary.levels.empty()) return outcome;
  const LevelSummary& only = summary.levels.front();
  outcome.output_tokens_per_s = only.best_rates().output_tokens_per_s;
  outcome.latency_p50_ms = only.latency_ms.p50;
  return outcome;
}

}  // namespace

Result<SearchEnd> RunSearch(const SearchLimits& limits, const Budget& budget,
                            std::int64_t samples_max, const RunProbe& probe,
                            const std::atomic<bool>& stop, RunRecords& run) {
  Search search(limits);
  for (int number = 1; !stop.load(std::memory_order_relaxed); ++number) {
    const auto load = search.Next();
    if (!load) break;
    ProbeJudge judge(budget, samples_max);
    auto level = probe(*load, number, [&judge](const RequestRecord& record) {
      if (record.phase != Phase::kMeasured) return Enough::kGoOn;
      judge.Add(record);
      if (!judge.settled()) return Enough::kGoOn;
      return judge.Passes() ? Enough::kDrain : Enough::kCut;
    });
    if (!level) return Fail(level.error());
    if (!stop.load(std::memory_order_relaxed)) {
      search.Observe(OutcomeOf(*load, judge.Passes(), *level));
    }
    std::ranges::move(level->requests, std::back_inserter(run.requests));
    std::ranges::move(level->levels, std::back_inserter(run.levels));
  }
  return search.end();
}

}  // namespace penstock::bench
