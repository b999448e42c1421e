#include "policy/dispatcher.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <vector>

#include "base/random.h"

namespace penstock::policy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Kind = Answer::Kind;

const TimePoint kStart = TimePoint(seconds(1'000'000));

std::vector<ReplicaRoute> Replicas(std::size_t count) {
  std::vector<ReplicaRoute> routes;
  for (std::size_t i = 0; i < count; ++i) routes.push_back({.id = i + 1, .address = "unix:/x"});
  return routes;
}

// A request of `input` tokens that reserves `output` tokens.
RequestSize Size(std::int64_t input, std::int64_t output) {
  return {.prompt_token_ids = static_cast<std::size_t>(input), .tokens_max = output};
}

// One whose first token will be told.
RequestSize Streaming(std::int64_t input) {
  RequestSize size = Size(input, 1);
  size.streams = true;
  return size;
}

LanePolicy Plain() { return {.weights = {.output = 1}, .reserve = Reserve::kLimit}; }

TEST(Dispatcher, StartsWhatFitsAndQueuesTheRestInOrder) {
  Dispatcher pool;
  pool.Configure({.replica_concurrency = 1}, Replicas(1), kStart);
  const LaneId lane = pool.SetLane("a", Plain(), kStart);
  Answer first = pool.Arrive({.lane = lane, .size = Size(10, 10)}, kStart);
  ASSERT_EQ(first.kind, Kind::kStart);
  const Answer second = pool.Arrive({.lane = lane, .size = Size(10, 10)}, kStart);
  const Answer third = pool.Arrive({.lane = lane, .size = Size(10, 10)}, kStart);
  ASSERT_EQ(second.kind, Kind::kQueue);
  ASSERT_EQ(third.kind, Kind::kQueue);
  EXPECT_EQ(pool.load().queued_cost, 40);
  pool.Finish(std::move(first.grant), {.actual = TokenCounts{.input = 10, .output = 5}}, kStart);
  auto started = pool.TakeStarted();
  ASSERT_EQ(started.size(), 1u);
  EXPECT_EQ(started[0].first, second.id);
  EXPECT_EQ(pool.load().served_cost_total, 15);
  EXPECT_TRUE(pool.Leave(third.id, Refusal::kNone, kStart));
  EXPECT_FALSE(pool.Leave(third.id, Refusal::kNone, kStart));
  pool.Finish(std::move(started[0].second), {}, kStart);
  EXPECT_EQ(pool.load().queued_cost, 0);
  EXPECT_EQ(pool.replicas().in_flight(), 0u);
}

TEST(Dispatcher, AnEmptiedGrantGivesNothingBackTwice) {
  Dispatcher pool;
  pool.Configure({}, Replicas(1), kStart);
  LanePolicy policy = Plain();
  policy.cap_per_s = 1;
  policy.cap_burst = seconds(1000);
  const LaneId lane = pool.SetLane("a", policy, kStart);
  Answer answer = pool.Arrive({.lane = lane, .size = Size(500, 100)}, kStart);
  EXPECT_DOUBLE_EQ(pool.lane(lane).cap.Level(kStart), 400);
  Grant moved = std::move(answer.grant);
  pool.Finish(std::move(answer.grant), {}, kStart);  // NOLINT(bugprone-use-after-move)
  EXPECT_DOUBLE_EQ(pool.lane(lane).cap.Level(kStart), 400);
  pool.Finish(std::move(moved), {}, kStart);
  EXPECT_DOUBLE_EQ(pool.lane(lane).cap.Level(kStart), 1000);
}

