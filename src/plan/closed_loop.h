// Closed loop: a load of so many requests of one shape always under way, played on a SimReplica. Or
// of one now and then, with pauses between.
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

// A request after a pause.
LoopTimes PlayAlone(const StepModel& model, const policy::Shape& shape);

// The point was measured with pauses: one request at a time, and fewer than would fit.
bool HasPauses(const policy::CurvePoint& point);

}  // namespace penstock::plan
