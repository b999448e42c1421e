// Exports: a summary for other programs and for tickets: CSV, Prometheus text, Markdown. Pure.
#pragma once

#include <string>

#include "bench/judge/summary.h"

namespace penstock::bench {

// One line per level, with a header line; RFC 4180. Empty cells are figures that there are none of.
std::string RenderCsv(const RunSummary& summary);

// Gauges in the text format 0.0.4, each with the level's load as a label: for a textfile collector
// or a push gateway. Times are in seconds.
std::string RenderPrometheus(const RunSummary& summary);

// The answer, a table, the warnings and what was run: to paste into a ticket.
std::string RenderMarkdown(const RunSummary& summary);

}  // namespace penstock::bench
