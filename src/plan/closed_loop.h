// Closed loop: a load of so many requests of one shape always under way, played on a SimReplica.
#pragma once

#include "plan/step_model.h"
#include "policy/calibration.h"

namespace penstock::plan {

// As it is measured: medians. Zeros where there is nothing to take them of.
struct LoopTimes {
  double ttft_s = 0;
  double tpot_s = 0;
  double latency_s = 0;
};
LoopTimes PlayLoop(const StepModel& model, int concurrency, const policy::Shape& shape);

}  // namespace penstock::plan
