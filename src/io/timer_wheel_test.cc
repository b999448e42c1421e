// The wheel against a list that anyone can check by eye, under random histories.
#include "io/timer_wheel.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"

namespace penstock::io {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr TimePoint kStart{hours(1) + nanoseconds(3'141'592)};
constexpr Duration kTurn = TimerWheel::kTick * static_cast<int>(TimerWheel::kSlots);

class Probe final : public Timer {
 public:
  explicit Probe(std::function<void(Probe&, TimePoint)> on_timer = {})
      : on_timer_(std::move(on_timer)) {}
  int fired() const { return fired_; }

 private:
  void OnTimer(TimePoint now) override {
    ++fired_;
    EXPECT_FALSE(armed());
    EXPECT_GE(now, due()) << "early";
    if (on_timer_) on_timer_(*this, now);
  }

  std::function<void(Probe&, TimePoint)> on_timer_;
  int fired_ = 0;
};

TEST(TimerWheel, FiresWithinOneTickAndNeverEarly) {
  for (const Duration ahead : {Duration(1), Duration(milliseconds(8)), Duration(milliseconds(8191)),
                               Duration(kTurn), kTurn + Duration(1), 3 * kTurn}) {
    TimerWheel wheel(kStart);
    Probe probe;
    wheel.Arm(probe, kStart + ahead);
    wheel.Advance(kStart + ahead - Duration(1));
    EXPECT_EQ(probe.fired(), 0);
    wheel.Advance(kStart + ahead + TimerWheel::kTick);
    EXPECT_EQ(probe.fired(), 1);
    EXPECT_EQ(wheel.size(), 0u);
    EXPECT_EQ(wheel.NextWake(), TimePoint::max());
  }
}

TEST(TimerWheel, APastMomentFiresOnTheNextTick) {
  TimerWheel wheel(kStart);
  Probe probe;
  wheel.Arm(probe, kStart - hours(1));
  EXPECT_LE(wheel.NextWake(), kStart + TimerWheel::kTick);
  wheel.Advance(wheel.NextWake());
  EXPECT_EQ(probe.fired(), 1);
}

TEST(TimerWheel, ArmingAgainMovesATimer) {
  TimerWheel wheel(kStart);
  Probe probe;
  wheel.Arm(probe, kStart + milliseconds(10));
  wheel.Arm(probe, kStart + milliseconds(100));
  EXPECT_EQ(wheel.size(), 1u);
  wheel.Advance(kStart + milliseconds(50));
  EXPECT_EQ(probe.fired(), 0);
  wheel.Arm(probe, kStart + milliseconds(60));
  wheel.Advance(kStart + milliseconds(70));
  EXPECT_EQ(probe.fired(), 1);
  wheel.Advance(kStart + milliseconds(200));
  EXPECT_EQ(probe.fired(), 1);
}

TEST(TimerWheel, ACallbackMayArmItselfAgain) {
  TimerWheel wheel(kStart);
  std::vector<TimePoint> fired;
  Probe probe([&](Probe& self, TimePoint now) {
    fired.push_back(now);
    wheel.Arm(self, now);  // At once, so on the next tick, not in this call for ever.
  });
  wheel.Arm(probe, kStart);
  wheel.Advance(kStart + 5 * kTurn);
  EXPECT_EQ(fired.size(), 1u);
  wheel.Advance(kStart + 5 * kTurn + TimerWheel::kTick);
  EXPECT_EQ(fired.size(), 2u);
  probe.Disarm();
}

TEST(TimerWheel, ACallbackMayDestroyItsNeighbours) {
  for (int killer = 0; killer < 3; ++killer) {
    TimerWheel wheel(kStart);
    std::vector<std::unique_ptr<Probe>> probes;
    int fired = 0;
    for (int i = 0; i < 3; ++i) {
      probes.push_back(std::make_unique<Probe>([&, i](Probe&, TimePoint) {
        ++fired;
        if (i != killer) return;
        for (int j = 0; j < 3; ++j) {
          if (j != i) probes[static_cast<std::size_t>(j)].reset();
        }
      }));
      wheel.Arm(*probes.back(), kStart + milliseconds(20));
    }
    wheel.Advance(kStart + milliseconds(40));
    EXPECT_GE(fired, 1);
    EXPECT_EQ(wheel.size(), 0u);
  }
}

TEST(TimerWheel, ACallbackMayDestroyItself) {
  TimerWheel wheel(kStart);
  std::unique_ptr<Probe> probe;
  int fired = 0;
  auto on_timer = [&](Probe&, TimePoint) {
    ++fired;
    probe.reset();
  };
  probe = std::make_unique<Probe>(on_timer);
  wheel.Arm(*probe, kStart);
  wheel.Advance(kStart + milliseconds(20));
  EXPECT_EQ(fired, 1);
}

// One history: timers armed, moved, disarmed and destroyed between the turns and inside callbacks.
class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed), wheel_(kStart) {
    for (int i = 0; i < 40; ++i) entries_.push_back(std::make_unique<Entry>(*this));
  }

  void Step() {
    const std::uint64_t changes = random_.Below(4);
    for (std::uint64_t i = 0; i < changes; ++i) Change();
    if (random_.Below(3) == 0 && wheel_.NextWake() != TimePoint::max()) {
      now_ = std::max(now_, wheel_.NextWake());  // As a loop does it: sleep until there is work.
    } else {
      now_ += RandomSpan() / 4;
    }
    wheel_.Advance(now_);
    Compare();
  }

 private:
  struct Entry {
    explicit Entry(History& history)
        : probe([&history, this](Probe&, TimePoint now) { history.OnFired(*this, now); }) {}
    bool armed = false;
    TimePoint due{};
    TimePoint armed_at{};
    Probe probe;
  };

  Duration RandomSpan() {
    const std::uint64_t scale = std::uint64_t{1} << random_.Below(36);  // Up to a minute.
    return Duration(static_cast<Duration::rep>(random_.Below(scale)));
  }

  void Change() {
    const std::size_t which = random_.Below(entries_.size());
    switch (random_.Below(8)) {
      case 0:
        entries_[which]->probe.Disarm();
        entries_[which]->armed = false;
        break;
      case 1:
        if (entries_[which].get() != firing_) entries_[which] = std::make_unique<Entry>(*this);
        break;
      default:
        Entry& entry = *entries_[which];
        entry.due = random_.Below(10) == 0 ? now_ - RandomSpan() : now_ + RandomSpan();
        entry.armed = true;
        entry.armed_at = now_;
        wheel_.Arm(entry.probe, entry.due);
    }
  }

  void OnFired(Entry& entry, TimePoint now) {
    EXPECT_TRUE(entry.armed) << "fired though disarmed, or twice";
    EXPECT_GE(now, entry.due);
    entry.armed = false;
    firing_ = &entry;
    if (random_.Below(3) == 0) Change();
    firing_ = nullptr;
  }

  // What must have fired by now has fired, what must not has not, and the wheel knows when to wake.
  void Compare() {
    std::size_t armed = 0;
    TimePoint last_wake = TimePoint::max();
    for (const std::unique_ptr<Entry>& entry : entries_) {
      EXPECT_EQ(entry->armed, entry->probe.armed());
      if (!entry->armed) continue;
      ++armed;
      // One tick late at most, counted from when the wheel could know of it.
      const TimePoint latest = std::max(entry->due, entry->armed_at) + TimerWheel::kTick;
      EXPECT_LT(now_, latest);
      last_wake = std::min(last_wake, latest);
    }
    EXPECT_EQ(wheel_.size(), armed);
    EXPECT_LE(wheel_.NextWake(), last_wake);
  }

  Random random_;
  TimerWheel wheel_;
  std::vector<std::unique_ptr<Entry>> entries_;
  Entry* firing_ = nullptr;
  TimePoint now_ = kStart;
};

TEST(TimerWheel, AgreesWithItsReferenceUnderRandomHistories) {
  for (std::uint64_t seed = 0; seed < 200 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    History history(seed);
    for (int step = 0; step < 300 && !testing::Test::HasFailure(); ++step) history.Step();
  }
}

}  // namespace
}  // namespace penstock::io
