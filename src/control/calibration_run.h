// CalibrationRun: measures one replica of a model with the load test's own driver.
//
// Starts an engine, waits until it is healthy, sends it small loads of several shapes (the probes),
// then the reference workload with rising concurrency (the curve) until throughput stops growing or
// the latency budget breaks, and ends the engine. Blocks, on a thread of its own.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/background_jobs.h"
#include "policy/calibration.h"

namespace penstock::control {

// How long the requests of the curve are.
enum class CurveLength {
  kAuto,       // At the reference workload, if that fits into the budget of time.
  kReference,  // 2048 + 256 tokens, whatever it takes.
  kQuick,      // An eighth of it; the reference workload's figures follow from the fit.
};
// "auto", "reference", "quick". kInvalidArgument, naming them.
Result<CurveLength> ParseCurveLength(std::string_view word, const std::string& field);

struct CalibrationPlan {
  std::vector<std::string> engine_command{};  // The program's path first.
  std::string address{};                      // Where it listens: "unix:/….sock".
  std::string health_target = "/health";
  std::string log_path{};           // What the engine prints goes there.
  std::string report_path{};        // The curve's HTML report; "" writes none.
  std::int64_t context_tokens = 0;  // Of the model; 0 unknown.
  CurveLength length = CurveLength::kAuto;
  int concurrency_max = 8;                        // Requests that the engine runs at once.
  Duration start_max = std::chrono::minutes(10);  // For the engine to become healthy.
  Duration budget = std::chrono::minutes(3);      // Above it, kAuto takes short requests.
  policy::CalibrationSettings settings{};
};

// Errors: those of the engine's start (with its last words) and of the load test; kDeadline;
// kCancelled.
Result<policy::Calibration> RunCalibration(const CalibrationPlan& plan, JobHandle& job);

}  // namespace penstock::control
