// Scopes own their tasks: they stop, join, report, and end in any order.
#include "io/task_scope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "io/io_testing.h"

namespace penstock::io {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::CodeOf;
using ::testing::ElementsAre;
using testing::Must;

template <typename Kind>
class TaskScopeTest : public testing::OnLoop<Kind> {};
TYPED_TEST_SUITE(TaskScopeTest, testing::LoopKinds);

Task<void> SleepFor(Loop& loop, Duration duration, int& ended) {
  (void)co_await loop.Sleep(duration);
  ++ended;
}

Task<void> JoinAll(Loop& loop) {
  TaskScope scope(loop);
  int ended = 0;
  co_await scope.Join();  // Of an empty scope: at once.
  for (int i = 0; i < 5; ++i) scope.Spawn("sleeper", SleepFor(loop, milliseconds(i), ended));
  EXPECT_EQ(scope.size(), 5u);
  EXPECT_EQ(ended, 0) << "tasks start on the loop's next turn";
  co_await scope.Join();
  EXPECT_EQ(ended, 5);
  scope.Spawn("again", SleepFor(loop, milliseconds(1), ended));
  co_await scope.Join();
  EXPECT_EQ(ended, 6) << "a joined scope may be used again";
}

TYPED_TEST(TaskScopeTest, JoinWaitsForEveryTask) { this->Run(JoinAll(this->loop())); }

Task<void> StopAll(Loop& loop) {
  TaskScope scope(loop);
  int ended = 0;
  for (int i = 0; i < 5; ++i) scope.Spawn("sleeper", SleepFor(loop, hours(i + 1), ended));
  Must(co_await loop.Sleep(milliseconds(1)));
  scope.Stop();
  EXPECT_TRUE(scope.stopped());
  EXPECT_EQ(ended, 0) << "Stop() returns at once";
  EXPECT_FALSE(scope.Spawn("late", SleepFor(loop, hours(1), ended)));
  co_await scope.Join();
  EXPECT_EQ(ended, 5);
}

TYPED_TEST(TaskScopeTest, StopEndsEveryTaskAndRefusesMore) { this->Run(StopAll(this->loop())); }

Task<void> ThrowAfter(Loop& loop, Duration pause) {
  Must(co_await loop.Sleep(pause));
  throw std::runtime_error("on purpose");
}

Task<void> ThrowOddly() {
  throw 7;
  co_return;
}

Task<void> ReportFailures(Loop& loop) {
  std::vector<std::string> failed;
  TaskScope scope(loop, [&failed](const std::string& task, const std::exception_ptr& failure) {
    try {
      std::rethrow_exception(failure);
    } catch (const std::runtime_error& error) {
      failed.push_back(task + ": " + error.what());
    } catch (int number) {
      failed.push_back(task + ": " + std::to_string(number));
    }
  });
  int ended = 0;
  scope.Spawn("odd", ThrowOddly());
  scope.Spawn("late", ThrowAfter(loop, milliseconds(2)));
  scope.Spawn("good", SleepFor(loop, milliseconds(4), ended));
  co_await scope.Join();
  EXPECT_THAT(failed, ElementsAre("odd: 7", "late: on purpose"));
  EXPECT_EQ(ended, 1) << "one task's failure is not another's";
}

TYPED_TEST(TaskScopeTest, ReportsWhatATaskThrows) { this->Run(ReportFailures(this->loop())); }

Task<void> Nest(Loop& loop, int depth, int& ended) {
  TaskScope scope(loop);
  if (depth > 0) scope.Spawn("child", Nest(loop, depth - 1, ended));
  (void)co_await loop.Sleep(hours(depth + 1));
  scope.Stop();
  co_await scope.Join();
  ++ended;
}

Task<void> StopNested(Loop& loop) {
  TaskScope scope(loop);
  int ended = 0;
  scope.Spawn("root", Nest(loop, 4, ended));
  Must(co_await loop.Sleep(milliseconds(1)));
  scope.Stop();
  co_await scope.Join();
  EXPECT_EQ(ended, 5);
}

TYPED_TEST(TaskScopeTest, ScopesNestAndStopFromTheOutside) { this->Run(StopNested(this->loop())); }

Task<void> SpawnMore(TaskScope& scope, Loop& loop, int left, int& ended) {
  if (left > 0) scope.Spawn("more", SpawnMore(scope, loop, left - 1, ended));
  ++ended;
  co_return;
}

Task<void> SpawnFromWithin(Loop& loop) {
  TaskScope scope(loop);
  int ended = 0;
  scope.Spawn("first", SpawnMore(scope, loop, 100, ended));
  co_await scope.Join();
  EXPECT_EQ(ended, 101);
}

TYPED_TEST(TaskScopeTest, ATaskMaySpawnItsFollowers) { this->Run(SpawnFromWithin(this->loop())); }

Task<void> StopFromWithin(TaskScope& scope, Loop& loop, Code& outcome) {
  scope.Stop();
  outcome = CodeOf(co_await loop.Sleep(hours(1)));
}

Task<void> StopByMember(Loop& loop) {
  TaskScope scope(loop);
  Code outcome = Code::kInternal;
  int ended = 0;
  scope.Spawn("sleeper", SleepFor(loop, hours(1), ended));
  scope.Spawn("stopper", StopFromWithin(scope, loop, outcome));
  co_await scope.Join();
  EXPECT_EQ(outcome, Code::kCancelled);
  EXPECT_EQ(ended, 1);
}

TYPED_TEST(TaskScopeTest, ATaskMayStopItsOwnScope) { this->Run(StopByMember(this->loop())); }

// The scope is destroyed in the very turn in which its last task ended.
Task<void> DestroyRightAfterJoin(Loop& loop) {
  for (int i = 0; i < 20; ++i) {
    auto scope = std::make_unique<TaskScope>(loop);
    int ended = 0;
    scope->Spawn("a", SleepFor(loop, Duration(0), ended));
    scope->Spawn("b", SleepFor(loop, milliseconds(i % 2), ended));
    co_await scope->Join();
    scope.reset();
    EXPECT_EQ(ended, 2);
  }
}

TYPED_TEST(TaskScopeTest, MayBeDestroyedRightAfterJoin) {
  this->Run(DestroyRightAfterJoin(this->loop()));
}

Task<void> JoinUnlessCancelled(TaskScope& scope, Code& outcome, Loop& loop) {
  co_await scope.Join();
  outcome = CodeOf(co_await loop.Sleep(hours(1)));
}

Task<void> CancelTheJoiner(Loop& loop) {
  TaskScope inner(loop);
  TaskScope outer(loop);
  int ended = 0;
  Code outcome = Code::kInternal;
  inner.Spawn("sleeper", SleepFor(loop, milliseconds(5), ended));
  outer.Spawn("joiner", JoinUnlessCancelled(inner, outcome, loop));
  Must(co_await loop.Sleep(milliseconds(1)));
  outer.Stop();
  co_await outer.Join();
  EXPECT_EQ(ended, 1) << "Join() ignores the caller's cancellation";
  EXPECT_EQ(outcome, Code::kCancelled) << "but what follows does not";
}

TYPED_TEST(TaskScopeTest, JoinIgnoresCancellation) { this->Run(CancelTheJoiner(this->loop())); }

Task<void> Fail(Loop& loop) {
  Must(co_await loop.Sleep(milliseconds(1)));
  throw std::runtime_error("to the caller");
}

TYPED_TEST(TaskScopeTest, RunBlockingGivesTheCallerWhatItsTaskThrew) {
  int ended = 0;
  for (int i = 0; i < 3; ++i) this->Run(SleepFor(this->loop(), milliseconds(1), ended));
  EXPECT_EQ(ended, 3);
  EXPECT_THROW(this->Run(Fail(this->loop())), std::runtime_error);
}

TEST(TaskScopeDeath, DestroyingABusyScopeIsABug) {
  EXPECT_DEATH(
      {
        SimLoop loop;
        int ended = 0;
        TaskScope scope(loop);
        scope.Spawn("sleeper", SleepFor(loop, hours(1), ended));
      },
      "a scope is destroyed before its tasks ended");
}

}  // namespace
}  // namespace penstock::io
