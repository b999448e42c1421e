// Run: a whole load test, from options to summary: what `penstock bench` calls.
#pragma once

#include <atomic>
#include <string>
#include <vector>

#include "base/result.h"
#include "bench/drive/options.h"
#include "bench/judge/summary.h"
#include "bench/schedule/plan.h"

namespace penstock::bench {

struct BenchOutcome {
  RunSummary summary;
  StopReason stop_reason = StopReason::kNotStopped;
};

// Runs the test on threads of its own, and blocks until it ends. Setting `stop` (from a signal
// handler or any thread) ends it within a quarter of a second; the outcome is then what was done so
// far. Errors: kInvalidArgument naming the option; kExhausted (descriptors, disk); those of Fit(),
// when not even a first request succeeds.
Result<BenchOutcome> RunBench(const BenchOptions& options, const std::atomic<bool>& stop);

// For --render FILE.jsonl: the summary of records kept earlier. Errors: those of ReadRecords().
Result<RunSummary> LoadSummary(const std::string& records_path);

// Writes the HTML report. Errors: kInvalidArgument naming the path.
Status WriteReport(const std::string& path, const RunSummary& summary);

// A command line as one text, with the values of --api-key replaced.
std::string WithoutKeys(const std::vector<std::string>& arguments);

}  // namespace penstock::bench
