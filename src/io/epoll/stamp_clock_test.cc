#include "io/epoll/stamp_clock.h"

#include <gtest/gtest.h>

#include <ctime>

namespace penstock::io {
namespace {

Duration RealNow() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

TEST(StampClock, PutsAStampBetweenTheReadingsAroundIt) {
  StampClock clock;
  constexpr Duration kSlack = std::chrono::microseconds(50);  // Both clocks may be slewed.
  for (int i = 0; i < 1000; ++i) {
    const TimePoint before = Clock::now();
    const Duration stamp = RealNow();
    const TimePoint after = Clock::now();
    const TimePoint put = clock.ToMonotonic(stamp);
    EXPECT_GE(put, before - kSlack);
    EXPECT_LE(put, after + kSlack);
  }
}

// Stamps keep their distances, as long as no new measurement comes between.
TEST(StampClock, KeepsDistances) {
  StampClock clock;
  const Duration stamp = RealNow();
  const TimePoint first = clock.ToMonotonic(stamp);
  constexpr Duration kStep = std::chrono::microseconds(100);
  EXPECT_EQ(clock.ToMonotonic(stamp + kStep) - first, kStep);
  EXPECT_EQ(clock.ToMonotonic(stamp - kStep) - first, -kStep);
}

}  // namespace
}  // namespace penstock::io
