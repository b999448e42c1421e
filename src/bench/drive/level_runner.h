// LevelRunner: who sends the load of a level: the threads of this process, or other machines.
#pragma once

#include "base/result.h"
#include "bench/drive/fit.h"
#include "bench/record/record.h"
#include "bench/schedule/level_plan.h"

namespace penstock::bench {

class LevelRunner {
 public:
  virtual ~LevelRunner() = default;

  // Finds what the server takes and how long prompts must be. Errors: those of Fit().
  virtual Result<FitReport> FitPrompts() = 0;

  // Runs a level and returns its records. Blocks. Errors: of disks and of other machines; a request
  // that fails is a record.
  virtual Result<RunRecords> RunLevel(const LevelPlan& plan) = 0;
};

}  // namespace penstock::bench
