// Random histories against the promises of the dispatcher.
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

LanePolicy Plain() { return {.weights = {.output = 1}, .reserve = Reserve::kLimit}; }

// A pool under random load, with everything that its promises are measured by.
class World {
 public:
  explicit World(std::uint64_t seed) : random_(seed) {
    concurrency_ = 1 + random_.Below(6);
    replicas_ = 1 + random_.Below(3);
    policy_ = {.replica_concurrency = static_cast<int>(concurrency_),
               .queue_max = 1 + random_.Below(30)};
    if (random_.Below(2) == 0) {  // Prompts are bounded as well.
      policy_.replica_cost_per_s = 50 + static_cast<double>(random_.Below(2000));
    }
    pool_.Configure(policy_, Replicas(replicas_), now_);
    const std::size_t lanes = 1 + random_.Below(4);
    for (std::size_t i = 0; i < lanes; ++i) AddLane(i);
  }

  void Step() {
    now_ += milliseconds(random_.Below(400));
    switch (random_.Below(9)) {
      case 0:
        pool_.Pump(now_);
        break;
      case 1:
        LeaveOne();
        break;
      case 2:
      case 3:
        FinishOne();
        break;
      case 4:
        ProgressOne();
        break;
      case 5:
        BeginOne();
        break;
      default:
        ArriveOne();
    }
    TakeStarted();
    if (random_.Below(2) == 0) return;  // The next step finds what time has made possible.
    pool_.Pump(now_);
    TakeStarted();
    Check();
  }

  // Everything comes to its end: nothing is left, and nobody was forgotten.
  void Drain() {
    for (int i = 0; i < 100'000 && (!waiting_.empty() || !running_.empty()); ++i) {
      const TimePoint wake = pool_.NextWake(now_);
      now_ += milliseconds(1 + random_.Below(100));
      if (running_.empty() && wake != TimePoint::max()) now_ = std::max(now_, wake);
      FinishOne();
      pool_.Pump(now_);
      TakeStarted();
    }
    EXPECT_TRUE(waiting_.empty()) << waiting_.size() << " starve";
    EXPECT_EQ(pool_.waiting(), 0u);
    EXPECT_EQ(pool_.replicas().in_flight(), 0u);
    EXPECT_EQ(pool_.replicas().PrefillAhead(now_), Duration{});
    EXPECT_NEAR(pool_.load().queued_cost, 0, 1e-6);
    EXPECT_NEAR(pool_.load().served_cost_total, consumed_, 1e-6 * (1 + consumed_));
    now_ += std::chrono::hours(1'000'000);
    for (const LaneState& lane : lanes_) {
      Lane& state = pool_.lane(lane.id);
      EXPECT_NEAR(state.cap.Level(now_), state.cap.depth(), 1e-6);
      EXPECT_NEAR(state.guarantee.Level(now_), state.guarantee.depth(), 1e-6);
    }
  }

 private:
  struct LaneState {
    LaneId id = 0;
    LanePolicy policy;
    double charged = 0;  // Reserved by those that started, less what was given back.
    double largest = 0;
    std::int64_t admitted = 0;      // Requests,
    std::int64_t quota_tokens = 0;  // and what they counted for under its quota.
    std::int64_t largest_quota_tokens = 0;
  };
  struct Running {
    std::size_t lane = 0;
    Grant grant;
    double so_far = 0;
  };

  void AddLane(std::size_t index) {
    LanePolicy policy = Plain();
    policy.weights.output = 1 + static_cast<double>(random_.Below(5));
    policy.overload = random_.Below(2) == 0 ? Overload::kQueue : Overload::kReject;
    policy.weight = 1 + static_cast<double>(random_.Below(4));
    if (random_.Below(3) != 0) policy.cap_per_s = 20 + static_cast<double>(random_.Below(400));
    if (random_.Below(2) == 0) {
      policy.guarantee_per_s = policy.cap_per_s > 0 ? policy.cap_per_s / 2 : 100;
    }
    if (random_.Below(3) == 0) {  // Azure's units: floor and ceiling are one bucket's.
      policy.accounting = Accounting::kUtilization;
      policy.guarantee_per_s = policy.cap_per_s;
    }
    if (random_.Below(2) == 0) {
      policy.cap_burst = policy.guarantee_burst = seconds(1 + random_.Below(60));
    }
    if (random_.Below(3) == 0) policy.reserve = Reserve::kLearned;
    if (random_.Below(4) == 0) {
      policy.quota =
          StandardQuota{.tokens_per_minute = static_cast<std::int64_t>(random_.Below(3) * 3000),
                        .requests_per_minute = static_cast<std::int64_t>(random_.Below(3) * 60),
                        .request_window = seconds(random_.Below(2) == 0 ? 1 : 10),
                        .release = random_.Below(2) == 0};
    }
    lanes_.push_back({.id = pool_.SetLane(std::to_string(index), policy, now_), .policy = policy});
  }

