#include "policy/autoscale.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace penstock::policy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr double kCapacity = 1000;

// A pool under a load that the test sets, second by second.
class Pool {
 public:
  explicit Pool(AutoscaleState state) : state_(state) {
    state_.replica_cost_per_s = kCapacity;
    state_.start_time = seconds(30);
  }

  AutoscaleDecision Second(double offered, double queued = 0) {
    now_ += seconds(1);
    load_.offered_cost_total += offered;
    load_.served_cost_total += offered;
    load_.queued_cost = queued;
    scaler_.Observe(now_, {.load = load_, .warm = state_.replicas});
    return Decide();
  }
  AutoscaleDecision Decide() {
    const AutoscaleDecision decision = scaler_.Decide(now_, state_);
    state_.replicas = state_.ready = decision.replicas;
    return decision;
  }
  AutoscaleDecision Run(int for_s, double offered) {
    AutoscaleDecision last;
    for (int i = 0; i < for_s; ++i) last = Second(offered);
    return last;
  }
  void Skip(Duration duration) { now_ += duration; }

  AutoscaleState& state() { return state_; }
  Autoscaler& scaler() { return scaler_; }

 private:
  AutoscaleState state_;
  Autoscaler scaler_{{.utilisation = 0.65}};  // Round numbers below.
  PoolLoad load_;
  TimePoint now_{seconds(1000)};
};

TEST(Autoscaler, FillsReplicasTo65Percent) {
  Pool pool({.replicas = 1, .minimum = 1, .maximum = 20});
  EXPECT_EQ(pool.Run(120, 649).replicas, 1);
  EXPECT_EQ(pool.Run(120, 651).replicas, 2);
  EXPECT_EQ(pool.Run(120, 6500).replicas, 10);
}

TEST(Autoscaler, GoesUpAtOnceAndCountsWhatStarts) {
  Pool pool({.replicas = 2, .minimum = 1, .maximum = 20});
  pool.Run(120, 1000);
  const AutoscaleDecision up = pool.Run(60, 6500);
  EXPECT_EQ(up.replicas, 10);
  // None of the new ones is ready; they are not asked for twice.
  pool.state().ready = 2;
  EXPECT_EQ(pool.Second(6500).replicas, 10);
  EXPECT_EQ(pool.Second(6500).rule, AutoscaleRule::kSteady);
}

