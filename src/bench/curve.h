// Curve: a load test as a call: levels in, points of the throughput-latency curve out.
//
// What calibration uses. Knows no terminal, file or flag, and may be called on any thread.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "bench/drive/progress.h"
#include "bench/judge/summary.h"
#include "bench/workload/workload.h"

namespace penstock::bench {

struct CurveTarget {
  std::string url;      // Base URL ("unix:/path", "http://host:port"), or an API's full path.
  std::string model;    // "" where the URL names it.
  std::string api_key;  // "" sends none.
  bool insecure = false;
};

struct CurveWorkload {
  int input_tokens = kReferenceInputTokens;
  int output_tokens = kReferenceOutputTokens;
  std::uint64_t seed = 1;
  Duration request_time_max = std::chrono::minutes(10);
};

struct CurveLevels {
  std::vector<int> concurrency{};  // Empty: 1, 2, 4, 8 … while it pays.
  int concurrency_max = 256;       // Of the doubling.
  int requests = 0;                // Measured ones per level; 0: max(10, 4 × concurrency).
  int warmup = -1;                 // Per level, before those; -1: as many as the concurrency.
  double latency_max_ms = 0;       // The doubling ends once p90 is beyond; 0: no limit.
  int threads = 1;                 // That drive the load.
};

struct CurvePoint {
  int concurrency = 0;
  std::int64_t samples = 0;  // Measured requests that succeeded; 0: all other figures are 0.
  double output_tokens_per_s = 0;
  double total_tokens_per_s = 0;  // With input.
  double requests_per_s = 0;
  // Milliseconds from when a request was due.
  Distribution ttft_ms{};
  Distribution tpot_ms{};
  Distribution latency_ms{};
  double error_share = 0;
  double input_tokens_mean = 0;  // As the server counted them.
  double output_tokens_mean = 0;
  double cached_tokens_mean = 0;
};

struct Curve {
  std::vector<CurvePoint> points;  // By rising concurrency.
  // Indices into points; none without a success.
  std::optional<std::size_t> fastest;
  std::optional<std::size_t> balanced;  // Most output throughput ÷ median latency: the knee.
  std::optional<std::size_t> highest;
  bool interrupted = false;  // `stop` was set: the points are those of the levels done.
  bool valid = true;         // No warning says that the figures must not be used.
  std::vector<Warning> warnings;
};

// Measures, and blocks until it is done. Setting `stop` (any thread) ends it within a quarter of a
// second. `on_progress`, if any, is told how far it is a few times a second, on this thread.
// Errors: kInvalidArgument naming what is wrong; kUnavailable, kUnauthenticated, kNotFound,
// kRateLimited, kUpstream … when not even a first request succeeds; kCancelled when stopped before
// the first level; kExhausted (descriptors).
Result<Curve> MeasureCurve(const CurveTarget& target, const CurveWorkload& workload,
                           const CurveLevels& levels, const std::atomic<bool>& stop,
                           const std::function<void(const ProgressState&)>& on_progress = {});

// The curve of a run's summary. Pure.
Curve CurveOf(const RunSummary& summary);

}  // namespace penstock::bench
