// Run: a whole load test, from options to summary: what `penstock bench` calls.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bench/plan.h"
#include "bench/progress.h"
#include "bench/summary.h"
#include "bench/workload.h"

namespace penstock::bench {

inline constexpr int kConcurrencyLimit = 100'000;
inline constexpr int kThreadsLimit = 256;
inline constexpr int kTokensLimit = 1'000'000;

// One field per flag; what is wrong with one is said by RunBench() before anything is sent.
struct BenchOptions {
  std::string url;      // Base URL, or the full path of an API; see Endpoint::FromUrl.
  std::string model;    // --model: sent as "model"; "" where the URL names the endpoint.
  std::string api_key;  // --api-key, PENSTOCK_API_KEY: sent as a bearer token, never kept.
  std::vector<int>
      concurrency;  // --concurrency LIST: these levels; empty: 1, 2, 4, 8 … while it pays.
  int concurrency_max = 256;  // --concurrency-max: where doubling ends.
  int requests = 0;           // --requests: measured ones per level; 0: max(10, 4 × concurrency).
  int warmup = -1;  // --warmup: requests per level before those; -1: as many as concurrency.
  int input_tokens = kReferenceInputTokens;    // --input-tokens: kInputTokensMin to kTokensLimit.
  int output_tokens = kReferenceOutputTokens;  // --output-tokens: 1 to kTokensLimit.
  std::string corpus_path;    // --corpus FILE: UTF-8 text to cut prompts from; "": the shipped one.
  std::uint64_t seed = 1;     // --seed: chooses texts and their order.
  double latency_max_ms = 0;  // --latency-max-ms: doubling ends once p90 exceeds it; 0: no limit.
  bool streamed = true;       // --stream, --no-stream.
  Duration timeout = std::chrono::minutes(10);  // --timeout-s: of one request, connecting included.
  int threads = 1;           // --threads: driver threads, each with its own loop.
  bool insecure = false;     // --insecure: accept any TLS certificate.
  std::string records_path;  // --records FILE.jsonl: "" keeps no records.
  std::string report_path;   // --report FILE.html: "" writes no report.
  bool progress = true;      // --no-progress: nothing on stderr.
  // Told how far the run is, a few times a second, on the thread that called RunBench().
  std::function<void(const ProgressState&)> on_progress;
  std::string command;  // The command line for the report; WithoutKeys() it first.
};

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
