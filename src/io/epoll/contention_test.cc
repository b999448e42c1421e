#include "io/epoll/contention.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <thread>
#include <vector>

namespace penstock::io {
namespace {

// The first processor that this process may use, for the calling thread alone.
void PinHere() {
  cpu_set_t allowed;
  ASSERT_EQ(sched_getaffinity(0, sizeof allowed, &allowed), 0);
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (!CPU_ISSET(i, &allowed)) continue;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(i, &one);
    ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
    return;
  }
}

// Works for as long as it takes until somebody was seen to be in its way; false: nobody was.
bool SeesContention(Duration for_up_to) {
  Contention contention;
  const TimePoint from = Clock::now();
  EXPECT_FALSE(contention.Look(from)) << "there is nothing to compare with";
  for (TimePoint now = from; now - from < for_up_to; now = Clock::now()) {
    if (contention.Look(now)) return true;
  }
  return false;
}

TEST(Contention, SeesWhoeverWantsTheSameProcessor) {
  std::atomic<bool> stop = false;
  std::atomic<bool> seen = false;
  {
    std::vector<std::jthread> others;
    for (int i = 0; i < 3; ++i) {
      others.emplace_back([&stop] {
        PinHere();
        while (!stop) {
        }
      });
    }
    std::jthread looking([&] {
      PinHere();
      seen = SeesContention(std::chrono::seconds(20));
      stop = true;
    });
  }
  EXPECT_TRUE(seen);
}

TEST(Contention, LooksNoMoreOftenThanItHasTo) {
  Contention contention;
  const TimePoint now = Clock::now();
  EXPECT_FALSE(contention.Look(now));
  EXPECT_FALSE(contention.Look(now + Contention::kInterval / 2));
}

}  // namespace
}  // namespace penstock::io
