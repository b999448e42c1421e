#include "bench/report/report_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "bench/judge/answer.h"
#include "page/numbers.h"

namespace penstock::bench {

using page::Chart;
using page::ChartSeries;
using page::Count;
using page::DurationText;
using page::Figure;

namespace {

std::string PointTip(const LevelSummary& level, std::string_view what, double milliseconds) {
  return fmt::format("{}: {} {}, {} output tokens/s", LoadText(level), what,
                     DurationText(milliseconds), Figure(level.best_rates().output_tokens_per_s));
}

// "8", "12.5/s".
std::string ShortLoad(const LevelSummary& level) {
  return level.rate_per_s > 0 ? Figure(level.rate_per_s) + "/s" : Count(level.concurrency);
}

// A bound on latency stands where it is; bounds on other times are on no axis here, so that a line
// shows how far they hold.
void AddBudget(const RunSummary& summary, Chart& chart) {
  bool drawn = false;
  for (const BudgetTerm& term : summary.budget.terms) {
    if (term.kind != BudgetTerm::Kind::kTime || term.metric != Metric::kLatency) continue;
    chart.x_rules.push_back({.value = term.bound_ms / 1000, .text = term.text});
    drawn = true;
  }
  if (drawn || !summary.within_budget) return;
  chart.x_rules.push_back({.value = summary.levels[*summary.within_budget].latency_ms.p90 / 1000,
                           .text = "budget holds up to here"});
}

}  // namespace

Chart ThroughputCurve(const RunSummary& summary) {
  Chart chart{.id = "curve",
              .title = "Throughput against latency",
              .x_title = "latency, seconds",
              .y_title = "output tokens per second"};
  ChartSeries p50{.name = "p50"};
  ChartSeries p90{.name = "p90"};
  for (std::size_t i = 0; i < summary.levels.size(); ++i) {
    const LevelSummary& level = summary.levels[i];
    if (level.succeeded == 0) continue;
    const double rate = level.best_rates().output_tokens_per_s;
    const bool balanced = i == summary.balanced;
    if (balanced) {
      chart.marks.push_back({.point = p50.points.size(), .text = ShortLoad(level) + " balanced"});
    }
    const bool most = i == summary.within_budget && !balanced;
    if (most) {
      chart.marks.push_back(
          {.point = p50.points.size(), .text = ShortLoad(level) + " most within the budget"});
    }
    p50.points.push_back({.x = level.latency_ms.p50 / 1000,
                          .y = rate,
                          .label = balanced || most ? "" : ShortLoad(level),
                          .tooltip = PointTip(level, "p50", level.latency_ms.p50)});
    p90.points.push_back({.x = level.latency_ms.p90 / 1000,
                          .y = rate,
                          .tooltip = PointTip(level, "p90", level.latency_ms.p90)});
    chart.description +=
        fmt::format("At {}: {} output tokens per second at a median latency of {}. ",
                    LoadText(level), Figure(rate), DurationText(level.latency_ms.p50));
  }
  chart.series = {std::move(p50), std::move(p90)};
  AddBudget(summary, chart);
  return chart;
}

Chart ByLoad(const RunSummary& summary, Metric metric, std::string_view id, std::string_view name,
             Distribution LevelSummary::* of) {
  constexpr std::array<std::pair<std::string_view, double Distribution::*>, 3> kQuantiles = {
      {{"p50", &Distribution::p50}, {"p90", &Distribution::p90}, {"p99", &Distribution::p99}}};
  Chart chart{.id = std::string(id),
              .title = fmt::format("{} by load", name),
              .x_title = summary.header.settings.mode == "closed_loop" ? "concurrency" : "load",
              .y_title = fmt::format("{}, milliseconds", name),
              .width = 440,
              .height = 300};
  for (const auto& [quantile, value] : kQuantiles) {
    chart.series.push_back({.name = std::string(quantile)});
  }
  for (const LevelSummary& level : summary.levels) {
    const Distribution& distribution = level.*of;
    if (distribution.count == 0) continue;
    const auto x = static_cast<double>(chart.x_categories.size());
    chart.x_categories.push_back(ShortLoad(level));
    for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
      const auto& [quantile, value] = kQuantiles[i];
      chart.series[i].points.push_back({.x = x,
                                        .y = distribution.*value,
                                        .tooltip = PointTip(level, quantile, distribution.*value)});
    }
    chart.description += fmt::format("At {}: p50 {}, p90 {}, p99 {}. ", LoadText(level),
                                     DurationText(distribution.p50), DurationText(distribution.p90),
                                     DurationText(distribution.p99));
  }
  for (const BudgetTerm& term : summary.budget.terms) {
    if (term.kind == BudgetTerm::Kind::kTime && term.metric == metric) {
      chart.y_rules.push_back({.value = term.bound_ms, .text = term.text});
    }
  }
  return chart;
}

Chart DistributionChart(const RunSummary& summary, std::string_view id, std::string_view name,
                        std::vector<double> LevelSummary::* curve) {
  constexpr std::size_t kLines = 4;
  Chart chart{.id = std::string(id),
              .title = fmt::format("Distribution of {}", name),
              .x_title = fmt::format("{}, milliseconds", name),
              .y_title = "share of requests, %",
              .linear_y = true,
              .dots = false,
              .width = 440,
              .height = 300};
  std::vector<const LevelSummary*> levels;
  for (const LevelSummary& level : summary.levels) {
    if (!(level.*curve).empty()) levels.push_back(&level);
  }
  // Evenly over the levels, the least and the greatest load among them.
  const std::size_t lines = std::min(levels.size(), kLines);
  for (std::size_t line = 0; line < lines; ++line) {
    const std::size_t place = lines > 1 ? line * (levels.size() - 1) / (lines - 1) : 0;
    const LevelSummary& level = *levels[place];
    ChartSeries series{.name = ShortLoad(level)};
    double percent = 0;
    for (const double value : level.*curve) series.points.push_back({.x = value, .y = ++percent});
    chart.description += fmt::format("At {}, half were within {}. ", LoadText(level),
                                     DurationText((level.*curve)[49]));
    chart.series.push_back(std::move(series));
  }
  return chart;
}

Chart RateTimeline(const RunSummary& summary) {
  Chart chart{.id = "rate",
              .title = "Output tokens per second over time",
              .x_title = "seconds since the first request",
              .y_title = "output tokens per second",
              .dots = false,
              .height = 220};
  ChartSeries rate{.name = "output tokens/s"};
  for (const TimelineSlice& slice : summary.timeline) {
    rate.points.push_back({.x = slice.at_s, .y = slice.output_tokens_per_s});
  }
  chart.description = "The rate over the whole run, ramps and pauses between levels included.";
  chart.series.push_back(std::move(rate));
  return chart;
}

Chart LatencyTimeline(const RunSummary& summary) {
  Chart chart{.id = "latencies",
              .title = "TTFT and latency over time",
              .x_title = "seconds since the first request",
              .y_title = "median, seconds",
              .dots = false,
              .height = 220};
  ChartSeries ttft{.name = "TTFT"};
  ChartSeries latency{.name = "latency"};
  for (const TimelineSlice& slice : summary.timeline) {
    if (slice.ended == 0) continue;
    latency.points.push_back({.x = slice.at_s, .y = slice.latency_p50_ms / 1000});
    if (slice.ttft_p50_ms > 0) {
      ttft.points.push_back({.x = slice.at_s, .y = slice.ttft_p50_ms / 1000});
    }
  }
  chart.description = "Of the requests that ended in each slice of time.";
  chart.series = {std::move(latency), std::move(ttft)};
  return chart;
}

}  // namespace penstock::bench
