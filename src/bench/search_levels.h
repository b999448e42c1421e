// Search levels: a search as the levels of a run: of concurrency, or of a rate.
#pragma once

#include <atomic>

#include "base/result.h"
#include "bench/drive/level_runner.h"
#include "bench/drive/options.h"
#include "bench/record/record.h"
#include "bench/schedule/plan.h"

namespace penstock::bench {

// Searches for the most load that holds the options' budget, which parses, keeping all records in
// `run`. Blocks. `common`: what every level has in common. Errors: those of the levels.
Result<StopReason> SearchLevels(const BenchOptions& options, const LevelPlan& common,
                                LevelRunner& runner, const std::atomic<bool>& stop,
                                RunRecords& run);

}  // namespace penstock::bench
