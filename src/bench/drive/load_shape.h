// Load shape: from the flags of an open loop to its schedules. Reads a trace; otherwise pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "bench/drive/options.h"
#include "bench/schedule/schedule.h"

namespace penstock::bench {

struct OpenLevelShape {
  Schedule schedule{};
  double rate_per_s = 0;  // Its mean.
};

struct OpenShape {
  std::string mode{};           // As RunSettings::mode.
  std::vector<double> rates{};  // As RunSettings::rates_per_s.
  std::string trace{};          // Its name; "" where there is none.
  std::vector<OpenLevelShape> levels{};
};

// `requests`: per level; 0: as many as the duration holds. Errors: kInvalidArgument naming the
// flag, and those of trace::ReadTrace().
Result<OpenShape> MakeOpenShape(const ShapeOptions& options, int requests, std::uint64_t seed);

// An open loop's length where neither --duration-s nor --requests is given.
inline constexpr Duration kOpenDuration = std::chrono::seconds(60);

// What is dropped at the begin of an open level where the user names nothing: a tenth of it, at
// most 30 s.
Duration DefaultWarmup(Duration span);

}  // namespace penstock::bench
