// Prepare: from options to all that a run needs, checked before anything is sent.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bench/drive/driver.h"
#include "bench/drive/endpoint.h"
#include "bench/drive/load_shape.h"
#include "bench/drive/options.h"
#include "bench/record/record.h"
#include "bench/schedule/level_plan.h"
#include "bench/workload/composer.h"
#include "bench/workload/corpus.h"
#include "http/origin.h"

namespace penstock::bench {

struct Prepared {
  Endpoint endpoint;
  http::Origin origin;
  Corpus corpus;
  Mix mix;
  RunHeader header;
  std::optional<OpenShape> open;  // None: a closed loop.
  std::vector<std::pair<std::string, std::string>> headers;
  TimePoint start{};      // What times in records count from.
  int chunk = 0;          // Unit of sale of the endpoint, in tokens/s; 0: not known.
  int in_flight_max = 0;  // What descriptors and the user allow, over all threads.
};

// Blocks: reads files and looks names up. Errors: kInvalidArgument naming the flag, kNotFound and
// kCorrupt for files, kExhausted (descriptors), kUnavailable (names).
Result<Prepared> Prepare(const BenchOptions& options);

// The schedule of an open loop's level. Errors: those of MakeOpenShape(); kInvalidArgument for a
// level that the options do not have.
Result<OpenLevelShape> DrawLevel(const BenchOptions& options, const ScheduleDraw& draw);

// The workload that the flags describe. Errors: kInvalidArgument naming the flag; those of files.
Result<Mix> MixOf(const BenchOptions& options);

using HeaderFields = std::vector<std::pair<std::string, std::string>>;
// Of texts "NAME: VALUE". Errors: kInvalidArgument naming the header, without its value.
Result<HeaderFields> ParseHeaders(const std::vector<std::string>& texts);

DriverSettings SettingsFor(const BenchOptions& options, const Prepared& prepared);
ComposerSettings ComposerFor(const BenchOptions& options, const Prepared& prepared);

// Whether the run searches for the most load within its budget, and over which load.
bool Searches(const BenchOptions& options);
bool SearchesRates(const BenchOptions& options);

// Most requests at once in a closed loop.
int ConcurrencyMax(const BenchOptions& options);

}  // namespace penstock::bench
