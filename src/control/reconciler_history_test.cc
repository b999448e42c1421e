// Random histories: a fleet of fakes that crash, hang and dawdle, pools that come, scale and go.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/random.h"
#include "control/reconciler.h"

namespace penstock::control {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct FakeReplica {
  std::string pool = {};
  int place = 0;
  TimePoint healthy_at{};
  TimePoint dies_at{};
  bool hangs = false;  // Answers no probe, ignores SIGTERM.
  bool asked_to_end = false;
  TimePoint ends_at = TimePoint::max();
};

// Plays the shell and the machine for one seed, and checks every promise on the way.
class History {
 public:
  explicit History(std::uint64_t seed) : random_(seed) {}

  void Run() {
    for (int i = 0; i < 200 && !testing::Test::HasFailure(); ++i) {
      ChangeSomething();
      Advance(milliseconds(random_.Below(3000)));
    }
    Calm();
  }

 private:
  bool OneIn(std::uint64_t n) { return random_.Below(n) == 0; }

  void ChangeSomething() {
    if (OneIn(8) && wanted_.size() < 5) {
      const std::string id = "e" + std::to_string(++endpoints_made_);
      wanted_[id] = static_cast<int>(random_.Below(4));
      reconciler_.SetPool(id, wanted_[id], now_);
    } else if (OneIn(10) && !wanted_.empty()) {
      auto entry = std::next(wanted_.begin(), static_cast<long>(random_.Below(wanted_.size())));
      if (OneIn(2)) {
        reconciler_.RemovePool(entry->first, now_);
        removed_.insert(entry->first);
        wanted_.erase(entry);
      } else {
        entry->second = static_cast<int>(random_.Below(5));
        // A place that is given up and made anew owes no back-off.
        std::erase_if(earliest_start_,
                      [&entry](const auto& place) { return place.first.first == entry->first; });
        reconciler_.SetPool(entry->first, entry->second, now_);
      }
    }
  }

