#include "engine/thread_governor.h"

#include <gtest/gtest.h>

namespace penstock::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class Machine {
 public:
  explicit Machine(int threads) : governor(threads) {}
  // Steps of 10 ms for so long, in which the model's thread gets this share of a core.
  template <typename ShareOf>
  void Run(Duration time, const ShareOf& share_of) {
    for (const TimePoint end = now + time; now < end;) {
      now += milliseconds{10};
      const double share = share_of(governor.threads());
      governor.Note(
          now, milliseconds{10},
          std::chrono::duration_cast<Duration>(std::chrono::duration<double>(0.010 * share)));
      slow += share < 0.8 ? 1 : 0;
      ++steps;
    }
  }
  ThreadGovernor governor;
  TimePoint now{std::chrono::hours(1)};
  int slow = 0;
  int steps = 0;
};

TEST(ThreadGovernor, LeavesAFreeMachineAlone) {
  Machine machine(8);
  machine.Run(seconds{60}, [](int) { return 0.99; });
  EXPECT_EQ(machine.governor.threads(), 8);
  EXPECT_EQ(machine.governor.reductions(), 0u);
}

TEST(ThreadGovernor, GivesWayAndComesBack) {
  Machine machine(2);
  const auto busy = [](int threads) { return threads == 2 ? 0.3 : 1.0; };
  machine.Run(milliseconds{200}, busy);
  EXPECT_EQ(machine.governor.threads(), 1) << "within two windows";
  machine.Run(seconds{120}, busy);
  EXPECT_LT(machine.slow, machine.steps / 20) << "it must not try too often";
  machine.Run(ThreadGovernor::kPauseMax + seconds{1}, [](int) { return 1.0; });
  EXPECT_EQ(machine.governor.threads(), 2);
}

TEST(ThreadGovernor, HalfOfTheCoresIsBetterThanFewerThreads) {
  Machine machine(2);
  machine.Run(seconds{60}, [](int) { return 0.55; });
  EXPECT_EQ(machine.governor.threads(), 2);
}

TEST(ThreadGovernor, FindsHowManyCoresAreLeft) {
  Machine machine(16);
  machine.Run(seconds{60}, [](int threads) { return threads > 10 ? 0.3 : 1.0; });
  EXPECT_GE(machine.governor.threads(), 7);
  EXPECT_LT(machine.slow, machine.steps / 10);
}

TEST(ThreadGovernor, StaysAtOneThreadWhereEvenThatHasNoCore) {
  Machine machine(2);
  machine.Run(seconds{60}, [](int) { return 0.3; });
  EXPECT_EQ(machine.governor.threads(), 1);
}

}  // namespace
}  // namespace penstock::engine
