#include "bench/search_levels.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <map>
#include <utility>

#include "bench/drive/load_shape.h"
#include "bench/drive/prepare.h"
#include "bench/judge/summary.h"
#include "bench/judge/verdict.h"
#include "bench/search_run.h"

namespace penstock::bench {
namespace {

constexpr std::int64_t kRequestsMax = 1'000'000;

StopReason ReasonOf(SearchEnd end) {
  switch (end) {
    case SearchEnd::kNotEnded:
      return StopReason::kNotStopped;
    case SearchEnd::kFound:
      return StopReason::kBudget;
    case SearchEnd::kNeverBroken:
      return StopReason::kConcurrencyMax;
    case SearchEnd::kSaturated:
      return StopReason::kNoGain;
    case SearchEnd::kCannotBeMet:
      return StopReason::kBudgetNotMet;
    case SearchEnd::kProbesMax:
      return StopReason::kProbesMax;
    case SearchEnd::kTimeMax:
      return StopReason::kTimeMax;
  }
  return StopReason::kNotStopped;
}

// The least rate that is tried: a request in a hundred seconds.
constexpr double kRateLeast = 0.01;
// Scouts of a low rate take long, and rates have no knee that a doubling would miss.
constexpr double kRateGrowth = 4;
// Until the number in flight has settled after a rate begins, in latencies at a lower one.
constexpr double kSettleLatencies = 8;

SearchLimits LimitsOf(const BenchOptions& options) {
  if (!SearchesRates(options)) return {.most = static_cast<double>(options.concurrency_max)};
  // Rates have no neighbours to stop at, and an open loop's throughput is its rate until it breaks.
  return {.whole = false,
          .start = std::min(1.0, options.rate_max),
          .least = std::min(kRateLeast, options.rate_max),
          .most = options.rate_max,
          .growth = kRateGrowth,
          .gain_min = -1};
}

class Prober {
 public:
  Prober(const BenchOptions& options, const LevelPlan& common, LevelRunner& runner,
         std::int64_t expected)
      : options_(options), common_(common), runner_(runner), expected_(expected) {}

  Result<RunRecords> Probe(const ProbeOrder& order) {
    LevelPlan plan = common_;
    plan.number = order.number;
    plan.judge = order.judge;
    plan.scout = order.scout;
    plan.time_max = order.time_max;
    plan.note = order.note;
    if (SearchesRates(options_)) {
      auto run = ProbeRate(order, plan);
      last_ = plan;
      return run;
    }
    plan.concurrency = static_cast<int>(order.load);
    plan.warmup = options_.warmup >= 0 ? options_.warmup : plan.concurrency;
    // Beyond the judge's own limit a probe cannot go, but for what is under way when it ends.
    plan.measured = static_cast<int>(std::min(order.samples, kRequestsMax)) +
                    (order.scout ? 0 : plan.concurrency);
    if (!order.scout) plan.expected = expected_ + plan.warmup;
    last_ = plan;
    return runner_.RunLevel(plan);
  }

  // Runs the load of `plan` once more, for `measured` requests.
  Result<RunRecords> Repeat(LevelPlan plan, int number, int round, std::int64_t measured) {
    plan.repeats = plan.number;
    plan.number = number;
    plan.judge = {};
    plan.note = fmt::format("repeat {} of {}", round + 1, options_.repeats);
    plan.expected = 0;
    if (!SearchesRates(options_)) {
      plan.measured = static_cast<int>(measured);
      return runner_.RunLevel(plan);
    }
    const std::int64_t dropped = std::llround(Seconds(plan.warmup_time) * plan.draw.rate_per_s);
    plan.draw.requests = static_cast<int>(measured + dropped);
    plan.draw.round = round;
    return RunDrawn(plan);
  }

  const LevelPlan& last() const { return last_; }

 private:
  Result<RunRecords> ProbeRate(const ProbeOrder& order, LevelPlan& plan) {
    const auto& warmup = options_.shape.warmup;
    const auto settle = std::chrono::duration_cast<Duration>(
        std::chrono::duration<double>(kSettleLatencies * order.latency_below_ms / 1000));
    // What the warm-up drops comes on top.
    const auto requests = std::min(order.samples, kRequestsMax);
    const Duration span(std::llround(static_cast<double>(requests) / order.load * 1e9));
    plan.warmup_time = warmup        ? *warmup
                       : order.scout ? Duration{}
                                     : std::max(settle, DefaultWarmup(span));
    const std::int64_t dropped = std::llround(Seconds(plan.warmup_time) * order.load);
    plan.draw = {.rate_per_s = order.load, .requests = static_cast<int>(requests + dropped)};
    if (!order.scout) plan.expected = expected_ + dropped;
    return RunDrawn(plan);
  }

  Result<RunRecords> RunDrawn(LevelPlan& plan) {
    const auto level = DrawLevel(options_, plan.draw);
    if (!level) return Fail(level.error());
    plan.concurrency = 0;
    plan.schedule = &level->schedule;
    plan.rate_per_s = plan.draw.rate_per_s;
    return runner_.RunLevel(plan);
  }

  const BenchOptions& options_;
  const LevelPlan& common_;
  LevelRunner& runner_;
  std::int64_t expected_;
  LevelPlan last_;
};

std::int64_t LeastSamplesOf(const Budget& budget) {
  std::int64_t most = 0;
  for (const BudgetTerm& term : budget.terms) most = std::max(most, LeastSamples(term.quantile));
  return most;
}

// The load that the search found, as often as the user wants it.
Status RepeatBest(const BenchOptions& options, Prober& prober,
                  const std::map<double, LevelPlan>& judged, const std::atomic<bool>& stop,
                  RunRecords& run) {
  if (options.repeats < 2) return {};
  const RunSummary summary = Summarise(run);
  if (!summary.within_budget) return {};
  const LevelSummary& best = summary.levels[*summary.within_budget];
  const auto plan = judged.find(best.rate_per_s > 0 ? best.rate_per_s : best.concurrency);
  if (plan == judged.end()) return {};
  int number = 0;
  for (const LevelRecord& level : run.levels) number = std::max(number, level.number);
  for (int round = 1; round < options.repeats && !stop.load(std::memory_order_relaxed); ++round) {
    auto level = prober.Repeat(plan->second, ++number, round, best.measured);
    if (!level) return Fail(level.error());
    std::ranges::move(level->requests, std::back_inserter(run.requests));
    std::ranges::move(level->levels, std::back_inserter(run.levels));
  }
  return {};
}

}  // namespace

Result<StopReason> SearchLevels(const BenchOptions& options, const LevelPlan& common,
                                LevelRunner& runner, const std::atomic<bool>& stop,
                                RunRecords& run) {
  const auto budget = Budget::Parse(options.budget);
  if (!budget) return Fail(budget.error());
  const std::int64_t samples_max = ProbeSamplesMax(run.header.settings, *budget);
  Prober prober(options, common, runner, std::min(LeastSamplesOf(*budget), samples_max));
  std::map<double, LevelPlan> judged;  // By load.
  const auto end = RunSearch(
      {.limits = LimitsOf(options),
       .budget = *budget,
       .samples_max = samples_max,
       .probe_time_max = options.probe_time_max,
       .time_max = options.search_time_max},
      [&](const ProbeOrder& order) {
        auto level = prober.Probe(order);
        if (!order.scout) judged[order.load] = prober.last();
        return level;
      },
      stop, run);
  if (!end) return Fail(end.error());
  if (auto repeated = RepeatBest(options, prober, judged, stop, run); !repeated) {
    return Fail(repeated.error());
  }
  return ReasonOf(*end);
}

}  // namespace penstock::bench
