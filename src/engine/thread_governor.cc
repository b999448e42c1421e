// Fewer threads where cores are short.
#include "engine/thread_governor.h"

#include <algorithm>

namespace penstock::engine {

int ThreadGovernor::More() const {
  return std::min(threads_max_, threads_ + std::max(1, threads_max_ / 4));
}

void ThreadGovernor::Note(TimePoint now, Duration wall, Duration processor) {
  if (threads_max_ == 1) return;
  wall_ += wall;
  processor_ += processor;
  if (wall_ < kWindow) return;
  const double share = Seconds(processor_) / Seconds(wall_);
  wall_ = processor_ = {};
  if (share < kShortShare && threads_ > 1) {
    // Soon after a raise, the raise was the mistake.
    const bool soon = now - changed_ < kPauseMin && threads_ != threads_max_;
    pause_ = soon || (reductions_ > 0 && now - changed_ < 2 * pause_)
                 ? std::min(2 * pause_, kPauseMax)
                 : kPauseMin;
    threads_ = Less();
    changed_ = now;
    ++reductions_;
  } else if (share > kFullShare && threads_ < threads_max_ && now - changed_ >= pause_) {
    threads_ = More();
    changed_ = now;
  }
}

}  // namespace penstock::engine
