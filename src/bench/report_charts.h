// Report charts: a summary's curves as values, before they are drawn. Pure.
#pragma once

#include <string_view>

#include "bench/summary.h"
#include "page/svg_chart.h"

namespace penstock::bench {

// Output throughput over p50 and p90 latency, one point per level that had a success, the balanced
// one marked.
page::Chart ThroughputCurve(const RunSummary& summary);

// p50, p90 and p99 of a distribution over the levels that have samples of it. `id` is the chart's.
page::Chart ByConcurrency(const RunSummary& summary, std::string_view id, std::string_view name,
                          Distribution LevelSummary::* of);

}  // namespace penstock::bench
