#include "bench/summary.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>
#include <utility>

#include "bench/significance.h"
#include "bench/validity.h"

namespace penstock::bench {
namespace {

double ToMilliseconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-6; }

// The share of [from, to] that lies within the window; a moment is within (window.from, window.to].
double Overlap(std::int64_t from, std::int64_t to, const Window& window) {
  if (from >= to) return to > window.from_ns && to <= window.to_ns ? 1 : 0;
  const std::int64_t common = std::min(to, window.to_ns) - std::max(from, window.from_ns);
  return static_cast<double>(std::max<std::int64_t>(common, 0)) / static_cast<double>(to - from);
}

// Output tokens that fell into the window. Of a stream, chunk by chunk, those after the first with
// an even share each; of a reply in one piece, evenly over its whole time.
double OutputWithin(const RequestRecord& record, const Window& window) {
  const double all = record.OutputTokens();
  if (record.chunks <= 0) return all * Overlap(record.sent_ns, record.end_ns, window);
  const double first = std::clamp<double>(record.first_chunk_tokens, 0, all);
  double inside = 0;
  std::int64_t at = record.first_token_ns;
  if (record.chunks == 1) return all * Overlap(at, at, window);
  inside += first * Overlap(at, at, window);
  const double each = (all - first) / static_cast<double>(record.chunks - 1);
  for (const std::int64_t gap : record.gaps_ns) {
    at += gap;
    inside += each * Overlap(at, at, window);
  }
  return inside;
}

// From the first send to the last end. One nanosecond earlier, so that a moment at its very start
// lies within.
Window WholeWindow(const Requests& requests) {
  Window whole;
  bool any = false;
  for (const RequestRecord* record : requests) {
    if (record->sent_ns == kNever) continue;
    whole.from_ns = any ? std::min(whole.from_ns, record->sent_ns - 1) : record->sent_ns - 1;
    whole.to_ns = any ? std::max(whole.to_ns, record->end_ns) : record->end_ns;
    any = true;
  }
  return whole;
}

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

// Sums of rates, each over its own span.
Rates Joined(const std::vector<Rates>& parts) {
  Rates all;
  for (const Rates& part : parts) {
    all.seconds += part.seconds;
    all.output_tokens_per_s += part.output_tokens_per_s * part.seconds;
    all.total_tokens_per_s += part.total_tokens_per_s * part.seconds;
    all.requests_per_s += part.requests_per_s * part.seconds;
  }
  if (all.seconds <= 0) return {};
  all.output_tokens_per_s /= all.seconds;
  all.total_tokens_per_s /= all.seconds;
  all.requests_per_s /= all.seconds;
  return all;
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

// An open loop has no number of workers to be busy: its measured part, from the first arrival to
// the last.
Window MeasuredWindow(const Requests& requests) {
  Window window{.from_ns = INT64_MAX, .to_ns = INT64_MIN};
  for (const RequestRecord* record : requests) {
    if (record->phase != Phase::kMeasured) continue;
    window.from_ns = std::min(window.from_ns, record->scheduled_ns);
    window.to_ns = std::max(window.to_ns, record->scheduled_ns);
  }
  return window.to_ns > window.from_ns ? window : Window{};
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

Rates RatesWithin(const Requests& requests, const Window& window) {
  Rates rates{.seconds = window.seconds()};
  if (rates.seconds <= 0) return {};
  double output = 0;
  double input = 0;
  double finished = 0;
  for (const RequestRecord* record : requests) {
    if (record->failed() || record->sent_ns == kNever) continue;
    const std::int64_t prefilled =
        record->first_token_ns != kNever ? record->first_token_ns : record->end_ns;
    output += OutputWithin(*record, window);
    input += std::max(record->input_tokens, 0) * Overlap(record->sent_ns, prefilled, window);
    finished += Overlap(record->sent_ns, record->end_ns, window);
  }
  rates.output_tokens_per_s = output / rates.seconds;
  rates.total_tokens_per_s = (output + input) / rates.seconds;
  rates.requests_per_s = finished / rates.seconds;
  return rates;
}

Window SteadyWindow(const Requests& requests, int concurrency) {
  if (concurrency == 0) return MeasuredWindow(requests);
  // An end sorts before a send of the same moment: the worker that ended one sends the next.
  std::vector<std::pair<std::int64_t, int>> changes;
  std::int64_t first_measured = INT64_MAX;
  for (const RequestRecord* record : requests) {
    if (record->sent_ns == kNever) continue;
    changes.emplace_back(record->sent_ns, +1);
    changes.emplace_back(record->end_ns, -1);
    if (record->phase == Phase::kMeasured)
      first_measured = std::min(first_measured, record->sent_ns);
  }
  std::ranges::sort(changes);
  std::optional<std::int64_t> from;
  std::int64_t to = 0;
  int under_way = 0;
  for (const auto& [at, change] : changes) {
    if (change < 0 && under_way == concurrency) to = at;
    under_way += change;
    if (!from && under_way == concurrency) from = at;
  }
  if (!from) return {};
  const Window window{.from_ns = std::max(*from, first_measured), .to_ns = to};
  return window.to_ns > window.from_ns ? window : Window{};
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
