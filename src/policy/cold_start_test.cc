// Requests that wait for the first replica of a pool that was scaled to zero.
#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "policy/dispatcher.h"

namespace penstock::policy {
namespace {

using std::chrono::seconds;
using Kind = Answer::Kind;

const TimePoint kStart = TimePoint(seconds(1'000'000));

PoolPolicy Cold(std::size_t queue_max = 4) {
  return {.replica_concurrency = 2,
          .queue_wait_max = seconds(7),
          .cold_start_wait_max = seconds(60),
          .cold_start_queue_max = queue_max};
}
std::vector<ReplicaRoute> One() { return {{.id = 1, .address = "unix:/x"}}; }
Arrival For(LaneId lane) {
  return {.lane = lane, .size = {.prompt_token_ids = 10, .tokens_max = 10}};
}

TEST(ColdStart, HeldRequestsStartWithTheFirstReplicaInOrder) {
  Dispatcher pool;
  pool.Configure(Cold(), {}, kStart);
  // One that rejects overload waits, too: there is no overload.
  const LaneId lane = pool.SetLane("a", {.overload = Overload::kReject}, kStart);
  std::vector<RequestId> held;
  for (int i = 0; i < 3; ++i) {
    const Answer answer = pool.Arrive(For(lane), kStart);
    ASSERT_EQ(answer.kind, Kind::kQueue);
    held.push_back(answer.id);
  }
  EXPECT_EQ(pool.queue_wait_max(), seconds(60));
  EXPECT_GT(pool.load().queued_cost, 0);  // What the autoscaler sees.
  pool.Configure(Cold(), One(), kStart + seconds(5));
  auto started = pool.TakeStarted();
  ASSERT_EQ(started.size(), 2u);  // Its places.
  EXPECT_EQ(started[0].first, held[0]);
  EXPECT_EQ(started[1].first, held[1]);
  EXPECT_EQ(pool.queue_wait_max(), seconds(7));
  pool.Finish(std::move(started[0].second), {}, kStart + seconds(6));
  ASSERT_EQ(pool.TakeStarted().front().first, held[2]);
}

TEST(ColdStart, TheQueueIsBoundedAndWhoLeavesMakesRoom) {
  Dispatcher pool;
  pool.Configure(Cold(2), {}, kStart);
  const LaneId first = pool.SetLane("a", {}, kStart);
  const LaneId second = pool.SetLane("b", {}, kStart);
  const Answer held = pool.Arrive(For(first), kStart);
  ASSERT_EQ(pool.Arrive(For(second), kStart).kind, Kind::kQueue);
  const Answer refused = pool.Arrive(For(first), kStart);  // Over all lanes.
  EXPECT_EQ(refused.kind, Kind::kRefuse);
  EXPECT_EQ(refused.refusal, Refusal::kQueueFull);
  EXPECT_TRUE(pool.Leave(held.id, Refusal::kNone, kStart));
  EXPECT_EQ(pool.Arrive(For(second), kStart).kind, Kind::kQueue);
}

TEST(ColdStart, WithoutItNobodyWaits) {
  Dispatcher pool;
  pool.Configure({.replica_concurrency = 1}, {}, kStart);
  const LaneId lane = pool.SetLane("a", {}, kStart);
  const Answer answer = pool.Arrive(For(lane), kStart);
  EXPECT_EQ(answer.kind, Kind::kRefuse);
  EXPECT_EQ(answer.refusal, Refusal::kNoReplica);
}

// However replicas and requests come and go: nothing that was held is lost, nothing starts twice.
TEST(ColdStart, AnyHistoryEndsEachRequestOnce) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Dispatcher pool;
    pool.Configure(Cold(8), {}, kStart);
    const LaneId lane = pool.SetLane("a", {}, kStart);
    TimePoint now = kStart;
    std::size_t arrived = 0;
    std::size_t ended = 0;
    std::vector<RequestId> held;
    std::vector<Grant> running;
    const auto collect = [&] {
      for (auto& [id, grant] : pool.TakeStarted()) {
        EXPECT_EQ(std::erase(held, id), 1u);
        running.push_back(std::move(grant));
      }
    };
    for (int i = 0; i < 200; ++i) {
      now += seconds(1);
      switch (random.Below(4)) {
        case 0: {
          ++arrived;
          Answer answer = pool.Arrive(For(lane), now);
          if (answer.kind == Kind::kQueue) held.push_back(answer.id);
          if (answer.kind == Kind::kRefuse) ++ended;
          if (answer.kind == Kind::kStart) running.push_back(std::move(answer.grant));
          break;
        }
        case 1:
          pool.Configure(Cold(8), random.Below(2) == 0 ? One() : std::vector<ReplicaRoute>{}, now);
          break;
        case 2:
          if (held.empty()) break;
          ASSERT_TRUE(pool.Leave(held.back(), Refusal::kNoReplica, now));
          held.pop_back();
          ++ended;
          break;
        default:
          if (running.empty()) break;
          pool.Finish(std::move(running.back()), {}, now);
          running.pop_back();
          ++ended;
      }
      collect();
    }
    pool.Configure(Cold(8), One(), now);
    collect();
    while (!running.empty()) {
      pool.Finish(std::move(running.back()), {}, now += seconds(1));
      running.pop_back();
      ++ended;
      collect();
    }
    EXPECT_TRUE(held.empty());
    EXPECT_EQ(arrived, ended);
  }
}

}  // namespace
}  // namespace penstock::policy
