// StepFit: the engine's steps, as a calibration tells of them.
//
// A calibration holds closed loops: so many requests of one shape always under way, and how long
// they took. The fit looks for the step model whose own closed loops, played by SimReplica, come
// nearest to those, so that batches, cut prompts and the order of prompts are in it as they are in
// the simulation. Pure.
#pragma once

#include "plan/step_model.h"
#include "policy/calibration.h"

namespace penstock::plan {

struct StepFit {
  StepModel model{};
  // How far the model's closed loops are from the measured ones, relatively: medians of TTFT and
  // TPOT of requests alone, of the latency of several at a time.
  double error_mean = 0;
  double error_max = 0;
};

// How the engine fills a step, which no measurement tells: as it was set. The rest of `settings` is
// not looked at.
StepFit FitStepModel(const policy::Calibration& calibration, const StepModel& settings);

}  // namespace penstock::plan