TEST(Dispatcher, RejectsAboveItsUnitsWithTheExactTime) {
  Dispatcher pool;
  pool.Configure({}, Replicas(1), kStart);
  LanePolicy policy = Plain();
  policy.guarantee_per_s = policy.cap_per_s = 10;
  policy.guarantee_burst = policy.cap_burst = seconds(60);
  policy.accounting = Accounting::kUtilization;
  policy.overload = Overload::kReject;
  const LaneId lane = pool.SetLane("ptu", policy, kStart);
  // Below 100 % anything is taken, even what goes far beyond.
  Answer first = pool.Arrive({.lane = lane, .size = Size(900, 100)}, kStart);
  ASSERT_EQ(first.kind, Kind::kStart);
  EXPECT_EQ(first.grant.colour, Colour::kGreen);
  EXPECT_NEAR(pool.lane(lane).HeadroomAt(kStart).utilization, 1000.0 / 600, 1e-9);
  const Answer refused = pool.Arrive({.lane = lane, .size = Size(1, 1)}, kStart);
  ASSERT_EQ(refused.kind, Kind::kRefuse);
  EXPECT_EQ(refused.refusal, Refusal::kUtilization);
  EXPECT_NEAR(Seconds(refused.retry_after), 40, 1e-3);
  EXPECT_EQ(pool.Arrive({.lane = lane, .size = Size(1, 1)}, kStart + refused.retry_after).kind,
            Kind::kStart);
  pool.Finish(std::move(first.grant), {.actual = TokenCounts{.input = 100}}, kStart + seconds(41));
  EXPECT_LT(pool.lane(lane).HeadroomAt(kStart + seconds(41)).utilization, 0.1);
}

TEST(Dispatcher, ShapesALaneThatQueuesToItsCap) {
  Dispatcher pool;
  pool.Configure({}, Replicas(1), kStart);
  LanePolicy policy = Plain();
  policy.cap_per_s = 10;
  policy.cap_burst = seconds(10);
  const LaneId lane = pool.SetLane("dbx", policy, kStart);
  EXPECT_EQ(pool.Arrive({.lane = lane, .size = Size(50, 50)}, kStart).kind, Kind::kStart);
  const Answer waits = pool.Arrive({.lane = lane, .size = Size(10, 10)}, kStart);
  ASSERT_EQ(waits.kind, Kind::kQueue);
  const TimePoint wake = pool.NextWake(kStart);
  EXPECT_NEAR(Seconds(wake - kStart), 2, 1e-6);
  pool.Pump(wake - milliseconds(1));
  EXPECT_FALSE(pool.has_started());
  pool.Pump(wake);
  ASSERT_TRUE(pool.has_started());
  EXPECT_EQ(pool.TakeStarted()[0].first, waits.id);
}

TEST(Dispatcher, GreenGoesFirstByDeadlineAndTheWaitingArePromoted) {
  Dispatcher pool;
  pool.Configure({.replica_concurrency = 1}, Replicas(1), kStart);
  LanePolicy late = Plain();
  late.guarantee_per_s = 100;
  late.guarantee_burst = seconds(1);
  late.ttft_target = seconds(5);
  LanePolicy soon = late;
  soon.ttft_target = seconds(1);
  const LaneId flood = pool.SetLane("flood", Plain(), kStart);
  const LaneId a = pool.SetLane("a", late, kStart);
  const LaneId b = pool.SetLane("b", soon, kStart);
  Grant running = std::move(pool.Arrive({.lane = flood, .size = Size(1, 1)}, kStart).grant);
  (void)pool.Arrive({.lane = flood, .size = Size(1, 1)}, kStart);
  const Answer from_a = pool.Arrive({.lane = a, .size = Size(50, 50)}, kStart);
  const Answer from_b = pool.Arrive({.lane = b, .size = Size(50, 50)}, kStart);
  const Answer beyond = pool.Arrive({.lane = b, .size = Size(50, 50)}, kStart);
  std::vector<RequestId> order;
  TimePoint now = kStart;
  for (int i = 0; i < 4; ++i) {
    pool.Finish(std::move(running), {.actual = TokenCounts{.input = 100}}, now);
    auto started = pool.TakeStarted();
    ASSERT_EQ(started.size(), 1u);
    order.push_back(started[0].first);
    running = std::move(started[0].second);
    if (i == 1) now += seconds(1);  // b's guarantee covers its second one now.
  }
  EXPECT_EQ(order[0], from_b.id);
  EXPECT_EQ(order[1], from_a.id);
  EXPECT_EQ(order[2], beyond.id) << "promoted before the flood's turn";
  EXPECT_EQ(pool.lane(b).counts.promoted, 2u);
  pool.Finish(std::move(running), {}, now);
}

