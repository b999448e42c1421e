// Closed loop: a load of so many requests always under way, played on a SimReplica. Or of one now
// and then, with pauses between.
#pragma once

#include "plan/step_model.h"
#include "policy/calibration.h"

namespace penstock::plan {

// As it is measured: medians, or means where requests differ. Zeros where there is nothing to take
// them of.
struct LoopTimes {
  double ttft_s = 0;
  double tpot_s = 0;
  double latency_s = 0;
};

// `spread`, below 1: lengths lie evenly between (1 - spread) and (1 + spread) times the shape's,
// the same ones each time.
LoopTimes PlayLoop(const StepModel& model, int concurrency, const policy::Shape& shape,
                   double spread = 0);

// A request after a pause.
LoopTimes PlayAlone(const StepModel& model, const policy::Shape& shape);

// The point was measured with pauses: one request at a time, and fewer than would fit.
bool HasPauses(const policy::CurvePoint& point);

// It tells how steps behave, and is no load that a fleet could be sized by.
bool IsForStepsAlone(const policy::CurvePoint& point);

}  // namespace penstock::plan
