// LevelProgress: what the display shows of a level, kept up as records come in.
#pragma once

#include <cstdint>
#include <vector>

#include "base/clock.h"
#include "bench/drive/progress.h"
#include "bench/record/record.h"
#include "bench/schedule/level_plan.h"

namespace penstock::bench {

class LevelProgress {
 public:
  LevelProgress(const LevelPlan& plan, TimePoint start, std::int64_t token_chunks);

  void Add(const RequestRecord& record);
  // `token_chunks`: read so far by all drivers.
  const ProgressState& At(TimePoint now, std::int64_t token_chunks);

 private:
  ProgressState state_;
  TimePoint begun_;
  TimePoint window_at_;
  std::int64_t window_chunks_;
  std::vector<double> ttft_ms_;
};

}  // namespace penstock::bench
