#include "plan/usage_series.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "base/check.h"

namespace penstock::plan {
namespace {

constexpr std::int64_t kSecondsPerMinute = 60;

// Rounds towards the past, also before 1970.
std::int64_t FloorOf(std::int64_t number, std::int64_t unit) {
  const std::int64_t whole = number / unit;
  return number % unit < 0 ? whole - 1 : whole;
}

// Index of the nearest-rank quantile among `count` values, or none where it falls among the
// `silent` ones, which are all smaller.
std::size_t Rank(double quantile, std::int64_t count) {
  const auto rank = static_cast<std::int64_t>(std::ceil(quantile * static_cast<double>(count)));
  return static_cast<std::size_t>(std::clamp<std::int64_t>(rank, 1, count) - 1);
}

// `values`: (amount, minute) of the minutes that had requests; the other `silent` ones are zero.
MinuteFigures Figures(std::vector<std::pair<double, std::int64_t>> values, std::int64_t silent) {
  std::ranges::sort(values);
  const std::int64_t count = std::ssize(values) + silent;
  const auto at = [&](double quantile) {
    const auto rank = static_cast<std::int64_t>(Rank(quantile, count));
    return rank < silent ? 0.0 : values[static_cast<std::size_t>(rank - silent)].first;
  };
  MinuteFigures figures{.min = silent > 0 ? 0.0 : values.front().first,
                        .p50 = at(0.5),
                        .p95 = at(0.95),
                        .p99 = at(0.99)};
  for (const auto& [value, minute] : values) figures.mean += value;
  figures.mean /= static_cast<double>(count);
  figures.max = values.back().first;
  figures.max_minute = values.back().second;
  return figures;
}

}  // namespace

std::int64_t UsageSeries::QuarterOf(std::int64_t at_s) {
  return FloorOf(at_s, kQuarterMinutes * kSecondsPerMinute);
}

bool UsageSeries::Keeps(std::int64_t at_s) const {
  const std::int64_t quarter = QuarterOf(at_s);
  return (recent_ != nullptr && quarter == recent_quarter_) || quarters_.contains(quarter);
}

void UsageSeries::Add(std::int64_t at_s, const policy::TokenCounts& tokens) {
  const std::int64_t quarter = QuarterOf(at_s);
  if (recent_ == nullptr || quarter != recent_quarter_) {
    recent_ = &quarters_[quarter];
    recent_quarter_ = quarter;
  }
  const std::int64_t minute = FloorOf(at_s, kSecondsPerMinute) - quarter * kQuarterMinutes;
  Totals& totals = (*recent_)[static_cast<std::size_t>(minute)];
  ++totals.requests;
  if (tokens.input == 0 && tokens.output == 0) ++totals.tokenless;
  totals.tokens.input += tokens.input;
  totals.tokens.cached += tokens.cached;
  totals.tokens.output += tokens.output;
}

void UsageSeries::ForEach(
    const std::function<void(std::int64_t minute, const Totals&)>& take) const {
  for (const auto& [quarter, totals] : quarters_) {
    for (std::int64_t i = 0; i < kQuarterMinutes; ++i) {
      const Totals& minute = totals[static_cast<std::size_t>(i)];
      if (minute.requests > 0) take(quarter * kQuarterMinutes + i, minute);
    }
  }
}

UsageSeries::Span UsageSeries::SpanOf() const {
  Span span;
  ForEach([&span](std::int64_t minute, const Totals&) {
    span.first = span.count == 0 ? minute : std::min(span.first, minute);
    span.last = span.count == 0 ? minute : std::max(span.last, minute);
    ++span.count;
  });
  return span;
}

Result<UsageSummary> UsageSeries::Summarize() const {
  CHECK(!empty(), "no request was added");
  const Span span = SpanOf();
  UsageSummary summary{.first_minute = span.first, .minutes = span.minutes()};
  if (summary.minutes > kMinutesMax) {
    return Fail(Code::kInvalidArgument,
                fmt::format("the times span {} minutes, more than {}: is their unit right?",
                            summary.minutes, kMinutesMax),
                "time");
  }
  summary.empty_minutes = summary.minutes - span.count;
  const auto figures = [&](auto amount) {
    std::vector<std::pair<double, std::int64_t>> values;
    values.reserve(static_cast<std::size_t>(span.count));
    ForEach([&](std::int64_t minute, const Totals& totals) {
      values.emplace_back(static_cast<double>(amount(totals)), minute);
    });
    return Figures(std::move(values), summary.empty_minutes);
  };
  ForEach([&summary](std::int64_t, const Totals& totals) {
    summary.requests += totals.requests;
    summary.tokenless_requests += totals.tokenless;
    summary.tokens.input += totals.tokens.input;
    summary.tokens.cached += totals.tokens.cached;
    summary.tokens.output += totals.tokens.output;
  });
  summary.requests_per_minute = figures([](const Totals& t) { return t.requests; });
  summary.input = figures([](const Totals& t) { return t.tokens.input; });
  summary.uncached = figures([](const Totals& t) { return t.tokens.input - t.tokens.cached; });
  summary.output = figures([](const Totals& t) { return t.tokens.output; });
  summary.total = figures([](const Totals& t) { return t.tokens.input + t.tokens.output; });
  return summary;
}

TokensPerMinute UsageSeries::MinuteAt(double quantile, const policy::CostWeights& weights) const {
  CHECK(!empty(), "no request was added");
  const Span span = SpanOf();
  std::vector<std::pair<double, const Totals*>> ranked;
  ranked.reserve(static_cast<std::size_t>(span.count));
  ForEach([&](std::int64_t, const Totals& totals) {
    ranked.emplace_back(policy::Cost(totals.tokens, weights), &totals);
  });
  std::ranges::sort(ranked, {}, [](const auto& entry) { return entry.first; });
  const std::int64_t silent = span.minutes() - span.count;
  const auto rank = static_cast<std::int64_t>(Rank(quantile, span.minutes()));
  if (rank < silent) return {};
  const Totals& totals = *ranked[static_cast<std::size_t>(rank - silent)].second;
  return {.requests = static_cast<double>(totals.requests),
          .input = static_cast<double>(totals.tokens.input),
          .cached = static_cast<double>(totals.tokens.cached),
          .output = static_cast<double>(totals.tokens.output)};
}

std::vector<UsageSeries::Minute> UsageSeries::Minutes() const {
  std::vector<Minute> all;
  ForEach([&all](std::int64_t minute, const Totals& totals) {
    all.push_back({.minute = minute,
                   .tokens = {.requests = static_cast<double>(totals.requests),
                              .input = static_cast<double>(totals.tokens.input),
                              .cached = static_cast<double>(totals.tokens.cached),
                              .output = static_cast<double>(totals.tokens.output)}});
  });
  std::ranges::sort(all, {}, &Minute::minute);
  return all;
}

}  // namespace penstock::plan