// Prompts wait here, where the urgent overtake them, and not in a replica's own line.
TEST(Dispatcher, FewPromptsStandBeforeTheNextOne) {
  Dispatcher pool;
  pool.Configure({.replica_cost_per_s = 1000, .prefill_ahead = milliseconds(250)}, Replicas(1),
                 kStart);
  LanePolicy policy = Plain();
  policy.guarantee_per_s = 1000;
  const LaneId burst = pool.SetLane("burst", policy, kStart);
  const LaneId steady = pool.SetLane("steady", policy, kStart);
  Answer first = pool.Arrive({.lane = burst, .size = Streaming(5000)}, kStart);
  ASSERT_EQ(first.kind, Kind::kStart) << "one may always be under way, however long it is";
  const Answer behind = pool.Arrive({.lane = burst, .size = Streaming(200)}, kStart);
  const Answer urgent = pool.Arrive({.lane = steady, .size = Streaming(200)}, kStart);
  EXPECT_EQ(behind.kind, Kind::kQueue);
  EXPECT_GE(pool.NextWake(kStart), kStart + seconds(22)) << "its first token will be told";
  pool.Begun(first.grant, kStart);
  pool.Begun(first.grant, kStart);  // Once only.
  auto started = pool.TakeStarted();
  ASSERT_EQ(started.size(), 2u) << "200 of 250 are before the second, 400 before a third";
  EXPECT_EQ(started[0].first, urgent.id);
  EXPECT_EQ(started[1].first, behind.id);
  EXPECT_EQ(pool.Arrive({.lane = steady, .size = Streaming(1)}, kStart).kind, Kind::kQueue);
  // One that ends without a first token is no more before the others.
  pool.Finish(std::move(started[0].second), {}, kStart);
  auto last = pool.TakeStarted();
  ASSERT_EQ(last.size(), 1u);
  pool.Finish(std::move(started[1].second), {}, kStart);
  pool.Finish(std::move(last[0].second), {}, kStart);
  pool.Finish(std::move(first.grant), {}, kStart);
}

// A stream that hangs before its first token does not keep others from its replica for ever.
TEST(Dispatcher, APromptThatIsNeverReadCountsForAWhileOnly) {
  Dispatcher pool;
  pool.Configure({.replica_cost_per_s = 1000}, Replicas(1), kStart);
  const LaneId lane = pool.SetLane("lane", Plain(), kStart);
  Answer hangs = pool.Arrive({.lane = lane, .size = Streaming(1000)}, kStart);
  ASSERT_EQ(hangs.kind, Kind::kStart);
  ASSERT_EQ(pool.Arrive({.lane = lane, .size = Streaming(1)}, kStart).kind, Kind::kQueue);
  const TimePoint wake = pool.NextWake(kStart);
  EXPECT_NEAR(Seconds(wake - kStart), 2 + 4, 1e-3);
  pool.Pump(wake);
  auto started = pool.TakeStarted();
  ASSERT_EQ(started.size(), 1u);
  EXPECT_EQ(pool.Arrive({.lane = lane, .size = Streaming(1)}, wake).kind, Kind::kStart);
  pool.Begun(started[0].second, wake);
  EXPECT_EQ(pool.Arrive({.lane = lane, .size = Streaming(1)}, wake).kind, Kind::kQueue)
      << "it reads again: so the hanging one may only be slow";
}

// Of answers that are no streams nobody tells when their prompts are read: so it is reckoned.
TEST(Dispatcher, PromptsOfWholeAnswersAreTakenForReadInTime) {
  Dispatcher pool;
  pool.Configure({.replica_cost_per_s = 1000, .prefill_ahead = milliseconds(250)}, Replicas(1),
                 kStart);
  const LaneId lane = pool.SetLane("lane", Plain(), kStart);
  const RequestSize whole = Size(1000, 1);
  Answer first = pool.Arrive({.lane = lane, .size = whole}, kStart);
  ASSERT_EQ(first.kind, Kind::kStart);
  const Answer second = pool.Arrive({.lane = lane, .size = whole}, kStart);
  ASSERT_EQ(second.kind, Kind::kQueue);
  const TimePoint wake = pool.NextWake(kStart);
  EXPECT_NEAR(Seconds(wake - kStart), 0.75, 1e-3);
  pool.Pump(wake + milliseconds(1));
  auto started = pool.TakeStarted();
  ASSERT_EQ(started.size(), 1u);
  pool.Finish(std::move(started[0].second), {}, wake);
  pool.Finish(std::move(first.grant), {}, wake);
}

