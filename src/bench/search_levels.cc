#include "bench/search_levels.h"

#include <algorithm>
#include <cstdint>
#include <functional>

#include "bench/load_shape.h"
#include "bench/prepare.h"
#include "bench/search_run.h"
#include "bench/verdict.h"

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
  }
  return StopReason::kNotStopped;
}

// The least rate that is tried: a request in a hundred seconds.
constexpr double kRateLeast = 0.01;

SearchLimits LimitsOf(const BenchOptions& options) {
  if (!SearchesRates(options)) return {.most = static_cast<double>(options.concurrency_max)};
  // Rates have no neighbours to stop at, and an open loop's throughput is its rate until it breaks.
  return {.whole = false,
          .start = std::min(1.0, options.rate_max),
          .least = std::min(kRateLeast, options.rate_max),
          .most = options.rate_max,
          .gain_min = -1};
}

class Prober {
 public:
  Prober(const BenchOptions& options, const LevelPlan& common, LevelRunner& runner,
         std::int64_t samples_max)
      : options_(options),
        common_(common),
        runner_(runner),
        samples_max_(std::min(samples_max, kRequestsMax)) {}

  Result<RunRecords> Probe(double load, int number,
                           const std::function<Enough(const RequestRecord&)>& judge) {
    LevelPlan plan = common_;
    plan.number = number;
    plan.judge = judge;
    if (SearchesRates(options_)) return ProbeRate(load, plan);
    plan.concurrency = static_cast<int>(load);
    plan.warmup = options_.warmup >= 0 ? options_.warmup : plan.concurrency;
    // Beyond the judge's own limit a probe cannot go, but for what is under way when it ends.
    plan.measured = static_cast<int>(samples_max_) + plan.concurrency;
    return runner_.RunLevel(plan);
  }

 private:
  Result<RunRecords> ProbeRate(double rate, LevelPlan plan) {
    ShapeOptions shape = options_.shape;
    shape.rates = {rate};
    shape.duration = {};
    // What the warm-up drops comes on top.
    const auto requests = static_cast<int>(samples_max_ + samples_max_ / 8);
    auto open = MakeOpenShape(shape, requests, options_.seed);
    if (!open) return Fail(open.error());
    const Schedule& schedule = open->levels.front().schedule;
    plan.concurrency = 0;
    plan.schedule = &schedule;
    plan.rate_per_s = rate;
    if (!shape.warmup) plan.warmup_time = DefaultWarmup(Duration(schedule.span_ns));
    return runner_.RunLevel(plan);
  }

  const BenchOptions& options_;
  const LevelPlan& common_;
  LevelRunner& runner_;
  std::int64_t samples_max_;
};

}  // namespace

Result<StopReason> SearchLevels(const BenchOptions& options, const LevelPlan& common,
                                LevelRunner& runner, const std::atomic<bool>& stop,
                                RunRecords& run) {
  const auto budget = Budget::Parse(options.budget);
  if (!budget) return Fail(budget.error());
  const std::int64_t samples_max = ProbeSamplesMax(run.header.settings, *budget);
  Prober prober(options, common, runner, samples_max);
  const auto end = RunSearch(
      LimitsOf(options), *budget, samples_max,
      [&prober](double load, int number, const std::function<Enough(const RequestRecord&)>& judge) {
        return prober.Probe(load, number, judge);
      },
      stop, run);
  if (!end) return Fail(end.error());
  return ReasonOf(*end);
}

}  // namespace penstock::bench
