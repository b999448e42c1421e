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
  void BringUp(const std::string& id, int replicas, UpdateState update = UpdateState::kInProgress) {
    reconciler_.SetEndpoint(id, replicas, update, now_);
    for (const auto& start : Of<StartReplica>(Step())) {
      reconciler_.OnProbe(start.replica, true, "", now_);
    }
    Step();
    ASSERT_TRUE(reconciler_.StatusOf(id, now_).ready);
  }

  TimePoint now_ = TimePoint(std::chrono::hours(1));
  Reconciler reconciler_;
};

TEST_F(ReconcilerTest, BringsAnEndpointUp) {
  reconciler_.SetEndpoint("e", 2, UpdateState::kInProgress, now_);
  const auto actions = Step();
  EXPECT_EQ(std::get<PublishRoutes>(actions.front()), PublishRoutes{});
  EXPECT_EQ(Of<StartReplica>(actions), (std::vector<StartReplica>{{1, "e", 0}, {2, "e", 1}}));
  EXPECT_EQ(reconciler_.StatusOf("e", now_).deployment, Deployment::kCreating);
  EXPECT_EQ(reconciler_.StatusOf("e", now_).message, "0 of 2 replicas ready.");

  reconciler_.OnProbe(1, true, "", now_);
  EXPECT_EQ(Step(), std::vector<Action>{PublishRoutes{}});
  EXPECT_EQ(reconciler_.RoutedOf("e").size(), 1u);
  EXPECT_FALSE(reconciler_.StatusOf("e", now_).ready);  // The first time, all must be there.

  reconciler_.OnProbe(2, true, "", now_);
  EXPECT_EQ(Step(), (std::vector<Action>{PublishRoutes{},
                                         RecordUpdate{"e", UpdateState::kNotUpdating, ""}}));
  const EndpointStatus status = reconciler_.StatusOf("e", now_);
  EXPECT_TRUE(status.ready);
  EXPECT_EQ(status.deployment, Deployment::kReady);
  EXPECT_EQ(status.message, "");
}

TEST_F(ReconcilerTest, ReplacesADeadReplicaAfterItsBackoff) {
  BringUp("e", 2);
  reconciler_.OnExit(1, "was killed by signal 9 (Killed)", now_);
  auto actions = Step();
  EXPECT_EQ(actions, std::vector<Action>{PublishRoutes{}});
  const EndpointStatus status = reconciler_.StatusOf("e", now_);
  EXPECT_TRUE(status.ready);
  EXPECT_EQ(status.message,
            "1 of 2 replicas ready. A replica failed 1 time in a row; last: was killed by signal 9 "
            "(Killed). Next attempt in 0.5 s.");
  EXPECT_EQ(reconciler_.RoutedOf("e").size(), 1u);

  now_ = reconciler_.NextWake();
  actions = Step();
  EXPECT_EQ(Of<StartReplica>(actions), (std::vector<StartReplica>{{3, "e", 0}}));
}

TEST_F(ReconcilerTest, EndpointThatLostAllItsReplicasRecovers) {
  BringUp("e", 1);
  reconciler_.OnExit(1, "x", now_);
  Step();
  const EndpointStatus status = reconciler_.StatusOf("e", now_);
  EXPECT_FALSE(status.ready);
  EXPECT_EQ(status.update, UpdateState::kNotUpdating);
  EXPECT_EQ(status.deployment, Deployment::kRecovering);
}

TEST_F(ReconcilerTest, CrashLoopFailsTheUpdateAndSaysWhy) {
  reconciler_.SetEndpoint("e", 1, UpdateState::kInProgress, now_);
  std::vector<RecordUpdate> records;
  for (std::uint64_t replica = 1; replica <= 6; ++replica) {
    EXPECT_EQ(Of<StartReplica>(Step()).size(), 1u) << replica;
    reconciler_.OnExit(replica, "exited with status 2; it printed last: no such tensor", now_);
    for (const auto& record : Of<RecordUpdate>(Step())) records.push_back(record);
    now_ = reconciler_.NextWake();
  }
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].state, UpdateState::kFailed);
  EXPECT_EQ(
      records[0].message,
      "A replica failed 5 times in a row; last: exited with status 2; it printed last: no such "
      "tensor.");
  EXPECT_EQ(reconciler_.StatusOf("e", now_).deployment, Deployment::kFailed);

  // The cause went away: the next attempt takes effect.
  Step();
  reconciler_.OnProbe(7, true, "", now_);
  EXPECT_EQ(Of<RecordUpdate>(Step()),
            (std::vector<RecordUpdate>{{"e", UpdateState::kNotUpdating, ""}}));
  EXPECT_TRUE(reconciler_.StatusOf("e", now_).ready);
}

TEST_F(ReconcilerTest, UpdateFailsWhenItTakesTooLong) {
  reconciler_ = Reconciler({.update_max = seconds(100)});
  reconciler_.SetEndpoint("e", 1, UpdateState::kInProgress, now_);
  Step();
  now_ += seconds(100);
  EXPECT_EQ(Of<RecordUpdate>(Step()),
            (std::vector<RecordUpdate>{{"e", UpdateState::kFailed, "Not ready within 100 s."}}));
}

TEST_F(ReconcilerTest, RemovedEndpointDrainsFirst) {
  BringUp("e", 1);
  reconciler_.RemoveEndpoint("e", now_);
  EXPECT_TRUE(reconciler_.RoutedOf("e").empty());
  EXPECT_EQ(Step(), std::vector<Action>{PublishRoutes{}});
  now_ = reconciler_.NextWake();
  EXPECT_EQ(Step(), std::vector<Action>{TerminateReplica{1}});
  reconciler_.OnExit(1, "exited with status 0", now_);
  EXPECT_TRUE(Step().empty());
  EXPECT_EQ(reconciler_.living(), 0u);
  EXPECT_EQ(reconciler_.NextWake(), TimePoint::max());
}

TEST_F(ReconcilerTest, ScalingDownTakesTheHighestPlace) {
  BringUp("e", 3);
  reconciler_.SetEndpoint("e", 2, UpdateState::kNotUpdating, now_);
  EXPECT_EQ(Step(), std::vector<Action>{PublishRoutes{}});
  const auto routed = reconciler_.RoutedOf("e");
  ASSERT_EQ(routed.size(), 3u);
  EXPECT_FALSE(routed[0].draining);
  EXPECT_TRUE(routed[2].draining);
  EXPECT_EQ(reconciler_.StatusOf("e", now_).replicas_ready, 2);
}

TEST_F(ReconcilerTest, RestartKeepsWhatWasInEffect) {
  reconciler_.SetEndpoint("e", 1, UpdateState::kNotUpdating, now_);
  Step();
  EXPECT_EQ(reconciler_.StatusOf("e", now_).deployment, Deployment::kRecovering);
  EXPECT_EQ(reconciler_.StatusOf("e", now_).update, UpdateState::kNotUpdating);
}

TEST_F(ReconcilerTest, LateNewsIsIgnored) {
  BringUp("e", 1);
  reconciler_.OnExit(1, "x", now_);
  reconciler_.OnExit(1, "again", now_);
  reconciler_.OnProbe(1, true, "", now_);
  EXPECT_EQ(reconciler_.StatusOf("e", now_).replicas_ready, 0);
  EXPECT_EQ(reconciler_.StatusOf("unknown", now_).replicas_desired, 0);
}

}  // namespace
}  // namespace penstock::control