// Who does not queue does not wait for others' prompts either.
TEST(Dispatcher, ARejectingLaneStartsBesideUnreadPrompts) {
  Dispatcher pool;
  pool.Configure({.replica_cost_per_s = 100, .replica_concurrency = 8}, Replicas(1), kStart);
  LanePolicy policy = Plain();
  policy.overload = Overload::kReject;
  const LaneId lane = pool.SetLane("lane", policy, kStart);
  std::vector<Grant> running;
  for (int i = 0; i < 6; ++i) {
    Answer answer = pool.Arrive({.lane = lane, .size = Size(1000, 1)}, kStart);
    ASSERT_EQ(answer.kind, Kind::kStart) << i;
    running.push_back(std::move(answer.grant));
  }
  for (Grant& grant : running) pool.Finish(std::move(grant), {}, kStart);
}

// A burst may be green as a whole; who keeps to a guarantee does not stand behind it.
TEST(Dispatcher, ABurstDoesNotHoldUpWhoKeepsToAGuarantee) {
  Dispatcher pool;
  pool.Configure({.replica_concurrency = 1}, Replicas(1), kStart);
  LanePolicy policy = Plain();
  policy.guarantee_per_s = 100;
  policy.guarantee_burst = seconds(100);
  const LaneId burst = pool.SetLane("burst", policy, kStart);
  const LaneId steady = pool.SetLane("steady", policy, kStart);
  Grant running = std::move(pool.Arrive({.lane = burst, .size = Size(50, 50)}, kStart).grant);
  std::vector<RequestId> bursting;
  for (int i = 0; i < 5; ++i) {
    bursting.push_back(pool.Arrive({.lane = burst, .size = Size(50, 50)}, kStart).id);
  }
  const TimePoint later = kStart + milliseconds(1500);
  const Answer one = pool.Arrive({.lane = steady, .size = Size(50, 50)}, later);
  const Answer two = pool.Arrive({.lane = steady, .size = Size(50, 50)}, later);
  std::vector<RequestId> order;
  for (int i = 0; i < 7; ++i) {
    pool.Finish(std::move(running), {.actual = TokenCounts{.input = 100}}, later);
    auto started = pool.TakeStarted();
    ASSERT_EQ(started.size(), 1u);
    order.push_back(started[0].first);
    EXPECT_EQ(started[0].second.colour, Colour::kGreen);
    running = std::move(started[0].second);
  }
  // The burst's deadlines are earlier; but it may be two seconds of its guarantee ahead at most.
  EXPECT_EQ(order, (std::vector<RequestId>{bursting[0], bursting[1], one.id, bursting[2], two.id,
                                           bursting[3], bursting[4]}));
  pool.Finish(std::move(running), {}, later);
}

TEST(Dispatcher, TheQueueIsBoundedForEachLaneAlone) {
  Dispatcher pool;
  pool.Configure({.replica_concurrency = 1, .queue_max = 3}, Replicas(1), kStart);
  const LaneId flood = pool.SetLane("flood", Plain(), kStart);
  const LaneId other = pool.SetLane("other", Plain(), kStart);
  for (int i = 0; i < 4; ++i) {
    EXPECT_NE(pool.Arrive({.lane = flood, .size = Size(1, 1)}, kStart).kind, Kind::kRefuse);
  }
  const Answer full = pool.Arrive({.lane = flood, .size = Size(1, 1)}, kStart);
  EXPECT_EQ(full.refusal, Refusal::kQueueFull);
  EXPECT_GE(full.retry_after, seconds(1));
  EXPECT_EQ(pool.Arrive({.lane = other, .size = Size(1, 1)}, kStart).kind, Kind::kQueue);
  EXPECT_EQ(pool.lane(flood).counts.refused[static_cast<std::size_t>(Refusal::kQueueFull)], 1u);
}

TEST(Dispatcher, SaysSoWhenNoReplicaIsReady) {
  Dispatcher pool;
  const LaneId lane = pool.SetLane("a", Plain(), kStart);
  EXPECT_EQ(pool.Arrive({.lane = lane}, kStart).refusal, Refusal::kNoReplica);
  EXPECT_GT(pool.load().refused_cost_total, 0) << "more replicas would have served it";
}

