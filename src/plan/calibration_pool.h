// Calibration pool: several measurements of the same loads, made into one. Pure.
//
// A machine's pace changes by the minute, a virtual one's by a quarter. What was measured several
// times, with other work between, is told by its median better than by any one of them;
// what loads with pauses take, fast or slow by chance, by its mean.
#pragma once

#include <span>
#include <vector>

#include "base/result.h"
#include "policy/calibration.h"

namespace penstock::plan {

// Points of equal loads (concurrency, pauses, input and output tokens within 2 %) become one: the
// medians of their times (means where there are pauses), and the sum of their requests. In the
// order in which loads first came.
std::vector<policy::CurvePoint> PoolPoints(std::span<const policy::CurvePoint> points);

// One calibration out of several of one model, hardware and engine settings, fitted anew. Errors:
// kInvalidArgument where there is none, or where the models differ; those of FitCalibration().
Result<policy::Calibration> PoolCalibrations(std::span<const policy::Calibration> calibrations);

}  // namespace penstock::plan
