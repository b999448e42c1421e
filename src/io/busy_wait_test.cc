#include "io/busy_wait.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace penstock::io {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr TimePoint kStart{std::chrono::hours(1)};
constexpr Duration kLongest = microseconds(80);

// Goes through pauses; returns how long it looked in all.
template <typename Pause>
Duration Go(BusyWait& wait, int pauses, TimePoint& now, Pause pause) {
  Duration looked{};
  for (int i = 0; i < pauses; ++i) {
    const Duration next = wait.Next(now);
    const Duration gap = pause(i);
    EXPECT_LE(next, wait.longest());
    if (next > Duration::zero()) {
      if (gap <= next) {
        wait.Found(gap);
      } else {
        wait.FoundNothing();
      }
      looked += std::min(gap, next);
    }
    now += gap;
  }
  return looked;
}

TEST(BusyWait, NeverLooksWhereItMayNot) {
  BusyWait wait;
  TimePoint now = kStart;
  EXPECT_EQ(Go(wait, 1000, now, [](int) { return microseconds(1); }), Duration::zero());
}

TEST(BusyWait, LooksOnceAnswersComeSoon) {
  BusyWait wait(kLongest);
  TimePoint now = kStart;
  Go(wait, 1000, now, [](int) { return microseconds(30); });
  EXPECT_EQ(wait.Next(now), microseconds(40)) << "no longer than what comes takes";
}

// Half of the pauses are a server's, half a client's: the long ones cost a short look each.
TEST(BusyWait, LooksNoLongerThanItPays) {
  BusyWait wait(kLongest);
  TimePoint now = kStart;
  const auto pause = [](int i) { return i % 2 == 0 ? microseconds(9) : microseconds(500); };
  Go(wait, 2000, now, pause);
  const TimePoint from = now;
  const Duration looked = Go(wait, 2000, now, pause);
  EXPECT_GT(looked, microseconds(9) * 900);
  EXPECT_LT(looked, (now - from) / 15);
}

TEST(BusyWait, GivesUpWhereNothingComes) {
  BusyWait wait(kLongest);
  TimePoint now = kStart;
  Go(wait, 1000, now, [](int) { return microseconds(20); });
  Go(wait, 1000, now, [](int) { return milliseconds(5); });
  const TimePoint from = now;
  const Duration looked = Go(wait, 1000, now, [](int) { return milliseconds(5); });
  EXPECT_LE(looked, (now - from) / 1000) << "but a trial now and then";
}

TEST(BusyWait, RestsWhereOthersWantTheProcessor) {
  BusyWait wait(kLongest);
  TimePoint now = kStart;
  const auto soon = [](int) { return microseconds(20); };
  Go(wait, 1000, now, soon);
  Duration rested{};
  for (int i = 0; i < 10; ++i) {  // Again and again.
    wait.Disturbed(now);
    const TimePoint from = now;
    while (wait.Next(now) == Duration::zero()) now += milliseconds(10);
    EXPECT_GE(now - from, std::min(2 * rested, BusyWait::kRestMax) - milliseconds(10));
    rested = now - from;
  }
  EXPECT_GE(rested, BusyWait::kRestMax);
  now += seconds(60);
  wait.Disturbed(now);
  now += BusyWait::kRestMin + milliseconds(1);
  EXPECT_GT(wait.Next(now), Duration::zero()) << "after a good spell it rests shortly";
}

// Any pauses: no look is longer than it may be, and looks are a bounded part of what they find.
TEST(BusyWait, StaysWithinItsBounds) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    BusyWait wait(kLongest);
    TimePoint now = kStart;
    for (int phase = 0; phase < 20; ++phase) {
      const auto spread = static_cast<std::uint64_t>(1) << random.Below(20);
      Go(wait, 300, now, [&](int) { return microseconds(1 + random.Below(spread)); });
      if (random.Below(4) == 0) wait.Disturbed(now);
    }
  }
}

}  // namespace
}  // namespace penstock::io
