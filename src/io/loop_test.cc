// Sleeping, posting, stopping and events, on every kind of loop.
#include "io/loop.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "io/event.h"
#include "io/io_testing.h"

namespace penstock::io {
namespace {

using std::chrono::milliseconds;
using testing::CodeOf;
using ::testing::ElementsAre;
using testing::Must;

template <typename Kind>
class LoopTest : public testing::OnLoop<Kind> {};
TYPED_TEST_SUITE(LoopTest, testing::LoopKinds);

Task<void> SleepThenNote(Loop& loop, Duration duration, std::vector<int>& notes, int note) {
  const TimePoint due = loop.Now() + duration;
  Must(co_await loop.SleepUntil(due));
  EXPECT_GE(loop.Now(), due);
  notes.push_back(note);
}

Task<void> SleepInOrder(Loop& loop) {
  std::vector<int> notes;
  TaskScope scope(loop);
  scope.Spawn("3", SleepThenNote(loop, milliseconds(12), notes, 3));
  scope.Spawn("1", SleepThenNote(loop, milliseconds(-5), notes, 1));
  scope.Spawn("2", SleepThenNote(loop, milliseconds(4), notes, 2));
  co_await scope.Join();
  EXPECT_THAT(notes, ElementsAre(1, 2, 3));
}

TYPED_TEST(LoopTest, SleepersWakeInOrderAndNeverEarly) { this->Run(SleepInOrder(this->loop())); }

TYPED_TEST(LoopTest, ClocksGoOnTogether) {
  Loop& loop = this->loop();
  const TimePoint now = loop.Now();
  const WallTime wall = loop.WallNow();
  std::vector<int> notes;
  this->Run(SleepThenNote(loop, milliseconds(3), notes, 0));
  EXPECT_GE(loop.Now() - now, milliseconds(3));
  EXPECT_GE(loop.WallNow() - wall, milliseconds(2));
}

Task<void> PostThree(Loop& loop, std::vector<int>& notes) {
  Event done(loop);
  loop.Post([&] {
    notes.push_back(1);
    loop.Post([&] {
      notes.push_back(3);
      done.Set();
    });
  });
  loop.Post([&] { notes.push_back(2); });
  EXPECT_TRUE(notes.empty()) << "Post() does not call";
  Must(co_await done.Wait(Deadline::Never()));
}

TYPED_TEST(LoopTest, PostedCallsRunInOrder) {
  std::vector<int> notes;
  this->Run(PostThree(this->loop(), notes));
  EXPECT_THAT(notes, ElementsAre(1, 2, 3));
}

TYPED_TEST(LoopTest, RunsAgainAfterStop) {
  Loop& loop = this->loop();
  int calls = 0;
  for (int i = 0; i < 3; ++i) {
    loop.Post([&] {
      ++calls;
      loop.Stop();
    });
    loop.Run();
    EXPECT_EQ(calls, i + 1);
  }
}

TYPED_TEST(LoopTest, AStopBeforeTheRunEndsItAtOnce) {
  Loop& loop = this->loop();
  int calls = 0;
  loop.Post([&] {
    ++calls;
    loop.Stop();
  });
  loop.Stop();
  loop.Run();
  EXPECT_EQ(calls, 0);
  loop.Run();
  EXPECT_EQ(calls, 1);
}

Task<void> WaitThenNote(Event& event, Deadline deadline, std::vector<Code>& codes) {
  codes.push_back(CodeOf(co_await event.Wait(deadline)));
}

// kInternal stands for "no failure".
Task<void> UseEvent(Loop& loop) {
  Event event(loop);
  std::vector<Code> codes;
  TaskScope scope(loop);
  for (int i = 0; i < 3; ++i) scope.Spawn("w", WaitThenNote(event, Deadline::Never(), codes));
  const Deadline soon(loop.Now() + milliseconds(3));
  scope.Spawn("late", WaitThenNote(event, soon, codes));
  while (codes.empty()) Must(co_await loop.Sleep(milliseconds(1)));
  EXPECT_GE(loop.Now(), soon.at());
  EXPECT_THAT(codes, ElementsAre(Code::kDeadline));
  event.Set();
  EXPECT_TRUE(event.is_set());
  EXPECT_EQ(codes.size(), 1u) << "Set() wakes nobody inside itself";
  co_await scope.Join();
  EXPECT_THAT(codes,
              ElementsAre(Code::kDeadline, Code::kInternal, Code::kInternal, Code::kInternal));

  Must(co_await event.Wait(Deadline(loop.Now())));  // Stays set.
  event.Reset();
  EXPECT_EQ(CodeOf(co_await event.Wait(Deadline(loop.Now() + milliseconds(1)))), Code::kDeadline);
}

TYPED_TEST(LoopTest, AnEventWakesAllWhoWaitAndStaysSet) { this->Run(UseEvent(this->loop())); }

// Whoever was woken must not look at the event again: it may be gone.
Task<void> DestroyEventRightAfterSet(Loop& loop) {
  auto event = std::make_unique<Event>(loop);
  std::vector<Code> codes;
  TaskScope scope(loop);
  const Deadline deadline(loop.Now() + std::chrono::hours(1));
  for (int i = 0; i < 3; ++i) scope.Spawn("w", WaitThenNote(*event, deadline, codes));
  Must(co_await loop.Sleep(milliseconds(1)));
  EXPECT_EQ(loop.wheel().size(), 3u);
  event->Set();
  event.reset();
  co_await scope.Join();
  EXPECT_EQ(codes, std::vector(3, Code::kInternal));
  EXPECT_EQ(loop.wheel().size(), 0u) << "their deadlines are gone";
}

TYPED_TEST(LoopTest, AnEventMayBeDestroyedRightAfterSet) {
  this->Run(DestroyEventRightAfterSet(this->loop()));
}

Task<void> SetDuringDeadline(Loop& loop) {
  // Deadline and Set() fall into one turn of the loop, in both orders: one outcome each.
  for (int i = 0; i < 10; ++i) {
    Event event(loop);
    std::vector<Code> codes;
    TaskScope scope(loop);
    scope.Spawn("w", WaitThenNote(event, Deadline(loop.Now() + milliseconds(8)), codes));
    Must(co_await loop.Sleep(milliseconds(7 + i)));
    event.Set();
    scope.Stop();
    co_await scope.Join();
    EXPECT_EQ(codes.size(), 1u);
  }
}

TYPED_TEST(LoopTest, AWaitEndsOnceHoweverManyEndIt) { this->Run(SetDuringDeadline(this->loop())); }

}  // namespace
}  // namespace penstock::io
