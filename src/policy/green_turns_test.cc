#include "policy/green_turns.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <vector>

#include "base/random.h"

namespace penstock::policy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart = TimePoint(seconds(1000));

TEST(GreenTurns, WhoCannotBeInTimeGivesWayAndGetsEveryFourthStart) {
  GreenTurns turns;
  for (RequestId id = 1; id <= 4; ++id) turns.Add(0, id, kStart - milliseconds(1));
  for (RequestId id = 5; id <= 12; ++id) turns.Add(0, id, kStart + seconds(1));
  std::vector<RequestId> order;
  while (const auto next = turns.Next(kStart)) {
    order.push_back(next->second);
    turns.Started(0, 0.1);
  }
  EXPECT_EQ(order, (std::vector<RequestId>{5, 6, 7, 1, 8, 9, 10, 2, 11, 12, 3, 4}));
  EXPECT_TRUE(turns.empty());
}

TEST(GreenTurns, TheEarliestDeadlineDecidesBetweenEqualTurns) {
  GreenTurns turns;
  turns.Add(0, 1, kStart + seconds(5));
  turns.Add(1, 2, kStart + seconds(1));
  EXPECT_EQ(turns.Next(kStart)->second, 2u);
  turns.Started(1, 10);
  turns.Add(1, 3, kStart + seconds(1));
  EXPECT_EQ(turns.Next(kStart)->second, 1u) << "lane 1 had its share";
  turns.Started(0, 1);
  EXPECT_EQ(turns.Next(kStart)->second, 3u);
}

TEST(GreenTurns, ALaneThatWasIdleHasSavedNothingUp) {
  GreenTurns turns;
  RequestId id = 1;
  for (int i = 0; i < 100; ++i) turns.Started(0, 1);
  for (int i = 0; i < 10; ++i) turns.Add(0, id++, kStart + seconds(9));
  for (int i = 0; i < 10; ++i) turns.Add(1, id++, kStart + seconds(9));
  std::map<LaneId, int> starts;
  for (int i = 0; i < 10; ++i) {
    const LaneId lane = turns.Next(kStart)->first;
    ++starts[lane];
    turns.Started(lane, 1);
  }
  EXPECT_NEAR(starts[0], 5, 1);
}

// Random histories: everybody starts or leaves exactly once; while two lanes are both waiting and
// in time, what they got over their guarantees differs by two requests and three times what counts
// as equal.
TEST(GreenTurns, SharesByGuaranteeUnderRandomHistories) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    GreenTurns turns;
    constexpr std::size_t kLanes = 4;
    std::map<RequestId, std::pair<LaneId, double>> waiting;
    std::vector<std::size_t> in_line(kLanes);
    std::vector<double> got(kLanes);
    double largest = 0;
    RequestId id = 1;
    TimePoint now = kStart;
    const bool all_in_time = seed % 2 == 0;
    for (int i = 0; i < 600; ++i) {
      now += milliseconds(random.Below(20));
      const auto what = random.Below(10);
      if (what < 5 || waiting.empty()) {
        const auto lane = static_cast<LaneId>(random.Below(kLanes));
        const double turn = 0.01 + 0.001 * static_cast<double>(random.Below(1000));
        largest = std::max(largest, turn);
        turns.Add(lane, id,
                  all_in_time ? now + seconds(3600) : now + milliseconds(random.Below(300)));
        waiting.emplace(id++, std::pair{lane, turn});
        if (in_line[lane]++ == 0) std::ranges::fill(got, 0);  // The shares are counted anew.
      } else if (what == 5) {
        auto one = waiting.begin();
        std::advance(one, static_cast<std::ptrdiff_t>(random.Below(waiting.size())));
        turns.Remove(one->second.first, one->first);
        if (--in_line[one->second.first] == 0) std::ranges::fill(got, 0);
        waiting.erase(one);
      } else {
        const auto next = turns.Next(now);
        ASSERT_TRUE(next);
        const auto found = waiting.find(next->second);
        ASSERT_NE(found, waiting.end()) << "it waits no more";
        EXPECT_EQ(found->second.first, next->first);
        turns.Started(next->first, found->second.second);
        got[next->first] += found->second.second;
        if (--in_line[next->first] == 0) std::ranges::fill(got, 0);
        waiting.erase(found);
      }
      for (std::size_t a = 0; all_in_time && a < kLanes; ++a) {
        for (std::size_t b = 0; b < kLanes; ++b) {
          if (in_line[a] == 0 || in_line[b] == 0) continue;
          ASSERT_LE(got[a] - got[b], 2 * largest + 3 * GreenTurns::kEqualTurns);
        }
      }
    }
    while (const auto next = turns.Next(now)) {
      ASSERT_EQ(waiting.erase(next->second), 1u);
      turns.Started(next->first, 0.1);
    }
    EXPECT_TRUE(waiting.empty());
    EXPECT_TRUE(turns.empty());
    EXPECT_EQ(turns.late(), 0u);
  }
}

}  // namespace
}  // namespace penstock::policy
