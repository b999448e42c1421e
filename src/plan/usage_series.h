// Usage series: tokens per minute of one endpoint over weeks, and which of its peaks matter.
//
// Requests may be added in any order. Memory is that of the quarters of an hour that had requests,
// some 600 bytes each, however many requests there are. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "plan/workload.h"
#include "policy/capacity.h"

namespace penstock::plan {

// From the first to the last minute; about three years. A file that spans more has times in a wrong
// unit.
inline constexpr std::int64_t kMinutesMax = 1'600'000;

// One figure over all minutes of the span, those without any request included.
struct MinuteFigures {
  double min = 0;
  double mean = 0;
  double p50 = 0;
  double p95 = 0;
  double p99 = 0;
  double max = 0;
  std::int64_t max_minute = 0;  // When; minutes since 1970.
};

struct UsageSummary {
  std::int64_t first_minute = 0;  // Minutes since 1970.
  std::int64_t minutes = 0;       // Of the span.
  std::int64_t empty_minutes = 0;
  policy::TokenCounts tokens{};
  std::int64_t requests = 0;
  std::int64_t tokenless_requests = 0;  // Counted neither input nor output: refused or failed.
  MinuteFigures requests_per_minute{};
  MinuteFigures input{};
  MinuteFigures uncached{};  // Input without what the prompt cache gave.
  MinuteFigures output{};
  MinuteFigures total{};  // Input and output.
  double cache_rate() const {
    return tokens.input > 0 ? static_cast<double>(tokens.cached) / static_cast<double>(tokens.input)
                            : 0;
  }
};

class UsageSeries {
 public:
  // One request with its tokens. `at_s`: seconds since 1970.
  void Add(std::int64_t at_s, const policy::TokenCounts& tokens);

  bool empty() const { return quarters_.empty(); }
  // Quarters of an hour that are kept, and whether that of `at_s` is: Add() needs no more memory
  // then.
  std::size_t quarters() const { return quarters_.size(); }
  bool Keeps(std::int64_t at_s) const;

  // Errors: kInvalidArgument where the span exceeds kMinutesMax. REQUIRES: not empty.
  Result<UsageSummary> Summarize() const;

  // The minute below which a share `quantile` of all minutes lies, ranked by cost: its own tokens,
  // so that input and output belong together. 1: the most costly minute. REQUIRES: not empty.
  TokensPerMinute MinuteAt(double quantile, const policy::CostWeights& weights) const;

  // Totals of each minute in order, silent ones left out, for drawing.
  struct Minute {
    std::int64_t minute = 0;
    TokensPerMinute tokens{};
  };
  std::vector<Minute> Minutes() const;

 private:
  struct Totals {
    std::int64_t requests = 0;
    std::int64_t tokenless = 0;
    policy::TokenCounts tokens{};
  };
  static constexpr std::int64_t kQuarterMinutes = 15;
  using Quarter = std::array<Totals, kQuarterMinutes>;
  static std::int64_t QuarterOf(std::int64_t at_s);

  // Each minute that had requests, in no order.
  void ForEach(const std::function<void(std::int64_t minute, const Totals&)>& take) const;
  // The first and the last of them, and how many there are.
  struct Span {
    std::int64_t first = 0;
    std::int64_t last = 0;
    std::int64_t count = 0;
    std::int64_t minutes() const { return last - first + 1; }
  };
  Span SpanOf() const;

  std::unordered_map<std::int64_t, Quarter> quarters_;
  std::int64_t recent_quarter_ = 0;  // Most lines fall into the quarter of the line before.
  Quarter* recent_ = nullptr;        // Into quarters_; stable while it grows.
};

}  // namespace penstock::plan
