#include "control/reconciler.h"

#include <gtest/gtest.h>

namespace penstock::control {
namespace {

using std::chrono::seconds;

// Actions of one kind, in order.
template <typename Kind>
std::vector<Kind> Of(const std::vector<Action>& actions) {
  std::vector<Kind> found;
  for (const Action& action : actions) {
    if (const auto* one = std::get_if<Kind>(&action)) found.push_back(*one);
  }
  return found;
}

class ReconcilerTest : public testing::Test {
 protected:
  std::vector<Action> Step() { return reconciler_.Step(now_); }
  // Starts what is wanted, and makes it healthy.
  void BringUp(const std::string& pool, int replicas) {
    reconciler_.SetPool(pool, replicas, now_);
    for (const auto& start : Of<StartReplica>(Step())) {
      reconciler_.OnProbe(start.replica, true, "", now_);
    }
    Step();
    ASSERT_EQ(reconciler_.StatusOf(pool, now_).ready, replicas);
  }

  TimePoint now_ = TimePoint(std::chrono::hours(1));
  Reconciler reconciler_;
};

TEST_F(ReconcilerTest, BringsAPoolUp) {
  reconciler_.SetPool("p", 2, now_);
  const auto actions = Step();
  EXPECT_EQ(std::get<PublishRoutes>(actions.front()), PublishRoutes{});
  EXPECT_EQ(Of<StartReplica>(actions), (std::vector<StartReplica>{{1, "p", 0}, {2, "p", 1}}));
  EXPECT_EQ(reconciler_.StatusOf("p", now_).message, "0 of 2 replicas ready.");

  reconciler_.OnProbe(1, true, "", now_);
  EXPECT_EQ(Step(), std::vector<Action>{PublishRoutes{}});
  EXPECT_EQ(reconciler_.RoutedOf("p").size(), 1u);
  EXPECT_EQ(reconciler_.StatusOf("p", now_).ready, 1);

  reconciler_.OnProbe(2, true, "", now_);
  EXPECT_EQ(Step(), std::vector<Action>{PublishRoutes{}});
  EXPECT_EQ(reconciler_.StatusOf("p", now_).message, "");
  EXPECT_EQ(reconciler_.StatusOf("p", now_).warm, 0);
  now_ += seconds(60);
  EXPECT_EQ(reconciler_.StatusOf("p", now_).warm, 2);
}

TEST_F(ReconcilerTest, ReplacesADeadReplicaAfterItsBackoff) {
  BringUp("p", 2);
  reconciler_.OnExit(1, "was killed by signal 9 (Killed)", now_);
  auto actions = Step();
  EXPECT_EQ(actions, std::vector<Action>{PublishRoutes{}});
  const PoolStatus status = reconciler_.StatusOf("p", now_);
  EXPECT_EQ(status.failures, 1);
  EXPECT_EQ(status.message,
            "1 of 2 replicas ready. A replica failed 1 time in a row; last: was killed by signal 9 "
            "(Killed). Next attempt in 0.5 s.");
  EXPECT_EQ(reconciler_.RoutedOf("p").size(), 1u);

  now_ = reconciler_.NextWake();
  actions = Step();
  EXPECT_EQ(Of<StartReplica>(actions), (std::vector<StartReplica>{{3, "p", 0}}));
}

TEST_F(ReconcilerTest, WaitsForCapacityWithoutCallingItAFailure) {
  reconciler_.SetPool("p", 1, now_);
  Step();
  reconciler_.OnNoCapacity(1, "a replica needs 2 cores, 0 of 2 are free", now_);
  EXPECT_TRUE(Of<StartReplica>(Step()).empty());
  const PoolStatus status = reconciler_.StatusOf("p", now_);
  EXPECT_EQ(status.failures, 0);
  EXPECT_EQ(status.message,
            "0 of 1 replicas ready. Waiting for capacity: a replica needs 2 cores, 0 of 2 are "
            "free.");
  EXPECT_EQ(reconciler_.living(), 0u);
  now_ += seconds(1);
  EXPECT_EQ(Of<StartReplica>(Step()), (std::vector<StartReplica>{{2, "p", 0}}));
  reconciler_.OnProbe(2, true, "", now_);
  EXPECT_EQ(reconciler_.StatusOf("p", now_).no_capacity, "");
}

TEST_F(ReconcilerTest, TakesUpWhatItFindsRunning) {
  reconciler_.SetPool("p", 2, now_);
  const std::uint64_t found = reconciler_.Adopt("p", 1, now_).value();
  EXPECT_FALSE(reconciler_.Adopt("p", 1, now_));
  const auto starts = Of<StartReplica>(Step());
  ASSERT_EQ(starts.size(), 1u);  // Only the place that is missing.
  EXPECT_EQ(starts[0].place, 0);
  reconciler_.OnProbe(found, true, "", now_);
  Step();
  ASSERT_EQ(reconciler_.RoutedOf("p").size(), 1u);
  EXPECT_EQ(reconciler_.RoutedOf("p")[0].replica, found);
  EXPECT_EQ(reconciler_.PlaceOf(found), (std::pair<std::string, int>("p", 1)));
}

TEST_F(ReconcilerTest, ScalesToZeroAndBack) {
  BringUp("p", 1);
  reconciler_.SetPool("p", 0, now_);
  EXPECT_EQ(Step(), std::vector<Action>{PublishRoutes{}});
  now_ = reconciler_.NextWake();
  EXPECT_EQ(Step(), (std::vector<Action>{PublishRoutes{}, TerminateReplica{1}}));
  reconciler_.OnExit(1, "exited with status 0", now_);
  EXPECT_TRUE(Step().empty());
  EXPECT_EQ(reconciler_.StatusOf("p", now_).wanted, 0);
  EXPECT_EQ(reconciler_.NextWake(), TimePoint::max());
  reconciler_.SetPool("p", 1, now_);
  EXPECT_EQ(Of<StartReplica>(Step()), (std::vector<StartReplica>{{2, "p", 0}}));
}

TEST_F(ReconcilerTest, RemovedPoolDrainsFirst) {
  BringUp("p", 1);
  reconciler_.RemovePool("p", now_);
  EXPECT_TRUE(reconciler_.RoutedOf("p").empty());
  EXPECT_EQ(Step(), std::vector<Action>{PublishRoutes{}});
  now_ = reconciler_.NextWake();
  EXPECT_EQ(Step(), std::vector<Action>{TerminateReplica{1}});
  reconciler_.OnExit(1, "exited with status 0", now_);
  EXPECT_TRUE(Step().empty());
  EXPECT_EQ(reconciler_.living(), 0u);
  EXPECT_EQ(reconciler_.pools(), 0u);
  EXPECT_EQ(reconciler_.NextWake(), TimePoint::max());
}

TEST_F(ReconcilerTest, PoolThatIsWantedAgainStartsAnew) {
  BringUp("p", 1);
  reconciler_.RemovePool("p", now_);
  Step();
  reconciler_.SetPool("p", 1, now_);
  // The old one still drains; the new one has a place of its own.
  EXPECT_EQ(Of<StartReplica>(Step()), (std::vector<StartReplica>{{2, "p", 1}}));
}

TEST_F(ReconcilerTest, ScalingDownTakesTheHighestPlace) {
  BringUp("p", 3);
  reconciler_.SetPool("p", 2, now_);
  EXPECT_EQ(Step(), std::vector<Action>{PublishRoutes{}});
  const auto routed = reconciler_.RoutedOf("p");
  ASSERT_EQ(routed.size(), 3u);
  EXPECT_FALSE(routed[0].draining);
  EXPECT_TRUE(routed[2].draining);
  EXPECT_EQ(reconciler_.StatusOf("p", now_).ready, 2);
}

TEST_F(ReconcilerTest, LateNewsIsIgnored) {
  BringUp("p", 1);
  reconciler_.OnExit(1, "x", now_);
  reconciler_.OnExit(1, "again", now_);
  reconciler_.OnProbe(1, true, "", now_);
  reconciler_.OnNoCapacity(1, "x", now_);
  EXPECT_EQ(reconciler_.StatusOf("p", now_).ready, 0);
  EXPECT_EQ(reconciler_.StatusOf("unknown", now_).wanted, 0);
}

}  // namespace
}  // namespace penstock::control
