#include "bench/judge/level_summary.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "bench/judge/significance.h"

namespace penstock::bench {
namespace {

// The samples behind a level's distributions.
struct Samples {
  std::vector<double> ttft, ttft_service, ttfo, tpot, icl, latency, normalised, end, request, lag;
  std::vector<double> queue, retry_after;
  std::vector<double> output_tokens, input_tokens, common_residual;
  double residual_max = 0;
  double chunk_tokens = 0;  // Tokens that came in token chunks, and how many of those there were.
  double chunks = 0;
};

void Append(const std::optional<double>& value, std::vector<double>& samples) {
  if (value) samples.push_back(*value);
}

void AddTimes(const RequestRecord& record, const RequestMetrics& metrics, Samples& samples) {
  Append(metrics.ttft_ms, samples.ttft);
  Append(metrics.ttft_service_ms, samples.ttft_service);
  Append(metrics.ttfo_ms, samples.ttfo);
  Append(metrics.tpot_ms, samples.tpot);
  Append(metrics.latency_ms, samples.latency);
  Append(metrics.normalised_latency_ms, samples.normalised);
  Append(metrics.end_ms, samples.end);
  Append(metrics.request_ms, samples.request);
  Append(metrics.common_identity_residual, samples.common_residual);
  // Where the usage cannot be true, nothing made of it is judged once more.
  if (record.chunks <= metrics.output_tokens) {
    samples.residual_max =
        std::max(samples.residual_max, std::abs(metrics.identity_residual.value_or(0)));
  }
  samples.output_tokens.push_back(metrics.output_tokens);
  if (record.input_tokens != kUnknown) samples.input_tokens.push_back(record.input_tokens);
  for (const std::int64_t gap : record.gaps_ns) samples.icl.push_back(ToMilliseconds(gap));
  if (record.chunks > 0) {
    samples.chunk_tokens += metrics.output_tokens;
    samples.chunks += record.chunks;
  }
}

std::string ErrorText(const RequestRecord& record) {
  if (record.error_message.empty() || record.http_status < 400) return record.error_message;
  return fmt::format("HTTP {}: {}", record.http_status, record.error_message);
}

// The usage beside what the client's own tokenizer counts.
void CompareCounts(const RequestRecord& record, TokenFacts& facts) {
  if (record.output_tokens_counted == kUnknown) return;
  ++facts.retokenised;
  if (record.output_tokens == kUnknown) return;
  facts.usage_output += record.output_tokens;
  facts.counted_output += record.output_tokens_counted;
  const double off = std::abs(record.output_tokens - record.output_tokens_counted);
  if (off > std::max(1.0, 0.02 * record.output_tokens)) ++facts.retokenised_off;
  if (record.input_tokens == kUnknown || record.input_tokens_counted == kUnknown) return;
  facts.usage_input += record.input_tokens;
  facts.counted_input += record.input_tokens_counted;
}

void CountTokens(const RequestRecord& record, TokenFacts& facts) {
  CompareCounts(record, facts);
  facts.input_wanted += record.input_tokens_wanted;
  facts.output_wanted += record.output_tokens_wanted;
  if (record.output_tokens == kUnknown) {
    ++facts.without_usage;
  } else if (record.chunks > record.output_tokens) {
    ++facts.impossible;
  }
  if (record.output_tokens_wanted > 0 && record.OutputTokens() != record.output_tokens_wanted) {
    ++facts.output_off;
    if (record.output_tokens > record.output_tokens_wanted) ++facts.beyond_wanted;
  }
  if (record.input_tokens != kUnknown) {
    facts.input_tokens += record.input_tokens;
    const double wanted = record.input_tokens_wanted;
    const double off = std::abs(record.input_tokens - wanted);
    if (wanted > 0 && off > std::max(2.0, 0.02 * wanted)) ++facts.input_off;
  }
  facts.cached_tokens += std::max(record.cached_tokens, 0);
}

double MeanOf(const std::vector<double>& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

std::vector<double> CurveOf(std::vector<double> samples) {
  std::vector<double> curve;
  std::ranges::sort(samples);
  for (int percent = 1; percent < 100 && !samples.empty(); ++percent) {
    curve.push_back(Quantile(samples, percent / 100.0));
  }
  return curve;
}

void Fill(Samples samples, LevelSummary& level) {
  level.ttft_curve_ms = CurveOf(samples.ttft);
  level.tpot_curve_ms = CurveOf(samples.tpot);
  level.output_tokens_mean = MeanOf(samples.output_tokens);
  level.input_tokens_mean = MeanOf(samples.input_tokens);
  level.common_identity_residual_mean = MeanOf(samples.common_residual);
  level.identity_residual_max = samples.residual_max;
  level.ttft_ms = Describe(std::move(samples.ttft));
  level.ttft_service_ms = Describe(std::move(samples.ttft_service));
  level.ttfo_ms = Describe(std::move(samples.ttfo));
  level.normalised_latency_ms = Describe(std::move(samples.normalised));
  level.request_ms = Describe(std::move(samples.request));
  level.server_queue_ms = Describe(std::move(samples.queue));
  level.retry_after_ms = Describe(std::move(samples.retry_after));
  level.tokens_per_chunk = samples.chunks > 0 ? samples.chunk_tokens / samples.chunks : 0;
  level.tpot_ms = Describe(std::move(samples.tpot));
  level.icl_ms = Describe(std::move(samples.icl));
  level.latency_ms = Describe(std::move(samples.latency));
  level.end_ms = Describe(std::move(samples.end));
  level.send_lag_ms = Describe(std::move(samples.lag));
}

// Requests that met every bound, of all attempts: a failure, and a refusal, met none.
void AddGoodput(const Requests& requests, const Budget& budget, LevelSummary& level) {
  std::int64_t attempts = 0;
  std::int64_t good = 0;
  for (const RequestRecord* record : requests) {
    if (record->phase != Phase::kMeasured || record->error == ErrorKind::kCancelled) continue;
    ++attempts;
    if (Holds(budget, *record)) ++good;
  }
  level.goodput_share =
      attempts > 0 ? static_cast<double>(good) / static_cast<double>(attempts) : 0;
}

Drift DriftOf(const Requests& requests) {
  constexpr std::size_t kThirdMin = 8;
  Requests measured;
  for (const RequestRecord* record : requests) {
    if (record->phase == Phase::kMeasured && !record->failed()) measured.push_back(record);
  }
  const std::size_t third = measured.size() / 3;
  if (third < kThirdMin) return {};
  std::ranges::sort(measured, {}, [](const RequestRecord* record) { return record->scheduled_ns; });
  std::vector<double> early;
  std::vector<double> late;
  for (std::size_t i = 0; i < third; ++i) {
    early.push_back(*MetricsOf(*measured[i]).latency_ms);
    late.push_back(*MetricsOf(*measured[measured.size() - 1 - i]).latency_ms);
  }
  const double before = Describe(early).p50;
  if (before <= 0) return {};
  return {.ratio = Describe(late).p50 / before, .significant = MannWhitneyP(early, late) < 0.01};
}

void AddRates(const LoadRuns& load, LevelSummary& level) {
  std::vector<Rates> steady;
  std::vector<Rates> whole;
  std::vector<RepeatFigures> figures;
  for (const Requests& requests : load.runs) {
    const Window window = SteadyWindow(requests, load.concurrency);
    if (level.steady_windows.empty() && window.seconds() > 0) level.steady = window;
    if (window.seconds() > 0) level.steady_windows.push_back(window);
    steady.push_back(RatesWithin(requests, window));
    whole.push_back(RatesWithin(requests, WholeWindow(requests)));
    const Rates& best = window.seconds() > 0 ? steady.back() : whole.back();
    figures.push_back({.output_tokens_per_s = best.output_tokens_per_s,
                       .total_tokens_per_s = best.total_tokens_per_s,
                       .requests_per_s = best.requests_per_s});
  }
  level.in_steady = Joined(steady);
  level.whole = Joined(whole);
  level.repeats = RepeatsOf(load.runs, figures);
}

}  // namespace

LevelSummary SummariseLevel(const LoadRuns& load, const RunSummary& run) {
  LevelSummary level{.concurrency = load.concurrency,
                     .number = load.number,
                     .numbers = load.numbers,
                     .scout = load.scout};
  Requests requests;
  for (const Requests& each : load.runs) requests.insert(requests.end(), each.begin(), each.end());
  const Budget& budget = run.budget;
  level.verdict = JudgeBudget(budget, requests, ProbeSamplesMax(run.header.settings, budget));
  Samples samples;
  std::int64_t reads = 0;
  std::int64_t shared = 0;
  double failed_tokens = 0;
  for (const RequestRecord* record : requests) {
    ++level.errors[static_cast<std::size_t>(record->error)];
    if (record->failed() && level.first_error.empty()) level.first_error = ErrorText(*record);
    reads += std::min(record->reads, record->chunks);
    shared += record->shared_reads;
    if (record->failed()) failed_tokens += record->OutputTokens();
    if (record->retry_after_ms != kNever) {
      samples.retry_after.push_back(static_cast<double>(record->retry_after_ms));
    }
    if (record->phase != Phase::kMeasured) {
      ++level.warmup;
      continue;
    }
    ++level.measured;
    if (record->sent_ns != kNever) {
      samples.lag.push_back(ToMilliseconds(record->sent_ns - record->scheduled_ns));
    }
    if (record->failed()) continue;
    ++level.succeeded;
    AddTimes(*record, MetricsOf(*record), samples);
    if (record->server_queue_ns != kNever) {
      samples.queue.push_back(ToMilliseconds(record->server_queue_ns));
    }
    CountTokens(*record, level.tokens);
  }
  Fill(std::move(samples), level);
  level.shared_read_share =
      reads > 0 ? static_cast<double>(shared) / static_cast<double>(reads) : 0;
  level.drift = DriftOf(requests);
  if (!budget.empty()) AddGoodput(requests, budget, level);
  AddRates(load, level);
  if (level.whole.seconds > 0) {
    level.failed_output_tokens_per_s = failed_tokens / level.whole.seconds;
  }
  return level;
}

std::int64_t LevelSummary::failures() const {
  return std::accumulate(errors.begin() + 1, errors.end(), std::int64_t{0}) - cancelled();
}

std::int64_t LevelSummary::cancelled() const {
  return errors[static_cast<std::size_t>(ErrorKind::kCancelled)];
}

double LevelSummary::error_share() const {
  const std::int64_t all = failures() + errors[0];
  return all > 0 ? static_cast<double>(failures()) / static_cast<double>(all) : 0;
}

bool BelongsTo(const RequestRecord& record, const LevelSummary& level) {
  return record.concurrency == level.concurrency &&
         std::ranges::find(level.numbers, record.level) != level.numbers.end();
}

}  // namespace penstock::bench
