#include "bench/report_charts.h"

#include <fmt/format.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "page/numbers.h"

namespace penstock::bench {

using page::Chart;
using page::ChartSeries;
using page::Count;
using page::DurationText;
using page::Figure;

namespace {

std::string PointTip(const LevelSummary& level, std::string_view what, double milliseconds) {
  return fmt::format("concurrency {}: {} {}, {} output tokens/s", level.concurrency, what,
                     DurationText(milliseconds), Figure(level.best_rates().output_tokens_per_s));
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
      chart.marks.push_back(
          {.point = p50.points.size(), .text = fmt::format("{} balanced", level.concurrency)});
    }
    p50.points.push_back({.x = level.latency_ms.p50 / 1000,
                          .y = rate,
                          .label = balanced ? "" : Count(level.concurrency),
                          .tooltip = PointTip(level, "p50", level.latency_ms.p50)});
    p90.points.push_back({.x = level.latency_ms.p90 / 1000,
                          .y = rate,
                          .tooltip = PointTip(level, "p90", level.latency_ms.p90)});
    chart.description +=
        fmt::format("Concurrency {}: {} output tokens per second at a median latency of {}. ",
                    level.concurrency, Figure(rate), DurationText(level.latency_ms.p50));
  }
  chart.series = {std::move(p50), std::move(p90)};
  return chart;
}

Chart ByConcurrency(const RunSummary& summary, std::string_view id, std::string_view name,
                    Distribution LevelSummary::* of) {
  constexpr std::array<std::pair<std::string_view, double Distribution::*>, 3> kQuantiles = {
      {{"p50", &Distribution::p50}, {"p90", &Distribution::p90}, {"p99", &Distribution::p99}}};
  Chart chart{.id = std::string(id),
              .title = fmt::format("{} by concurrency", name),
              .x_title = "concurrency",
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
    chart.x_categories.push_back(Count(level.concurrency));
    for (std::size_t i = 0; i < kQuantiles.size(); ++i) {
      const auto& [quantile, value] = kQuantiles[i];
      chart.series[i].points.push_back({.x = x,
                                        .y = distribution.*value,
                                        .tooltip = PointTip(level, quantile, distribution.*value)});
    }
    chart.description += fmt::format("Concurrency {}: p50 {}, p90 {}, p99 {}. ", level.concurrency,
                                     DurationText(distribution.p50), DurationText(distribution.p90),
                                     DurationText(distribution.p99));
  }
  return chart;
}

}  // namespace penstock::bench