  void ArriveOne() {
    const std::size_t index = random_.Below(lanes_.size());
    LaneState& lane = lanes_[index];
    RequestSize size = Size(1 + static_cast<std::int64_t>(random_.Below(300)),
                            1 + static_cast<std::int64_t>(random_.Below(100)));
    size.streams = random_.Below(3) != 0;
    lane.largest = std::max(lane.largest,
                            static_cast<double>(size.prompt_token_ids) +
                                lane.policy.weights.output * static_cast<double>(*size.tokens_max));
    Answer answer = pool_.Arrive({.lane = lane.id, .size = size}, now_);
    if (answer.kind != Kind::kRefuse) {
      const std::int64_t tokens =
          QuotaMeter::TokensOf(size, static_cast<std::int64_t>(size.prompt_token_ids));
      ++lane.admitted;
      lane.quota_tokens += tokens;
      lane.largest_quota_tokens = std::max(lane.largest_quota_tokens, tokens);
    }
    switch (answer.kind) {
      case Kind::kStart:
        Begin(index, std::move(answer.grant));
        break;
      case Kind::kQueue:
        EXPECT_TRUE(waiting_.emplace(answer.id, index).second);
        break;
      case Kind::kRefuse:
        EXPECT_GT(answer.retry_after, Duration{});
    }
  }

  void Begin(std::size_t lane, Grant grant) {
    lanes_[lane].charged += grant.charged;
    running_.push_back({.lane = lane, .grant = std::move(grant)});
  }

  void TakeStarted() {
    for (auto& [id, grant] : pool_.TakeStarted()) {
      const auto found = waiting_.find(id);
      ASSERT_NE(found, waiting_.end()) << "started twice, or after it left";
      Begin(found->second, std::move(grant));
      waiting_.erase(found);
    }
  }

  void LeaveOne() {
    if (waiting_.empty()) return;
    auto one = waiting_.begin();
    std::advance(one, static_cast<std::ptrdiff_t>(random_.Below(waiting_.size())));
    EXPECT_TRUE(pool_.Leave(one->first, Refusal::kNone, now_));
    waiting_.erase(one);
  }

  // The first token comes.
  void BeginOne() {
    if (running_.empty()) return;
    pool_.Begun(running_[random_.Below(running_.size())].grant, now_);
  }

  void ProgressOne() {
    if (running_.empty()) return;
    Running& one = running_[random_.Below(running_.size())];
    one.so_far = std::min(one.so_far + 20, one.grant.estimate.cost);
    pool_.Progress(one.grant, one.so_far, now_);
  }

  void FinishOne() {
    if (running_.empty()) return;
    const std::size_t index = random_.Below(running_.size());
    Running one = std::move(running_[index]);
    running_.erase(running_.begin() + static_cast<std::ptrdiff_t>(index));
    // At most what it asked for: a learned reservation may be less.
    const TokenCounts actual{.input = one.grant.estimate.input_tokens,
                             .output = static_cast<std::int64_t>(random_.Below(
                                 static_cast<std::uint64_t>(*one.grant.size.tokens_max) + 1))};
    const bool failed = random_.Below(10) == 0;
    const double cost = failed ? 0 : Cost(actual, lanes_[one.lane].policy.weights);
    consumed_ += cost;
    lanes_[one.lane].charged += cost - one.grant.charged;
    Ending ending{.whole = true};
    if (!failed) ending.actual = actual;
    pool_.Finish(std::move(one.grant), ending, now_);
  }

  void Check() {
    for (const LaneState& lane : lanes_) {
      if (lane.policy.quota) CheckQuota(lane);
      if (lane.policy.cap_per_s == 0) continue;
      const double burst = lane.policy.cap_per_s * Seconds(lane.policy.cap_burst);
      double bound = burst + lane.policy.cap_per_s * Seconds(now_ - kStart) + lane.largest;
      // Where too little was reserved: what each of those that run may take beyond it.
      if (lane.policy.reserve == Reserve::kLearned) {
        bound += lane.largest * static_cast<double>(concurrency_ * replicas_);
      }
      EXPECT_LE(lane.charged, bound + 1e-6);
    }
    std::map<std::uint64_t, std::size_t> on_replica;
    for (const Running& one : running_) ++on_replica[one.grant.replica];
    for (const auto& [replica, count] : on_replica) EXPECT_LE(count, concurrency_);
    EXPECT_EQ(pool_.waiting(), waiting_.size());
    CheckWorkIsConserved();
  }

