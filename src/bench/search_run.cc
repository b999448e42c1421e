#include "bench/search_run.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

#include "bench/judge/early_stop.h"
#include "bench/judge/summary.h"
#include "page/numbers.h"

namespace penstock::bench {
namespace {

// A scout of a closed loop sees every worker's second request, one of a rate three latencies'
// arrivals: then a queue that grows has begun to.
constexpr std::int64_t kScoutSamplesMin = 8;
constexpr std::int64_t kRateScoutSamplesMin = 4;
constexpr double kScoutLatencies = 3;

// The level's own figures; what the load was is in its records.
ProbeOutcome OutcomeOf(const ProbeStep& step, bool passes, const RunRecords& level) {
  ProbeOutcome outcome{.load = step.load, .scout = step.scout, .passes = passes};
  const RunSummary summary = Summarise(level);
  if (summary.levels.empty()) return outcome;
  const LevelSummary& only = summary.levels.front();
  outcome.output_tokens_per_s = only.best_rates().output_tokens_per_s;
  outcome.latency_p50_ms = only.latency_ms.p50;
  return outcome;
}

// "holds at 16, breaks at 64": what is known so far.
std::string NoteOf(const Search& search, const ProbeStep& step) {
  std::string note = step.scout ? "scout" : "judged";
  if (search.end() != SearchEnd::kNotEnded) return note + ", around the knee";
  if (search.low()) note += ", holds at " + page::Figure(*search.low());
  if (search.high()) note += ", breaks at " + page::Figure(*search.high());
  return note;
}

// A judge's word after each request of a probe.
Enough Look(ProbeJudge& judge, bool scout, const RequestRecord& record) {
  if (record.phase != Phase::kMeasured) return Enough::kGoOn;
  judge.Add(record);
  if (scout) return judge.belief() == Belief::kBroken ? Enough::kCut : Enough::kGoOn;
  if (!judge.settled()) return Enough::kGoOn;
  return judge.Passes() ? Enough::kDrain : Enough::kCut;
}

}  // namespace

std::int64_t ScoutSamples(const SearchLimits& limits, double load, double latency_below_ms) {
  if (limits.whole)
    return std::max<std::int64_t>(kScoutSamplesMin, std::llround(std::ceil(2 * load)));
  return kRateScoutSamplesMin +
         std::llround(std::ceil(load * kScoutLatencies * latency_below_ms / 1000));
}

Result<SearchEnd> RunSearch(const SearchRunSettings& settings, const RunProbe& probe,
                            const std::atomic<bool>& stop, RunRecords& run) {
  Search search(settings.limits);
  const TimePoint begun = settings.now();
  const auto left = [&] { return settings.time_max - (settings.now() - begun); };
  const bool limited = settings.time_max.count() > 0;
  for (int number = 1; !stop.load(std::memory_order_relaxed); ++number) {
    const auto step = search.Next();
    if (!step) break;
    if (limited && left().count() <= 0) {
      search.EndNow();
      break;
    }
    ProbeJudge judge(settings.budget, step->scout ? 0 : settings.samples_max);
    ProbeOrder order{.load = step->load,
                     .number = number,
                     .samples = settings.samples_max,
                     .scout = step->scout,
                     .latency_below_ms = search.LatencyBelow(step->load),
                     .time_max = settings.probe_time_max,
                     .note = NoteOf(search, *step),
                     .judge = [&judge, scout = step->scout](const RequestRecord& record) {
                       return Look(judge, scout, record);
                     }};
    if (step->scout) {
      order.samples = ScoutSamples(settings.limits, step->load, order.latency_below_ms);
    }
    if (limited) {
      const bool shorter = order.time_max.count() == 0 || left() < order.time_max;
      if (shorter) order.time_max = left();
    }
    auto level = probe(order);
    if (!level) return Fail(level.error());
    // A probe that the search's own end cut short has not said its word.
    const bool cut_short = limited && left().count() <= 0 && !step->scout && !judge.settled();
    if (cut_short) {
      for (LevelRecord& record : level->levels) record.scout = true;
      search.EndNow();
    } else if (!stop.load(std::memory_order_relaxed)) {
      const bool passes = step->scout ? judge.Promising() : judge.Passes();
      search.Observe(OutcomeOf(*step, passes, *level));
    }
    std::ranges::move(level->requests, std::back_inserter(run.requests));
    std::ranges::move(level->levels, std::back_inserter(run.levels));
  }
  return search.end();
}

}  // namespace penstock::bench
