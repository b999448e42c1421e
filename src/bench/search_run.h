// Search run: probes a server, load by load, until a Search is done.
#pragma once

#include <atomic>
#include <functional>

#include "base/result.h"
#include "bench/budget.h"
#include "bench/level_plan.h"
#include "bench/record.h"
#include "bench/search.h"

namespace penstock::bench {

// Runs the level of one load, asking `judge` after each of its requests; gives its records.
using RunProbe = std::function<Result<RunRecords>(
    double load, int number, const std::function<Enough(const RequestRecord&)>& judge)>;

// Probes until the search ends or `stop` is set, keeping all records in `run`, whose settings'
// budget it holds to. A probe ends as soon as its verdict is clear: what is under way then is
// waited for where the budget holds, and cancelled where it is broken. Errors: those of `probe`.
Result<SearchEnd> RunSearch(const SearchLimits& limits, const Budget& budget,
                            std::int64_t samples_max, const RunProbe& probe,
                            const std::atomic<bool>& stop, RunRecords& run);

}  // namespace penstock::bench
