// Trace: requests as they came to some server, or as they shall come to one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::trace {

inline constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
inline constexpr std::int64_t kTokensMax = 100'000'000;  // Of one request; more is no token count.
inline constexpr std::size_t kArrivalsMax = 20'000'000;  // Of one trace.

struct Arrival {
  std::int64_t at_ns = 0;  // Since the trace's begin.
  int input_tokens = 0;
  int output_tokens = 0;
  // The prompt's blocks of Trace::block_tokens each, the last one perhaps shorter: equal ids at the
  // front of two requests mean an equal prefix. Empty where the trace does not tell.
  std::vector<std::int64_t> blocks{};

  bool operator==(const Arrival&) const = default;
};

struct Trace {
  std::string name{};  // For reports: the file's name.
  std::string
      format{};  // "azure", "burstgpt", "table", "mooncake", "lines", "records", "servegen".
  int block_tokens = 0;             // 0: no arrival has blocks.
  std::vector<Arrival> arrivals{};  // In order of time.

  bool operator==(const Trace&) const = default;

  std::int64_t span_ns() const { return arrivals.empty() ? 0 : arrivals.back().at_ns; }
};

// What of a trace is used.
struct Cut {
  std::int64_t from_ns = 0;
  std::int64_t span_ns = 0;      // 0: to the end.
  std::size_t arrivals_max = 0;  // 0: all.
};

// Sorts by time (rows of equal time keep their order) and moves the first arrival to 0.
void Normalise(Trace& trace);

// Leaves what lies in the cut, moved so that `cut.from_ns` becomes 0.
void Apply(const Cut& cut, Trace& trace);

// Plays it `factor` > 0 times as fast: 2 halves every distance in time.
void SpeedUp(double factor, Trace& trace);

// "row ROW, column COLUMN: WHAT": how everything that cannot be read is said. Rows count from 1, a
// header included.
std::unexpected<Error> FailAt(std::size_t row, std::string_view column, std::string_view what);

}  // namespace penstock::trace
