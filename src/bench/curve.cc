#include "bench/curve.h"

#include <utility>

#include "bench/judge/validity.h"
#include "bench/run.h"

namespace penstock::bench {

Curve CurveOf(const RunSummary& summary) {
  Curve curve{.points = {},
              .fastest = summary.fastest,
              .balanced = summary.balanced,
              .highest = summary.highest,
              .valid = summary.valid,
              .warnings = AllWarnings(summary)};
  for (const LevelSummary& level : summary.levels) {
    const Rates& rates = level.best_rates();
    CurvePoint point{.concurrency = level.concurrency,
                     .samples = level.succeeded,
                     .output_tokens_per_s = rates.output_tokens_per_s,
                     .total_tokens_per_s = rates.total_tokens_per_s,
                     .requests_per_s = rates.requests_per_s,
                     .ttft_ms = level.ttft_ms,
                     .tpot_ms = level.tpot_ms,
                     .latency_ms = level.latency_ms,
                     .error_share = level.error_share(),
                     .input_tokens_mean = level.input_tokens_mean,
                     .output_tokens_mean = level.output_tokens_mean};
    if (level.succeeded > 0) {
      point.cached_tokens_mean =
          static_cast<double>(level.tokens.cached_tokens) / static_cast<double>(level.succeeded);
    }
    curve.points.push_back(std::move(point));
  }
  return curve;
}

Result<Curve> MeasureCurve(const CurveTarget& target, const CurveWorkload& workload,
                           const CurveLevels& levels, const std::atomic<bool>& stop,
                           const std::function<void(const ProgressState&)>& on_progress) {
  BenchOptions options;
  options.url = target.url;
  options.model = target.model;
  options.api_key = target.api_key;
  options.insecure = target.insecure;
  options.input_tokens = workload.input_tokens;
  options.output_tokens = workload.output_tokens;
  options.seed = workload.seed;
  options.timeout = workload.request_time_max;
  options.concurrency = levels.concurrency;
  options.concurrency_max = levels.concurrency_max;
  options.requests = levels.requests;
  options.warmup = levels.warmup;
  options.latency_max_ms = levels.latency_max_ms;
  options.threads = levels.threads;
  options.progress = false;
  options.on_progress = on_progress;
  const auto outcome = RunBench(options, stop);
  if (!outcome) return Fail(outcome.error());
  Curve curve = CurveOf(outcome->summary);
  curve.interrupted = stop.load(std::memory_order_relaxed);
  if (curve.interrupted && curve.points.empty()) {
    return Fail(Code::kCancelled, "stopped before the first level");
  }
  return curve;
}

}  // namespace penstock::bench