// A rise is heard of before the mean of a minute tells it.
TEST(Autoscaler, AnswersABurstWithinTenSeconds) {
  Pool pool({.replicas = 10, .minimum = 1, .maximum = 40});
  EXPECT_EQ(pool.Run(120, 6000).replicas, 10);
  const AutoscaleDecision up = pool.Run(10, 12'000);
  EXPECT_EQ(up.needed, 15);  // 12,000 over 82 % of 1,000; by the minute it would be 11.
  EXPECT_EQ(pool.state().replicas, 15);
  EXPECT_NE(up.Explain().find("12000/s (10 s), 7000/s (60 s)"), std::string::npos) << up.Explain();
}

TEST(Autoscaler, CountsWhatWaits) {
  Pool pool({.replicas = 1, .minimum = 1, .maximum = 20});
  pool.Run(60, 600);
  // 39,000 in 30 s are 1,300/s more.
  EXPECT_EQ(pool.Second(600, 39'000).replicas, 3);
  pool.state().start_time = seconds(300);  // Nothing that is started now helps sooner.
  EXPECT_EQ(pool.Second(600, 39'000).needed, 2);
}

TEST(Autoscaler, KeepsTheFloorThatGuaranteesNeed) {
  Pool pool({.replicas = 1, .minimum = 1, .maximum = 20, .guaranteed_cost_per_s = 4 * 850 + 1});
  const AutoscaleDecision first = pool.Decide();  // No data at all.
  EXPECT_EQ(first.rule, AutoscaleRule::kFloor);
  EXPECT_EQ(first.replicas, 5);
  EXPECT_EQ(pool.Run(1000, 0).replicas, 5);
}

TEST(Autoscaler, StaysInItsRange) {
  Pool pool({.replicas = 3, .minimum = 2, .maximum = 4});
  const AutoscaleDecision decision = pool.Run(120, 90'000);
  EXPECT_EQ(decision.replicas, 4);
  EXPECT_EQ(decision.rule, AutoscaleRule::kAtCeiling);
  pool.state().maximum = 3;
  EXPECT_EQ(pool.Second(90'000).rule, AutoscaleRule::kCeiling);
  EXPECT_EQ(pool.state().replicas, 3);
  EXPECT_EQ(pool.Run(1000, 0).replicas, 2);
}

TEST(Autoscaler, GoesDownAQuarterAtATimeAndOnlyAfterFiveMinutes) {
  Pool pool({.replicas = 20, .minimum = 1, .maximum = 20});
  pool.Run(400, 13'000);
  ASSERT_EQ(pool.state().replicas, 20);
  // 60 s until the mean has fallen, 300 until it is forgotten.
  for (int i = 0; i < 300; ++i) ASSERT_EQ(pool.Second(640).replicas, 20) << i;
  int present = 20;
  int steps = 0;
  int since = 100;
  for (int i = 0; i < 400; ++i) {
    const AutoscaleDecision decision = pool.Second(640);
    ++since;
    if (!decision.changed()) continue;
    EXPECT_EQ(decision.rule, AutoscaleRule::kDown);
    EXPECT_LE(present - decision.replicas, std::max(1, present / 4));
    EXPECT_GE(since, 15);
    present = decision.replicas;
    since = 0;
    ++steps;
  }
  EXPECT_EQ(present, 1);
  EXPECT_GT(steps, 5);
}

TEST(Autoscaler, KeepsWhatTheRestCouldNotCarry) {
  Pool pool({.replicas = 3, .minimum = 1, .maximum = 20});
  // Needed lately: 2 by each minute's mean; but 300 s of it would fill two to over 65 %.
  pool.Run(400, 1301);
  EXPECT_EQ(pool.state().replicas, 3);
  pool.Run(400, 1299);
  EXPECT_EQ(pool.state().replicas, 2);
}

TEST(Autoscaler, HoldsWithoutData) {
  Pool pool({.replicas = 4, .minimum = 1, .maximum = 20});
  EXPECT_EQ(pool.Decide().rule, AutoscaleRule::kNoData);
  pool.Run(400, 2500);
  pool.Skip(seconds(16));
  EXPECT_EQ(pool.Decide().rule, AutoscaleRule::kNoData);
  EXPECT_EQ(pool.state().replicas, 4);
  // What came before the gap does not count as five minutes without load.
  EXPECT_EQ(pool.Run(250, 0).rule, AutoscaleRule::kShortHistory);
  EXPECT_EQ(pool.state().replicas, 4);
}

TEST(Autoscaler, GoesToZeroAndComesBackOnDemand) {
  Pool pool({.replicas = 1, .minimum = 0, .maximum = 2});
  pool.Run(310, 10);
  EXPECT_EQ(pool.Run(290, 0).replicas, 1);
  EXPECT_EQ(pool.Run(90, 0).replicas, 0);
  const AutoscaleDecision up = pool.Second(0, 500);  // A request waits.
  EXPECT_EQ(up.rule, AutoscaleRule::kUp);
  EXPECT_EQ(up.replicas, 1);
}

TEST(Autoscaler, UncalibratedPoolsGoToZeroAndBackToOne) {
  Pool pool({.replicas = 1, .minimum = 0, .maximum = 5});
  pool.state().replica_cost_per_s.reset();
  EXPECT_EQ(pool.Run(310, 10).rule, AutoscaleRule::kUncalibrated);
  EXPECT_EQ(pool.Run(400, 0).replicas, 0);
  EXPECT_EQ(pool.Second(0, 1).replicas, 1);
}

TEST(Autoscaler, LearnsWhatSaturatedWarmReplicasDo) {
  Autoscaler scaler;
  TimePoint now{seconds(5)};
  PoolLoad load;
  const auto run = [&](int for_s, double served, double queued, int cold) {
    for (int i = 0; i < for_s; ++i) {
      now += seconds(1);
      load.offered_cost_total += served;
      load.served_cost_total += served;
      load.queued_cost = queued;
      scaler.Observe(now, {.load = load, .warm = 2, .cold = cold});
    }
  };
  run(120, 1000, 0, 0);  // Nothing waits: they might do more.
  EXPECT_FALSE(scaler.learned_capacity());
  run(120, 1800, 50, 1);  // One is in its first minute.
  EXPECT_FALSE(scaler.learned_capacity());
  run(120, 1800, 50, 0);
  ASSERT_TRUE(scaler.learned_capacity());
  EXPECT_NEAR(*scaler.learned_capacity(), 900, 1);
}

TEST(Autoscaler, SurvivesARestartOfTheGateway) {
  Autoscaler scaler;
  TimePoint now{seconds(5)};
  PoolLoad load;
  for (int i = 0; i < 60; ++i) {
    if (i == 30) load = {};  // It counts from zero again.
    load.offered_cost_total += 1300;
    scaler.Observe(now += seconds(1), {.load = load, .warm = 1});
  }
  const AutoscaleDecision decision =
      scaler.Decide(now, {.replicas = 1, .minimum = 1, .maximum = 9, .replica_cost_per_s = 1000});
  EXPECT_NEAR(decision.offered_mean, 1300, 1);
}

TEST(Autoscaler, ExplainsItself) {
  Pool pool({.replicas = 1, .minimum = 1, .maximum = 4});
  pool.Run(70, 100);
  const std::string text = pool.Run(60, 1400).Explain();
  for (const char* part : {"offered 1400/s (10 s), 1400/s (60 s)", "queued 0",
                           "a replica does 1000/s", "needs 3", "range 1 to 4"}) {
    EXPECT_NE(text.find(part), std::string::npos) << text;
  }
}

// Any history: the range and the floor hold, steps down are small and never follow a peak within
// five minutes, nothing moves without data, and what the load needs is there at once.
TEST(Autoscaler, KeepsItsPromisesUnderRandomHistories) {
  for (std::uint64_t seed = 0; seed < 150 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    AutoscaleState state{.minimum = static_cast<int>(random.Below(4)), .replica_cost_per_s = 700};
    state.maximum = state.minimum + 1 + static_cast<int>(random.Below(30));
    state.guaranteed_cost_per_s = static_cast<double>(random.Below(3)) * 900;
    state.start_time = seconds(random.Below(200));
    Autoscaler scaler;
    PoolLoad load;
    TimePoint now{seconds(random.Below(1000))};
    TimePoint last_step_down = TimePoint::min();
    TimePoint last_need = TimePoint::min();  // Of what is there now, or more.
    double rate = 0;
    for (int i = 0; i < 2000 && !testing::Test::HasFailure(); ++i) {
      now += milliseconds(500 + random.Below(1000));
      if (random.Below(60) == 0) now += seconds(random.Below(40));
      if (random.Below(50) == 0) rate = static_cast<double>(random.Below(20'000));
      if (random.Below(200) == 0) rate = 0;
      load.offered_cost_total += rate;
      load.queued_cost = random.Below(10) == 0 ? static_cast<double>(random.Below(9000)) : 0;
      if (random.Below(500) == 0) load = {};
      const bool blind = random.Below(40) == 0;
      scaler.Observe(now, {.load = blind ? std::nullopt : std::optional(load), .warm = 1});
      const AutoscaleDecision decision = scaler.Decide(now, state);
      EXPECT_GE(decision.replicas, decision.floor);
      EXPECT_GE(decision.replicas, state.minimum);
      EXPECT_LE(decision.replicas, state.maximum);
      if (decision.rule == AutoscaleRule::kNoData) {
        EXPECT_EQ(decision.replicas, std::clamp(state.replicas, decision.floor, state.maximum));
      } else {
        EXPECT_GE(decision.replicas, std::min(decision.needed, state.maximum));
      }
      if (decision.rule == AutoscaleRule::kDown) {
        EXPECT_LE(state.replicas - decision.replicas, std::max(1, state.replicas / 4));
        if (last_step_down != TimePoint::min()) EXPECT_GE(now - last_step_down, seconds(15));
        if (last_need != TimePoint::min()) EXPECT_GE(now - last_need, seconds(300));
        last_step_down = now;
        last_need = TimePoint::min();
      }
      state.replicas = decision.replicas;
      if (decision.needed >= state.replicas) last_need = now;
    }
  }
}

// A noisy load around a steady mean: nothing goes down within five minutes of going up, so a
// replica that was started for a peak outlives the next one like it.
TEST(Autoscaler, DoesNotFlap) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    Pool pool({.replicas = 1, .minimum = 1, .maximum = 50});
    int changes = 0;
    int last_up = -1000;
    for (int second = 0; second < 7200; ++second) {
      const AutoscaleDecision decision = pool.Second(20'000 * random.Uniform());
      if (!decision.changed()) continue;
      ++changes;
      if (decision.replicas > decision.replicas_before) {
        last_up = second;
      } else {
        EXPECT_GE(second - last_up, 300);
        EXPECT_LE(decision.replicas_before - decision.replicas, decision.replicas_before / 4);
      }
    }
    EXPECT_LE(changes, 60);  // The load itself changed 7200 times.
  }
}

}  // namespace
}  // namespace penstock::policy
