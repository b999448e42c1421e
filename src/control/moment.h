// Moment: one reading of both clocks, taken once per request or turn and passed down.
#pragma once

#include "base/clock.h"

namespace penstock::control {

struct Moment {
  TimePoint now{};  // For intervals.
  WallTime wall{};  // For people and records.
};

}  // namespace penstock::control
