#include "io/epoll/stamp_clock.h"

#include <ctime>

namespace penstock::io {

namespace {

Duration Read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

// Real time between two readings of the monotonic clock: a thread that was interrupted between them
// shows it by their distance, and tries again.
void StampClock::Measure() {
  constexpr int kTries = 5;
  constexpr Duration kClose = std::chrono::microseconds(1);
  Duration best = Duration::max();
  for (int i = 0; i < kTries && best > kClose; ++i) {
    const Duration before = Read(CLOCK_MONOTONIC);
    const Duration real = Read(CLOCK_REALTIME);
    const Duration after = Read(CLOCK_MONOTONIC);
    if (after - before >= best) continue;
    best = after - before;
    distance_ = real - (before + best / 2);
    measured_at_ = real;
  }
}

}  // namespace penstock::io
