// What other threads may do to a loop: Post() and Stop(), and calls across loops. For the thread
// sanitizer as much as for their outcome.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

#include "io/call.h"
#include "io/io_testing.h"

namespace penstock::io {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::CodeOf;
using testing::Must;

template <typename Kind>
class ThreadsTest : public testing::OnLoop<Kind> {};
using AllKinds = ::testing::Types<testing::RealKind, testing::SimKind>;
TYPED_TEST_SUITE(ThreadsTest, AllKinds);

TYPED_TEST(ThreadsTest, PostsFromManyThreadsAllArriveInEachThreadsOrder) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  Loop& loop = this->loop();
  std::vector<int> next(kThreads, 0);  // Touched by posted calls only, so by one thread.
  {
    std::vector<std::jthread> threads;
    for (int thread = 0; thread < kThreads; ++thread) {
      threads.emplace_back([&loop, &next, thread] {
        for (int i = 0; i < kPosts; ++i) {
          loop.Post([&next, thread, i] {
            EXPECT_EQ(next[static_cast<std::size_t>(thread)], i);
            next[static_cast<std::size_t>(thread)] = i + 1;
          });
        }
      });
    }
    // A simulated loop does not wait for what is not there yet.
    if constexpr (std::is_same_v<TypeParam, testing::SimKind>) threads.clear();
    loop.Post([&loop] { loop.Post([&loop] { loop.Stop(); }); });
    loop.Run();
  }
  loop.Post([&loop] { loop.Stop(); });
  loop.Run();
  EXPECT_EQ(next, std::vector(kThreads, kPosts));
}

// A loop that looks before it sleeps does everything else as one that does not.
class BusyThreadsTest : public testing::OnLoop<testing::RealKind> {};

TEST_F(BusyThreadsTest, LookingLosesNeitherPostsNorTimersNorStops) {
  constexpr int kPosts = 500;
  static_cast<EpollLoop&>(loop()).SetBusyWaitMax(std::chrono::microseconds(200));
  int posted = 0;
  Run([](Loop& on, int& count) -> Task<void> {
    const std::jthread poster([&on, &count] {
      for (int i = 0; i < kPosts; ++i) {
        on.Post([&count] { ++count; });
        std::this_thread::yield();
      }
    });
    const TimePoint from = on.Now();
    while (count < kPosts) Must(co_await on.Sleep(milliseconds(1)));
    EXPECT_GE(on.Now() - from, milliseconds(1));
  }(loop(), posted));
  EXPECT_EQ(posted, kPosts);
}

class EpollThreadsTest : public testing::OnLoop<testing::RealKind> {};

TEST_F(EpollThreadsTest, StopFromAnotherThreadEndsAnIdleRun) {
  for (int i = 0; i < 50; ++i) {
    const std::jthread stopper([this] { loop().Stop(); });
    loop().Run();
  }
}

// Runs a loop on a thread of its own until it is destroyed.
class LoopThread {
 public:
  ~LoopThread() { loop_.Stop(); }
  EpollLoop& loop() { return loop_; }

 private:
  EpollLoop loop_;
  std::jthread thread_{[this] { loop_.Run(); }};
};

Task<void> CallMany(Loop& home, Loop& target) {
  const std::thread::id here = std::this_thread::get_id();
  for (int i = 0; i < 500; ++i) {
    const Result<int> answer = co_await CallOn(home, target, [i, here] {
      EXPECT_NE(std::this_thread::get_id(), here);
      return i * 2;
    });
    EXPECT_EQ(answer.value_or(-1), i * 2);
    EXPECT_EQ(std::this_thread::get_id(), here);
  }
}

TEST_F(EpollThreadsTest, CallsAcrossLoopsBringTheirAnswersHome) {
  LoopThread other;
  Run(CallMany(loop(), other.loop()));
}

Task<void> CallSlowly(Loop& home, Loop& target, std::atomic<bool>& go, Code& outcome) {
  outcome = CodeOf(co_await CallOn(home, target, [&go] {
    go.wait(false);
    return 1;
  }));
}

Task<void> CancelACall(Loop& home, Loop& target) {
  std::atomic<bool> go = false;
  Code outcome = Code::kInternal;
  TaskScope scope(home);
  scope.Spawn("caller", CallSlowly(home, target, go, outcome));
  Must(co_await home.Sleep(milliseconds(1)));
  scope.Stop();
  co_await scope.Join();
  EXPECT_EQ(outcome, Code::kCancelled);
  go = true;
  go.notify_all();
  // The function has run when a later call to the same thread has: `go` must live so long.
  Must(co_await CallOn(home, target, [] { return 0; }));
}

TEST_F(EpollThreadsTest, ACancelledCallIsLeftBehindSafely) {
  LoopThread other;
  Run(CancelACall(loop(), other.loop()));
}

}  // namespace
}  // namespace penstock::io
