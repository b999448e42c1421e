// Report charts: a summary's curves as values, before they are drawn. Pure.
#pragma once

#include <string_view>
#include <vector>

#include "bench/judge/summary.h"
#include "page/svg_chart.h"

namespace penstock::bench {

// Output throughput over p50 and p90 latency, one point per level that had a success; the balanced
// one and the most within the budget marked, and the budget drawn in.
page::Chart ThroughputCurve(const RunSummary& summary);

// p50, p90 and p99 of a distribution over the levels that have samples of it, with the budget's
// bound on `metric`. `id` is the chart's.
page::Chart ByLoad(const RunSummary& summary, Metric metric, std::string_view id,
                   std::string_view name, Distribution LevelSummary::* of);

// Cumulative distribution: which share of the requests was at least so fast, a line for each of up
// to four levels. `curve`: LevelSummary::ttft_curve_ms or tpot_curve_ms.
page::Chart DistributionChart(const RunSummary& summary, std::string_view id, std::string_view name,
                              std::vector<double> LevelSummary::* curve);

// The run over time: output tokens per second; and latencies.
page::Chart RateTimeline(const RunSummary& summary);
page::Chart LatencyTimeline(const RunSummary& summary);

}  // namespace penstock::bench
