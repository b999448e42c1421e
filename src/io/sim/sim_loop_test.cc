// The simulation itself: its clock, its determinism, and the faults that tests order.
#include "io/sim/sim_loop.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "io/event.h"
#include "io/sim/sim_network.h"
#include "io/task_scope.h"

namespace penstock::io {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Task<void> SleepThenNote(Loop& loop, Duration duration, std::vector<int>& notes, int note) {
  if (co_await loop.Sleep(duration)) notes.push_back(note);
}

TEST(SimLoop, TimeJumpsToWhatHappensNext) {
  SimLoop loop;
  TaskScope scope(loop);
  std::vector<int> notes;
  scope.Spawn("late", SleepThenNote(loop, seconds(1800), notes, 2));
  scope.Spawn("soon", SleepThenNote(loop, milliseconds(3), notes, 1));
  loop.Run();
  EXPECT_EQ(loop.last_end(), SimLoop::End::kNothingLeft);
  EXPECT_EQ(notes, (std::vector{1, 2}));
  EXPECT_EQ(loop.Now(), SimLoop::kStart + seconds(1800));
  EXPECT_EQ(loop.WallNow(), SimLoop::kWallStart + seconds(1800));
}

TEST(SimLoop, RunForEndsTheClockWhereItSays) {
  SimLoop loop;
  TaskScope scope(loop);
  std::vector<int> notes;
  scope.Spawn("sleeper", SleepThenNote(loop, milliseconds(10), notes, 1));
  loop.RunFor(milliseconds(9));
  EXPECT_EQ(loop.last_end(), SimLoop::End::kTimeLimit);
  EXPECT_EQ(loop.Now(), SimLoop::kStart + milliseconds(9));
  EXPECT_TRUE(notes.empty());
  loop.RunFor(seconds(1));
  EXPECT_EQ(notes, std::vector{1});
  EXPECT_EQ(loop.Now(), SimLoop::kStart + milliseconds(9) + seconds(1));
}

TEST(SimLoop, RunUntilIdleLeavesSleepersAlone) {
  SimLoop loop;
  TaskScope scope(loop);
  std::vector<int> notes;
  scope.Spawn("sleeper", SleepThenNote(loop, milliseconds(10), notes, 1));
  loop.At(loop.Now() + milliseconds(4), [&notes] { notes.push_back(0); });
  loop.RunUntilIdle();
  EXPECT_EQ(notes, std::vector{0});
  EXPECT_EQ(loop.Now(), SimLoop::kStart + milliseconds(4));
  loop.Run();
}

TEST(SimLoop, SaysWhenNothingCanHappenAnyMore) {
  SimLoop loop;
  Event never(loop);
  TaskScope scope(loop);
  scope.Spawn("stuck", [](Event& event) -> Task<void> {
    (void)co_await event.Wait(Deadline::Never());
  }(never));
  loop.Run();
  EXPECT_EQ(loop.last_end(), SimLoop::End::kNothingLeft);
  EXPECT_EQ(scope.size(), 1u);
  scope.Stop();
  loop.Run();
  EXPECT_EQ(scope.size(), 0u);
}

Task<void> TickForEver(Loop& loop) {
  while (co_await loop.Sleep(seconds(1))) {
  }
}

TEST(SimLoop, GivesUpOnTasksThatOnlySleep) {
  SimLoop loop({.run_limit = seconds(100)});
  TaskScope scope(loop);
  scope.Spawn("ticker", TickForEver(loop));
  loop.Run();
  EXPECT_EQ(loop.last_end(), SimLoop::End::kTimeLimit);
  EXPECT_EQ(loop.Now(), SimLoop::kStart + seconds(100));
  scope.Stop();
  loop.Run();
}

}  // namespace
}  // namespace penstock::io