  // Windows begin with the first request after the last one's end: never more of them than this.
  void CheckQuota(const LaneState& lane) {
    const StandardQuota& quota = *lane.policy.quota;
    if (quota.requests_per_minute > 0) {
      const std::int64_t windows = (now_ - kStart) / quota.request_window + 1;
      const std::int64_t each = std::max<std::int64_t>(
          1, quota.requests_per_minute * (quota.request_window / seconds(1)) / 60);
      EXPECT_LE(lane.admitted, windows * each);
    }
    if (quota.tokens_per_minute > 0 && !quota.release) {
      const std::int64_t minutes = (now_ - kStart) / std::chrono::minutes(1) + 1;
      EXPECT_LE(lane.quota_tokens, minutes * (quota.tokens_per_minute + lane.largest_quota_tokens));
    }
  }

  // Whoever may run, runs: one more Pump() at the same moment starts nobody.
  void CheckWorkIsConserved() {
    pool_.Pump(now_);
    EXPECT_FALSE(pool_.has_started());
    if (waiting_.empty() || pool_.replicas().Saturation() >= policy_.saturation) return;
    if (!pool_.replicas().HasRoom(now_)) {
      EXPECT_GT(pool_.replicas().PrefillAhead(now_), policy_.prefill_ahead - milliseconds(1));
      return;
    }
    for (const LaneState& lane : lanes_) {
      Lane& state = pool_.lane(lane.id);
      if (state.waiting == 0) continue;
      EXPECT_GT(lane.policy.cap_per_s, 0) << "only a ceiling may keep a request from a free place";
      EXPECT_LT(state.cap.Level(now_), lane.largest);
    }
  }

  Random random_;
  TimePoint now_ = kStart;
  std::size_t concurrency_ = 1;
  std::size_t replicas_ = 1;
  PoolPolicy policy_;
  Dispatcher pool_;
  std::vector<LaneState> lanes_;
  std::vector<Running> running_;
  std::map<RequestId, std::size_t> waiting_;
  double consumed_ = 0;
};

TEST(Dispatcher, KeepsItsPromisesUnderRandomHistories) {
  for (std::uint64_t seed = 0; seed < 300 && !testing::Test::HasFailure(); ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    World world(seed);
    for (int i = 0; i < 400 && !testing::Test::HasFailure(); ++i) world.Step();
    world.Drain();
  }
}

// While two lanes are both backlogged, what they get over their weights never differs by more than
// two requests each: the bound of "Fairness in Serving Large Language Models".
TEST(Dispatcher, SharesTheRestByWeightWithinTheBoundOfVtc) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    Dispatcher pool;
    const auto places = static_cast<int>(1 + random.Below(8));
    pool.Configure({.replica_concurrency = places, .saturation = 1, .queue_max = 100'000},
                   Replicas(1), kStart);
    constexpr std::size_t kLanes = 3;
    std::vector<double> weights;
    std::vector<double> got(kLanes);
    std::vector<double> largest(kLanes);
    std::deque<Grant> running;
    const auto begin = [&](Grant grant) {
      got[grant.lane] += grant.estimate.cost;
      running.push_back(std::move(grant));
    };
    for (std::size_t i = 0; i < kLanes; ++i) {
      LanePolicy policy = Plain();
      policy.weight = weights.emplace_back(1 + static_cast<double>(random.Below(9)));
      pool.SetLane(std::to_string(i), policy, kStart);
    }
    // The place is taken while the lines are made, so that all begin together.
    for (int i = 0; i < 3000; ++i) {
      const auto lane = static_cast<LaneId>(random.Below(kLanes));
      const RequestSize size = Size(static_cast<std::int64_t>(1 + random.Below(1000)), 1);
      largest[lane] = std::max(largest[lane], static_cast<double>(size.prompt_token_ids) + 1);
      Answer answer = pool.Arrive({.lane = lane, .size = size}, kStart);
      if (answer.kind == Kind::kStart) running.push_back(std::move(answer.grant));
    }
    double bound = 0;
    for (std::size_t i = 0; i < kLanes; ++i) bound = std::max(bound, 2 * largest[i] / weights[i]);
    bound *= 1 + static_cast<double>(places);  // Those that ran before the lines were made.
    for (;;) {
      Grant one = std::move(running.front());
      running.pop_front();
      const TokenCounts actual{.input = one.estimate.input_tokens, .output = 1};
      pool.Finish(std::move(one), {.actual = actual}, kStart);
      for (auto& [id, grant] : pool.TakeStarted()) begin(std::move(grant));
      if (pool.lane(0).waiting == 0 || pool.lane(1).waiting == 0 || pool.lane(2).waiting == 0)
        break;
      for (std::size_t i = 1; i < kLanes; ++i) {
        ASSERT_LE(std::abs(got[0] / weights[0] - got[i] / weights[i]), bound);
      }
    }
    for (Grant& grant : running) pool.Finish(std::move(grant), {}, kStart);
  }
}

}  // namespace
}  // namespace penstock::policy
