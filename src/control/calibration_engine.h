// CalibrationEngine: the engine under measurement: started, awaited, and ended with this object.
#pragma once

#include <atomic>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "control/calibration_run.h"
#include "fleet/process.h"

namespace penstock::control {

class CalibrationEngine {
 public:
  // Errors: kUnavailable and the like of a process that cannot be started.
  static Result<CalibrationEngine> Start(const CalibrationPlan& plan);
  CalibrationEngine(CalibrationEngine&&) noexcept = default;
  ~CalibrationEngine();

  // Blocks until it is healthy. kUpstream with its last words where it ends before; kDeadline after
  // plan.start_max; kCancelled once `stopped`.
  Status AwaitHealth(const CalibrationPlan& plan, const std::atomic<bool>& stopped);

 private:
  CalibrationEngine(fleet::Process process, std::string log_path)
      : process_(std::move(process)), log_path_(std::move(log_path)) {}
  // Waits a little; how the engine ended, if it did.
  Status Wait(Duration pause);
  std::string LastWords() const;

  fleet::Process process_;
  std::string log_path_;
};

}  // namespace penstock::control
