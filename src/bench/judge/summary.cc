#include "bench/judge/summary.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "bench/judge/level_summary.h"
#include "bench/judge/validity.h"

namespace penstock::bench {
namespace {

// What the client's own record of each level says; of repeats the worst.
void AddClientLoad(const std::vector<LevelRecord>& records, std::vector<LevelSummary>& levels) {
  for (const LevelRecord& record : records) {
    const auto found = std::ranges::find_if(levels, [&record](const LevelSummary& level) {
      const bool same = level.concurrency == record.concurrency;
      const bool numbered = std::ranges::find(level.numbers, record.number) != level.numbers.end();
      // Old records know no numbers.
      const bool unnumbered = record.concurrency > 0 && level.numbers == std::vector<int>{0};
      return same && (numbered || unnumbered);
    });
    if (found == levels.end()) continue;
    const double available =
        static_cast<double>(record.ended_ns - record.started_ns) * std::max(record.threads, 1);
    found->cut = found->cut || record.cut;
    found->scheduled += record.scheduled;
    found->unsent += record.unsent;
    found->loop_lag_p99_ms =
        std::max(found->loop_lag_p99_ms, ToMilliseconds(record.loop_lag_p99_ns));
    found->rate_per_s = record.rate_per_s;
    if (available <= 0) continue;
    found->client_load =
        std::max(found->client_load, static_cast<double>(record.client_cpu_ns) / available);
  }
}

// The index of the level with the greatest score; levels without a success take no part.
template <typename Score>
std::optional<std::size_t> Best(const std::vector<LevelSummary>& levels, Score score) {
  std::optional<std::size_t> best;
  for (std::size_t i = 0; i < levels.size(); ++i) {
    if (levels[i].succeeded == 0) continue;
    if (!best || score(levels[i]) > score(levels[*best])) best = i;
  }
  return best;
}

constexpr double kEqualThroughput = 0.98;

std::optional<std::size_t> Highest(const std::vector<LevelSummary>& levels) {
  const auto rate = [](const LevelSummary& level) {
    return level.best_rates().output_tokens_per_s;
  };
  const auto most = Best(levels, rate);
  if (!most) return std::nullopt;
  for (std::size_t i = 0; i < *most; ++i) {
    if (levels[i].succeeded > 0 && rate(levels[i]) >= kEqualThroughput * rate(levels[*most]))
      return i;
  }
  return most;
}

// The level with the most throughput below the least load that broke the budget: one that held it
// above a broken one held it by chance.
std::optional<std::size_t> BestWithinBudget(const RunSummary& summary) {
  std::optional<std::size_t> best;
  const auto rate = [&summary](std::size_t level) {
    return summary.levels[level].best_rates().output_tokens_per_s;
  };
  for (std::size_t i = 0; i < summary.levels.size(); ++i) {
    const LevelSummary& level = summary.levels[i];
    if (level.verdict.judged == 0 || level.scout) continue;
    if (!level.verdict.passes) break;
    if (level.succeeded > 0 && (!best || rate(i) > rate(*best))) best = i;
  }
  return best;
}

}  // namespace

std::string_view Name(Severity severity) {
  switch (severity) {
    case Severity::kNote:
      return "note";
    case Severity::kDoubt:
      return "doubt";
    case Severity::kInvalid:
      return "invalid";
  }
  return "";
}

RunSummary Summarise(const RunRecords& run) {
  RunSummary summary{.header = run.header};
  // A budget that does not parse is one that a later version wrote: the figures stand without it.
  if (auto budget = Budget::Parse(run.header.settings.budget)) summary.budget = std::move(*budget);
  for (const LoadRuns& load : LoadsOf(run)) {
    summary.levels.push_back(SummariseLevel(load, summary));
  }
  AddClientLoad(run.levels, summary.levels);
  // A search tries its rates in another order.
  std::ranges::sort(summary.levels, {}, [](const LevelSummary& level) {
    return std::tuple(level.concurrency, level.rate_per_s, level.number);
  });
  summary.fastest = Best(summary.levels, [](const auto& l) { return -l.latency_ms.p50; });
  summary.highest = Highest(summary.levels);
  summary.balanced = Best(summary.levels, [](const auto& l) {
    return l.best_rates().output_tokens_per_s / std::max(l.latency_ms.p50, 1e-6);
  });
  summary.within_budget = BestWithinBudget(summary);
  summary.timeline = TimelineOf(run);
  Judge(run, summary);
  return summary;
}

}  // namespace penstock::bench