  // Lets `duration` pass, waking as the reconciler asks and as replicas do things.
  void Advance(Duration duration) {
    const TimePoint end = now_ + duration;
    for (int turns = 0;; ++turns) {
      ASSERT_LT(turns, 10'000) << "the reconciler never sleeps";
      StepOnce();
      TimePoint next = std::max(now_, reconciler_.NextWake());
      for (const auto& [id, replica] : living_) {
        next = std::min(next, std::max(now_, std::min(replica.dies_at, replica.ends_at)));
      }
      if (next > end) break;
      // Time must move on, or something must have happened: a wake that does nothing is a busy
      // loop.
      now_ = next;
      EndReplicas();
    }
    now_ = end;
  }

  void EndReplicas() {
    std::vector<std::uint64_t> ended;
    for (const auto& [id, replica] : living_) {
      if (std::min(replica.dies_at, replica.ends_at) <= now_) ended.push_back(id);
    }
    for (const std::uint64_t id : ended) {
      const FakeReplica& replica = living_.at(id);
      if (!replica.asked_to_end) NoteFailure(replica);
      living_.erase(id);
      reconciler_.OnExit(id, "ended", now_);
    }
  }

  // Back-off: what the next start at this place must wait for.
  void NoteFailure(const FakeReplica& replica) {
    auto& earliest = earliest_start_[{replica.pool, replica.place}];
    earliest = now_ + settings_.backoff_min;
  }

  void StepOnce() {
    for (const Action& action : reconciler_.Step(now_)) {
      std::visit([this](const auto& one) { Do(one); }, action);
    }
    ASSERT_EQ(reconciler_.living(), living_.size());
    for (const auto& [id, count] : wanted_) {
      ASSERT_LE(reconciler_.StatusOf(id, now_).ready, count);
    }
  }

  void Do(const StartReplica& start) {
    EXPECT_TRUE(ids_.insert(start.replica).second) << "an id is given twice";
    EXPECT_FALSE(removed_.contains(start.pool)) << "a removed pool starts a replica";
    for (const auto& [id, replica] : living_) {
      EXPECT_FALSE(replica.pool == start.pool && replica.place == start.place)
          << "two replicas in one place";
    }
    const auto earliest = earliest_start_.find({start.pool, start.place});
    if (earliest != earliest_start_.end()) {
      EXPECT_GE(now_, earliest->second) << "back-off";
      earliest_start_.erase(earliest);
    }
    if (!calm_ && OneIn(8)) {  // No room for it now.
      reconciler_.OnNoCapacity(start.replica, "full", now_);
      refused_.insert(start.replica);
      earliest_start_[{start.pool, start.place}] = now_ + settings_.capacity_retry;
      return;
    }
    FakeReplica replica{.pool = start.pool, .place = start.place};
    replica.healthy_at = now_ + milliseconds(random_.Below(calm_ ? 500 : 20'000));
    replica.dies_at =
        !calm_ && OneIn(2) ? now_ + milliseconds(random_.Below(90'000)) : TimePoint::max();
    replica.hangs = !calm_ && OneIn(10);
    living_.emplace(start.replica, replica);
  }

  void Do(const ProbeReplica& probe) {
    if (refused_.contains(probe.replica)) return;  // Asked for together with its start.
    const auto found = living_.find(probe.replica);
    ASSERT_NE(found, living_.end()) << "a dead replica is probed";
    const bool healthy = !found->second.hangs && now_ >= found->second.healthy_at;
    reconciler_.OnProbe(probe.replica, healthy, "no answer", now_);
  }

  void Do(const TerminateReplica& terminate) {
    auto& replica = End(terminate.replica);
    EXPECT_FALSE(replica.asked_to_end) << "asked twice";
    replica.asked_to_end = true;
    if (!replica.hangs) replica.ends_at = now_ + milliseconds(random_.Below(20'000));
  }

  void Do(const KillReplica& kill) {
    auto& replica = End(kill.replica);
    replica.asked_to_end = true;
    replica.ends_at = now_ + milliseconds(random_.Below(5));
  }

  FakeReplica& End(std::uint64_t id) {
    EXPECT_TRUE(living_.contains(id)) << "a dead replica is asked to end";
    EXPECT_FALSE(taking_requests_.contains(id)) << "stopped while it takes requests";
    return living_.at(id);
  }

  void Do(const PublishRoutes&) {
    taking_requests_.clear();
    for (const auto& [id, count] : wanted_) {
      for (const RoutedReplica& routed : reconciler_.RoutedOf(id)) {
        EXPECT_TRUE(living_.contains(routed.replica)) << "a dead replica is published";
        EXPECT_GE(now_, living_.at(routed.replica).healthy_at) << "published before it is healthy";
        if (!routed.draining) taking_requests_.insert(routed.replica);
      }
    }
  }

  // Nothing fails any more: everything wanted comes up, nothing else lives, and it all goes quiet.
  void Calm() {
    calm_ = true;
    for (auto& [id, replica] : living_) {
      replica.dies_at = TimePoint::max();
      replica.healthy_at = std::min(replica.healthy_at, now_ + seconds(1));
    }
    Advance(std::chrono::minutes(10));
    std::size_t wanted = 0;
    for (const auto& [id, count] : wanted_) {
      wanted += static_cast<std::size_t>(count);
      const PoolStatus status = reconciler_.StatusOf(id, now_);
      EXPECT_EQ(status.ready, count);
      EXPECT_EQ(status.message, "");
    }
    EXPECT_EQ(living_.size(), wanted);
    EXPECT_EQ(taking_requests_.size(), wanted);
  }

  Random random_;
  ReplicaSettings settings_;
  Reconciler reconciler_{settings_};
  TimePoint now_ = TimePoint(std::chrono::hours(1));
  bool calm_ = false;
  int endpoints_made_ = 0;
  std::map<std::string, int> wanted_;
  std::set<std::string> removed_;
  std::map<std::uint64_t, FakeReplica> living_;
  std::set<std::uint64_t> ids_;
  std::set<std::uint64_t> refused_;  // That found no room.
  std::set<std::uint64_t> taking_requests_;
  std::map<std::pair<std::string, int>, TimePoint> earliest_start_;
};

TEST(ReconcilerHistory, KeepsItsPromises) {
  for (std::uint64_t seed = 0; seed < 40 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    History(seed).Run();
  }
}

}  // namespace
}  // namespace penstock::control
