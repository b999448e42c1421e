// Search run: probes a server, load by load, until a Search is done.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "bench/judge/budget.h"
#include "bench/judge/search.h"
#include "bench/record/record.h"
#include "bench/schedule/level_plan.h"

namespace penstock::bench {

// One probe to run.
struct ProbeOrder {
  double load = 0;
  int number = 1;  // The level's.
  // Measured requests: of a scout all, of a judged probe at most. The judge may end it before.
  std::int64_t samples = 0;
  bool scout = false;
  double latency_below_ms = 0;  // Median at the nearest lower load that was probed; 0: not known.
  Duration time_max{};          // Then it ends as it stands. 0: no limit.
  std::string note{};           // Where the search stands, for the display.
  std::function<Enough(const RequestRecord&)> judge{};  // To be asked after each request.
};
// Runs the level of one load; gives its records.
using RunProbe = std::function<Result<RunRecords>(const ProbeOrder&)>;

struct SearchRunSettings {
  SearchLimits limits{};
  Budget budget{};               // Not empty.
  std::int64_t samples_max = 0;  // Of a judged probe: then the shares seen decide.
  Duration probe_time_max{};     // 0: no limit.
  Duration time_max{};           // Of the whole search. 0: no limit.
  std::function<TimePoint()> now = [] { return Clock::now(); };
};

// Measured requests of a scout.
std::int64_t ScoutSamples(const SearchLimits& limits, double load, double latency_below_ms);

// Probes until the search ends or `stop` is set, keeping all records in `run`, whose settings'
// budget it holds to. A probe ends as soon as its verdict is clear: what is under way then is
// waited for where the budget holds, and cancelled where it is broken. Errors: those of `probe`.
Result<SearchEnd> RunSearch(const SearchRunSettings& settings, const RunProbe& probe,
                            const std::atomic<bool>& stop, RunRecords& run);

}  // namespace penstock::bench