// Complaints about gateways that reserve: a first request was refused for its estimate alone.
TEST(Dispatcher, AFirstRequestIsNeverRefusedForItsEstimate) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    LanePolicy policy;
    policy.weights.output = 1 + static_cast<double>(random.Below(8));
    policy.cap_per_s = static_cast<double>(random.Below(1000)) / 10 + 0.1;
    policy.guarantee_per_s = random.Below(2) == 0 ? 0 : policy.cap_per_s;
    policy.accounting = random.Below(2) == 0 ? Accounting::kContract : Accounting::kUtilization;
    policy.overload = random.Below(2) == 0 ? Overload::kQueue : Overload::kReject;
    policy.reserve = random.Below(2) == 0 ? Reserve::kLimit : Reserve::kLearned;
    if (random.Below(2) == 0) policy.quota = StandardQuota{.tokens_per_minute = 1000};
    Dispatcher pool;
    pool.Configure({.replica_concurrency = 1}, Replicas(1), kStart);
    const LaneId lane = pool.SetLane("a", policy, kStart);
    RequestSize size{.prompt_bytes = random.Below(1'000'000),
                     .choices = static_cast<std::int64_t>(1 + random.Below(128))};
    if (random.Below(2) == 0) size.tokens_max = INT32_MAX;
    EXPECT_EQ(pool.Arrive({.lane = lane, .size = size}, kStart).kind, Kind::kStart);
  }
}

// A lane that was away gets no credit for it: it cannot shut the others out when it returns.
TEST(Dispatcher, AnIdleLaneSavesNothingUp) {
  Dispatcher pool;
  pool.Configure({.replica_concurrency = 1, .saturation = 1}, Replicas(1), kStart);
  const LaneId busy = pool.SetLane("busy", Plain(), kStart);
  const LaneId idle = pool.SetLane("idle", Plain(), kStart);
  Grant running = std::move(pool.Arrive({.lane = busy, .size = Size(99, 1)}, kStart).grant);
  std::vector<LaneId> order;
  const auto next = [&] {
    const TokenCounts actual{.input = 99, .output = 1};
    pool.Finish(std::move(running), {.actual = actual}, kStart);
    auto started = pool.TakeStarted();
    ASSERT_EQ(started.size(), 1u);
    running = std::move(started[0].second);
    order.push_back(running.lane);
  };
  for (int i = 0; i < 100; ++i) {
    (void)pool.Arrive({.lane = busy, .size = Size(99, 1)}, kStart);
    next();
  }
  for (int i = 0; i < 10; ++i) {
    (void)pool.Arrive({.lane = busy, .size = Size(99, 1)}, kStart);
    (void)pool.Arrive({.lane = idle, .size = Size(99, 1)}, kStart);
  }
  order.clear();
  for (int i = 0; i < 10; ++i) next();
  EXPECT_LE(std::ranges::count(order, idle), 6);
  EXPECT_GE(std::ranges::count(order, idle), 4);
}

// The product in one test: a flood takes nothing from a lane that keeps to its guarantee.
TEST(Dispatcher, AFloodDoesNotDelayWhoKeepsToTheGuarantee) {
  Dispatcher pool;
  pool.Configure({.replica_concurrency = 10}, Replicas(1), kStart);
  LanePolicy paid = Plain();
  paid.guarantee_per_s = 1000;
  paid.guarantee_burst = seconds(2);
  const LaneId conforming = pool.SetLane("paid", paid, kStart);
  const LaneId flood = pool.SetLane("flood", Plain(), kStart);
  std::multimap<TimePoint, Grant> running;  // By end: each takes one second.
  std::map<RequestId, TimePoint> waiting;
  Duration longest{};
  TimePoint now = kStart;
  for (int tick = 0; tick < 60'000; ++tick, now += milliseconds(1)) {
    while (!running.empty() && running.begin()->first <= now) {
      Grant done = std::move(running.begin()->second);
      running.erase(running.begin());
      const TokenCounts actual{.input = done.estimate.input_tokens, .output = 1};
      pool.Finish(std::move(done), {.actual = actual}, now);
    }
    const auto arrive = [&](LaneId lane, std::int64_t input) {
      Answer answer = pool.Arrive({.lane = lane, .size = Size(input, 1)}, now);
      if (answer.kind == Kind::kStart) running.emplace(now + seconds(1), std::move(answer.grant));
      if (answer.kind == Kind::kQueue && lane == conforming) waiting.emplace(answer.id, now);
    };
    if (tick % 2 == 0) arrive(flood, 400);
    if (tick % 500 == 0) arrive(conforming, 490);  // 982 of 1000 a second.
    for (auto& [id, grant] : pool.TakeStarted()) {
      if (const auto found = waiting.find(id); found != waiting.end()) {
        longest = std::max(longest, now - found->second);
        waiting.erase(found);
      }
      running.emplace(now + seconds(1), std::move(grant));
    }
  }
  EXPECT_LE(longest, milliseconds(300));
  EXPECT_EQ(pool.lane(conforming).counts.green, 120u);
  EXPECT_GT(pool.lane(flood).counts.yellow, 300u) << "what is left goes to the flood";
  for (auto& [at, grant] : running) pool.Finish(std::move(grant), {}, now);
}

