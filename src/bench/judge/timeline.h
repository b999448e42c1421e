// Timeline: a run in slices of time, for a report's pictures. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "bench/record/record.h"

namespace penstock::bench {

struct TimelineSlice {
  double at_s = 0;                 // Its middle, since the first request.
  double output_tokens_per_s = 0;  // Of failed requests, too: the wire carried them.
  double requests_per_s = 0;       // That were due in it.
  std::int64_t ended = 0;          // Good answers that ended in it.
  double ttft_p50_ms = 0;          // Of those. 0: there were none.
  double latency_p50_ms = 0;
  std::int64_t failed = 0;
};

inline constexpr int kTimelineSlices = 120;

// Equal slices over the whole run but for its fitting; none where nothing was sent.
std::vector<TimelineSlice> TimelineOf(const RunRecords& run);

}  // namespace penstock::bench
