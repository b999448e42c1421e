// Tasks: values, exceptions, cancellation and shields.
#include "io/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "io/event.h"
#include "io/io_testing.h"
#include "io/task_scope.h"

namespace penstock::io {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::CodeOf;
using testing::Must;

class TaskTest : public testing::OnLoop<testing::SimKind> {};

Task<std::unique_ptr<int>> GiveMoveOnly(int value) { co_return std::make_unique<int>(value); }

Task<int> Throw() {
  throw std::logic_error("on purpose");
  co_return 1;
}

Task<int> Add(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await Add(depth - 1);
}

Task<void> GetValues() {
  EXPECT_EQ(*co_await GiveMoveOnly(7), 7);
  EXPECT_EQ(co_await Add(100), 100);
  std::string caught;
  try {
    (void)co_await Throw();
  } catch (const std::logic_error& error) {
    caught = error.what();
  }
  EXPECT_EQ(caught, "on purpose");
}

TEST_F(TaskTest, GivesItsValueOrThrowsWhatItThrew) { Run(GetValues()); }

Task<void> CountUp(Loop& loop, int& count, int until) {
  for (; count < until; ++count) (void)co_await Add(1);
  Must(co_await loop.Sleep(Duration(1)));
}

// Awaiting what ends at once must not grow the stack.
TEST_F(TaskTest, ManyAwaitsNeedNoStack) {
  int count = 0;
  Run(CountUp(loop(), count, 200'000));
  EXPECT_EQ(count, 200'000);
}

TEST_F(TaskTest, DroppedUnstartedItDoesNothing) {
  bool ran = false;
  auto make = [](bool& flag) -> Task<void> {
    flag = true;
    co_return;
  };
  {
    Task<void> first = make(ran);
    Task<void> second = make(ran);
    second = std::move(first);
  }
  EXPECT_FALSE(ran);
}

Task<void> LastWords(Loop& loop, std::vector<Code>& outcomes) {
  outcomes.push_back(CodeOf(co_await loop.Sleep(hours(1))));
  TaskState& state = co_await ThisTask();
  EXPECT_TRUE(state.cancelled());
  {
    const Shield outer(state);
    const Shield inner(state);
    EXPECT_FALSE(state.cancelled());
    outcomes.push_back(CodeOf(co_await loop.Sleep(milliseconds(1))));
  }
  EXPECT_TRUE(state.cancelled());
  outcomes.push_back(CodeOf(co_await loop.Sleep(milliseconds(1))));
}

Task<void> CancelThenShield(Loop& loop) {
  std::vector<Code> outcomes;
  TaskScope scope(loop);
  scope.Spawn("last words", LastWords(loop, outcomes));
  Must(co_await loop.Sleep(milliseconds(1)));
  scope.Stop();
  co_await scope.Join();
  // kInternal stands for "no failure".
  EXPECT_EQ(outcomes, (std::vector{Code::kCancelled, Code::kInternal, Code::kCancelled}));
}

Task<void> Interrupted(Loop& loop, TaskState*& state, std::vector<Code>& outcomes) {
  state = &co_await ThisTask();
  outcomes.push_back(CodeOf(co_await loop.Sleep(hours(1))));
  outcomes.push_back(CodeOf(co_await loop.Sleep(milliseconds(1))));
  state->GoOn();
  outcomes.push_back(CodeOf(co_await loop.Sleep(milliseconds(1))));
  state->Interrupt();
  state->Cancel();
  state->GoOn();
  outcomes.push_back(CodeOf(co_await loop.Sleep(milliseconds(1))));
}

Task<void> InterruptThenGoOn(Loop& loop) {
  std::vector<Code> outcomes;
  TaskState* state = nullptr;
  TaskScope scope(loop);
  scope.Spawn("interrupted", Interrupted(loop, state, outcomes));
  Must(co_await loop.Sleep(milliseconds(1)));
  state->Interrupt();
  co_await scope.Join();
  EXPECT_EQ(outcomes,
            (std::vector{Code::kCancelled, Code::kCancelled, Code::kInternal, Code::kCancelled}));
}

TEST_F(TaskTest, AnInterruptedTaskCanGoOnButNotACancelledOne) { Run(InterruptThenGoOn(loop())); }

TEST_F(TaskTest, AShieldLetsACancelledTaskFinishItsLastWords) { Run(CancelThenShield(loop())); }

Task<void> SleepShielded(Loop& loop, std::vector<Code>& outcomes) {
  {
    const Shield shield(co_await ThisTask());
    outcomes.push_back(CodeOf(co_await loop.Sleep(milliseconds(10))));
  }
  outcomes.push_back(CodeOf(co_await loop.Sleep(hours(1))));
}

Task<void> CancelDuringShield(Loop& loop) {
  std::vector<Code> outcomes;
  TaskScope scope(loop);
  scope.Spawn("shielded", SleepShielded(loop, outcomes));
  Must(co_await loop.Sleep(milliseconds(1)));
  scope.Stop();
  const TimePoint before = loop.Now();
  co_await scope.Join();
  EXPECT_GE(loop.Now() - before, milliseconds(9)) << "the shielded sleep was not cut short";
  EXPECT_EQ(outcomes, (std::vector{Code::kInternal, Code::kCancelled}));
}

TEST_F(TaskTest, CancellationDuringAShieldWaitsForItsEnd) { Run(CancelDuringShield(loop())); }

Task<void> CancelSelf(Loop& loop, Code& outcome) {
  (co_await ThisTask()).Cancel();
  outcome = CodeOf(co_await loop.Sleep(hours(1)));
}

Task<void> WatchSelfCancel(Loop& loop) {
  Code outcome = Code::kInternal;
  TaskScope scope(loop);
  scope.Spawn("self", CancelSelf(loop, outcome));
  co_await scope.Join();
  EXPECT_EQ(outcome, Code::kCancelled);
}

TEST_F(TaskTest, MayCancelItself) { Run(WatchSelfCancel(loop())); }

}  // namespace
}  // namespace penstock::io
