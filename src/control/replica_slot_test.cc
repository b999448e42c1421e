#include "control/replica_slot.h"

#include <gtest/gtest.h>

namespace penstock::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Phase = ReplicaSlot::Phase;
using Want = ReplicaSlot::Want;

class ReplicaSlotTest : public testing::Test {
 protected:
  Want Next() { return slot_.Next(now_, settings_, ++ids_); }
  void Start() {
    ASSERT_EQ(Next(), Want::kStart);
    ASSERT_EQ(Next(), Want::kProbe);
    ASSERT_EQ(Next(), Want::kNothing);
  }
  void BecomeReady() {
    Start();
    slot_.OnProbe(true, "", now_, settings_);
    ASSERT_EQ(slot_.phase(), Phase::kReady);
  }
  void Exit(const std::string& reason) { slot_.OnExit(reason, now_, settings_); }

  TimePoint now_ = TimePoint(std::chrono::hours(1));
  ReplicaSettings settings_;
  std::uint64_t ids_ = 0;
  ReplicaSlot slot_{now_};
};

TEST_F(ReplicaSlotTest, StartsAtOnceAndProbesUntilHealthy) {
  Start();
  slot_.OnProbe(false, "connection refused", now_, settings_);
  EXPECT_EQ(Next(), Want::kNothing);
  now_ += milliseconds(20);
  EXPECT_EQ(slot_.NextWake(settings_), now_);
  EXPECT_EQ(Next(), Want::kProbe);
  EXPECT_EQ(Next(), Want::kNothing);  // One at a time.
  slot_.OnProbe(true, "", now_, settings_);
  EXPECT_EQ(slot_.phase(), Phase::kReady);
}

// A start of a minute is probed once a second, not fifty times.
TEST_F(ReplicaSlotTest, ProbesALongStartRarely) {
  Start();
  now_ += seconds(60);
  slot_.OnProbe(false, "", now_, settings_);
  EXPECT_EQ(slot_.NextWake(settings_), now_ + seconds(1));
}

TEST_F(ReplicaSlotTest, BacksOffUpToItsLimit) {
  const double delays_s[] = {0.5, 1, 2, 4, 8, 16, 30, 30};
  int failures = 0;
  for (const double delay_s : delays_s) {
    SCOPED_TRACE(delay_s);
    ASSERT_EQ(Next(), Want::kStart);
    Exit("exited with status 2");
    EXPECT_EQ(slot_.failures(), ++failures);
    EXPECT_EQ(Seconds(slot_.retry_at() - now_), delay_s);
    now_ = slot_.retry_at() - milliseconds(1);
    EXPECT_EQ(Next(), Want::kNothing);
    now_ += milliseconds(1);
  }
}

TEST_F(ReplicaSlotTest, ForgetsFailuresAfterAMinuteOfHealth) {
  ASSERT_EQ(Next(), Want::kStart);
  Exit("first");
  now_ = slot_.retry_at();
  BecomeReady();
  now_ += seconds(59);
  slot_.OnProbe(true, "", now_, settings_);
  (void)Next();
  EXPECT_EQ(slot_.failures(), 1);
  now_ += seconds(1);
  EXPECT_LE(slot_.NextWake(settings_), now_);
  (void)Next();
  EXPECT_EQ(slot_.failures(), 0);
  EXPECT_EQ(slot_.last_failure(), "");
  Exit("second");
  EXPECT_EQ(slot_.failures(), 1);
  EXPECT_EQ(slot_.last_failure(), "second");
}

TEST_F(ReplicaSlotTest, LateStartIsStopped) {
  Start();
  now_ += settings_.start_max;
  EXPECT_EQ(Next(), Want::kTerminate);
  EXPECT_EQ(Next(), Want::kNothing);
  now_ += settings_.stop_max;
  EXPECT_EQ(Next(), Want::kKill);
  EXPECT_EQ(Next(), Want::kNothing);
  Exit("was killed");
  EXPECT_EQ(slot_.phase(), Phase::kWaiting);
  EXPECT_EQ(slot_.last_failure(), "did not become healthy within 300 s; was killed");
}

TEST_F(ReplicaSlotTest, HangingReplicaIsKilled) {
  BecomeReady();
  for (int i = 0; i < settings_.probe_failures_max; ++i) {
    now_ += settings_.probe_interval;
    ASSERT_EQ(Next(), Want::kProbe);
    slot_.OnProbe(false, "no answer", now_, settings_);
  }
  EXPECT_EQ(Next(), Want::kKill);
  Exit("was killed");
  EXPECT_EQ(slot_.last_failure(), "failed 3 health checks in a row: no answer; was killed");
}

TEST_F(ReplicaSlotTest, OneGoodProbeForgivesTheBadOnes) {
  BecomeReady();
  for (int i = 0; i < 10; ++i) {
    now_ += settings_.probe_interval;
    ASSERT_EQ(Next(), Want::kProbe);
    slot_.OnProbe(i % 3 == 2, "no answer", now_, settings_);
  }
  EXPECT_EQ(slot_.phase(), Phase::kReady);
  Exit("crashed");
  EXPECT_EQ(slot_.last_failure(), "crashed");  // Not the overturned verdict.
}

TEST_F(ReplicaSlotTest, DrainsBeforeItStops) {
  BecomeReady();
  slot_.Retire(now_);
  EXPECT_EQ(slot_.phase(), Phase::kDraining);
  EXPECT_EQ(Next(), Want::kNothing);
  now_ += settings_.drain_wait;
  EXPECT_LE(slot_.NextWake(settings_), now_);
  EXPECT_EQ(Next(), Want::kTerminate);
  Exit("exited with status 0");
  EXPECT_EQ(slot_.phase(), Phase::kGone);
  EXPECT_EQ(slot_.NextWake(settings_), TimePoint::max());
}

TEST_F(ReplicaSlotTest, RetiredWhileStartingIsStopped) {
  Start();
  slot_.Retire(now_);
  EXPECT_EQ(Next(), Want::kTerminate);
  slot_.OnProbe(true, "", now_, settings_);  // Late news.
  EXPECT_EQ(slot_.phase(), Phase::kStopping);
  Exit("");
  EXPECT_EQ(slot_.phase(), Phase::kGone);
}

TEST_F(ReplicaSlotTest, RetiredWhileWaitingIsGone) {
  ASSERT_EQ(Next(), Want::kStart);
  Exit("x");
  slot_.Retire(now_);
  EXPECT_EQ(slot_.phase(), Phase::kGone);
  now_ += seconds(100);
  EXPECT_EQ(Next(), Want::kNothing);
}

}  // namespace
}  // namespace penstock::control
