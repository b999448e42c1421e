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
std::int64_t MinuteOf(std::int64_t seconds) {
  const std::int64_t minute = seconds / kSecondsPerMinute;
  return seconds % kSecondsPerMinute < 0 ? minute - 1 : minute;
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
  MinuteFigures figures{.p50 = at(0.5), .p95 = at(0.95), .p99 = at(0.99)};
  for (const auto& [value, minute] : values) figures.mean += value;
  figures.mean /= static_cast<double>(count);
  figures.max = values.back().first;
  figures.max_minute = values.back().second;
  return figures;
}

}  // namespace

void UsageSeries::Add(std::int64_t at_s, const policy::TokenCounts& tokens) {
  const std::int64_t minute = MinuteOf(at_s);
  if (recent_ == nullptr || minute != recent_minute_) {
    recent_ = &minutes_[minute];
    recent_minute_ = minute;
  }
  ++recent_->requests;
  if (tokens.input == 0 && tokens.output == 0) ++recent_->tokenless;
  recent_->tokens.input += tokens.input;
  recent_->tokens.cached += tokens.cached;
  recent_->tokens.output += tokens.output;
}

std::int64_t UsageSeries::first() const {
  return std::ranges::min_element(minutes_, {}, [](const auto& entry) { return entry.first; })
      ->first;
}

std::int64_t UsageSeries::last() const {
  return std::ranges::max_element(minutes_, {}, [](const auto& entry) { return entry.first; })
      ->first;
}

Result<UsageSummary> UsageSeries::Summarize() const {
  CHECK(!minutes_.empty(), "no request was added");
  UsageSummary summary{.first_minute = first(), .minutes = last() - first() + 1};
  if (summary.minutes > kMinutesMax) {
    return Fail(Code::kInvalidArgument,
                fmt::format("the times span {} minutes, more than {}: is their unit right?",
                            summary.minutes, kMinutesMax),
                "time");
  }
  summary.empty_minutes = summary.minutes - std::ssize(minutes_);
  const auto figures = [&](auto amount) {
    std::vector<std::pair<double, std::int64_t>> values;
    values.reserve(minutes_.size());
    for (const auto& [minute, totals] : minutes_) {
      values.emplace_back(static_cast<double>(amount(totals)), minute);
    }
    return Figures(std::move(values), summary.empty_minutes);
  };
  for (const auto& [minute, totals] : minutes_) {
    summary.requests += totals.requests;
    summary.tokenless_requests += totals.tokenless;
    summary.tokens.input += totals.tokens.input;
    summary.tokens.cached += totals.tokens.cached;
    summary.tokens.output += totals.tokens.output;
  }
  summary.requests_per_minute = figures([](const Totals& t) { return t.requests; });
  summary.input = figures([](const Totals& t) { return t.tokens.input; });
  summary.uncached = figures([](const Totals& t) { return t.tokens.input - t.tokens.cached; });
  summary.output = figures([](const Totals& t) { return t.tokens.output; });
  summary.total = figures([](const Totals& t) { return t.tokens.input + t.tokens.output; });
  return summary;
}

TokensPerMinute UsageSeries::MinuteAt(double quantile, const policy::CostWeights& weights) const {
  CHECK(!minutes_.empty(), "no request was added");
  std::vector<std::pair<double, const Totals*>> ranked;
  ranked.reserve(minutes_.size());
  for (const auto& [minute, totals] : minutes_) {
    ranked.emplace_back(policy::Cost(totals.tokens, weights), &totals);
  }
  std::ranges::sort(ranked, {}, [](const auto& entry) { return entry.first; });
  const std::int64_t count = last() - first() + 1;
  const std::int64_t silent = count - std::ssize(ranked);
  const auto rank = static_cast<std::int64_t>(Rank(quantile, count));
  if (rank < silent) return {};
  const Totals& totals = *ranked[static_cast<std::size_t>(rank - silent)].second;
  return {.requests = static_cast<double>(totals.requests),
          .input = static_cast<double>(totals.tokens.input),
          .cached = static_cast<double>(totals.tokens.cached),
          .output = static_cast<double>(totals.tokens.output)};
}

std::vector<UsageSeries::Minute> UsageSeries::Minutes() const {
  std::vector<Minute> all;
  all.reserve(minutes_.size());
  for (const auto& [minute, totals] : minutes_) {
    all.push_back({.minute = minute,
                   .tokens = {.requests = static_cast<double>(totals.requests),
                              .input = static_cast<double>(totals.tokens.input),
                              .cached = static_cast<double>(totals.tokens.cached),
                              .output = static_cast<double>(totals.tokens.output)}});
  }
  std::ranges::sort(all, {}, &Minute::minute);
  return all;
}

}  // namespace penstock::plan
