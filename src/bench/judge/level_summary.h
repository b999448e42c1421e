// The figures of one level. Pure.
#pragma once

#include "bench/judge/repeats.h"
#include "bench/judge/summary.h"

namespace penstock::bench {

// `run`: its header's settings and its budget are read.
LevelSummary SummariseLevel(const LoadRuns& load, const RunSummary& run);

}  // namespace penstock::bench