// Learned estimates fall short of a tenant that changes its ways; what it produces is debited as it
// comes, so that it is held back long before its requests end.
TEST(Dispatcher, DebitsWhatGoesBeyondTheEstimateWhileItStreams) {
  Dispatcher pool;
  pool.Configure({}, Replicas(1), kStart);
  LanePolicy policy;
  policy.weights.output = 1;
  policy.cap_per_s = 10;
  policy.cap_burst = seconds(100);
  policy.overload = Overload::kReject;
  const LaneId lane = pool.SetLane("a", policy, kStart);
  for (int i = 0; i < 50; ++i) {
    pool.lane(lane).estimator.Learn({.prompt_token_ids = 1}, {.input = 1, .output = 8});
  }
  Grant grant = std::move(pool.Arrive({.lane = lane, .size = Size(1, 100'000)}, kStart).grant);
  EXPECT_LE(grant.estimate.cost, 12);
  pool.Progress(grant, 5000, kStart);
  const Answer refused = pool.Arrive({.lane = lane, .size = Size(1, 8)}, kStart);
  EXPECT_EQ(refused.refusal, Refusal::kCap);
  EXPECT_GT(refused.retry_after, seconds(400));
  pool.Finish(std::move(grant), {.actual = TokenCounts{.input = 1, .output = 4999}}, kStart);
}

TEST(Dispatcher, RetriesOnAnotherReplicaWithinTheBudget) {
  Dispatcher pool;
  pool.Configure({}, Replicas(2), kStart);
  const LaneId lane = pool.SetLane("a", Plain(), kStart);
  Grant grant = std::move(pool.Arrive({.lane = lane, .size = Size(1, 1)}, kStart).grant);
  std::vector<std::uint64_t> tried = {grant.replica};
  EXPECT_TRUE(pool.Retry(grant, tried, ReplicaSet::Fate::kFailed, kStart));
  EXPECT_NE(grant.replica, tried[0]);
  tried.push_back(grant.replica);
  EXPECT_FALSE(pool.Retry(grant, tried, ReplicaSet::Fate::kFailed, kStart)) << "nobody is left";
  int retries = 0;
  for (int i = 0; i < 100; ++i) {
    const std::vector<std::uint64_t> one = {grant.replica};
    retries += pool.Retry(grant, one, ReplicaSet::Fate::kFailed, kStart) ? 1 : 0;
  }
  EXPECT_LE(retries, 10);
  EXPECT_GT(pool.retries_refused(), 0u);
  pool.Finish(std::move(grant), {}, kStart);
  EXPECT_EQ(pool.replicas().in_flight(), 0u);
}

TEST(Dispatcher, ARemovedLaneLivesUntilItsLastRequestEnds) {
  Dispatcher pool;
  pool.Configure({}, Replicas(1), kStart);
  const LaneId lane = pool.SetLane("a", Plain(), kStart);
  Grant grant = std::move(pool.Arrive({.lane = lane, .size = Size(1, 1)}, kStart).grant);
  pool.RemoveLane("a");
  const LaneId other = pool.SetLane("b", Plain(), kStart);
  EXPECT_NE(other, lane);
  pool.Finish(std::move(grant), {}, kStart);
  EXPECT_FALSE(pool.has_lane(lane));
  EXPECT_EQ(pool.Arrive({.lane = lane}, kStart).refusal, Refusal::kNoReplica);
  pool.RemoveLane("b");
  EXPECT_TRUE(pool.empty());
}

}  // namespace
}  // namespace penstock::policy
