#include "policy/dispatcher.h"

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace penstock::policy {
namespace {

constexpr Duration kRetryMin = std::chrono::seconds(1);
constexpr Duration kRetryMax = std::chrono::seconds(60);

}  // namespace

void Dispatcher::Configure(const PoolPolicy& policy, std::span<const ReplicaRoute> replicas,
                           TimePoint now) {
  policy_ = policy;
  replicas_.Configure(replicas, policy);
  Pump(now);
}

LaneId Dispatcher::SetLane(std::string_view key, const LanePolicy& policy, TimePoint now) {
  const auto known = lane_ids_.find(std::string(key));
  LaneId id = 0;
  if (known != lane_ids_.end()) {
    id = known->second;
  } else {
    id = static_cast<LaneId>(lanes_.size());
    lanes_.push_back(std::make_unique<Lane>());
    lanes_[id]->key = key;
    lanes_[id]->virtual_cost = virtual_floor_ * std::max(policy.weight, 1e-6);
    lane_ids_.emplace(key, id);
  }
  lanes_[id]->Configure(policy, now);
  return id;
}

void Dispatcher::RemoveLane(std::string_view key) {
  const auto known = lane_ids_.find(std::string(key));
  if (known == lane_ids_.end()) return;
  const LaneId id = known->second;
  lanes_[id]->removed = true;
  lane_ids_.erase(known);
  DropIdle(id);
}

void Dispatcher::DropIdle(LaneId id) {
  const Lane& lane = *lanes_[id];
  if (!lane.removed || lane.running != 0 || lane.waiting != 0) return;
  green_.Forget(id);
  std::erase(active_, id);
  lanes_[id].reset();
}

PoolLoad Dispatcher::load() const {
  return {.offered_cost_total = offered_,
          .refused_cost_total = refused_,
          .served_cost_total = served_,
          .queued_cost = queued_};
}

// What a lane that waits has before it, at the speed that it may count on.
Duration Dispatcher::DrainTime(const Lane& lane) const {
  const double rate =
      std::max({lane.policy.guarantee_per_s, lane.policy.cap_per_s,
                policy_.replica_cost_per_s * static_cast<double>(replicas_.ready())});
  if (rate <= 0) return kRetryMin;
  const double seconds = std::min(queued_ / rate, Seconds(kRetryMax));
  return std::max(kRetryMin, Duration(static_cast<std::int64_t>(seconds * 1e9)));
}

Answer Dispatcher::Refuse(Lane& lane, Refusal refusal, Duration retry_after, double cost) {
  ++lane.counts.refused[static_cast<std::size_t>(refusal)];
  if (IsForCapacity(refusal)) {
    offered_ += cost;
    refused_ += cost;
  }
  Answer answer;
  answer.refusal = refusal;
  answer.retry_after = retry_after;
  return answer;
}

bool Dispatcher::MayStartAtOnce(const Lane& lane, Colour colour, TimePoint now) const {
  if (lane.waiting != 0 || !green_.empty()) return false;
  // Who does not queue does not wait for others' prompts either.
  const bool room = lane.policy.overload == Overload::kReject && colour == Colour::kYellow
                        ? replicas_.HasPlace()
                        : replicas_.HasRoom(now);
  if (!room) return false;
  if (colour == Colour::kGreen) return true;
  return active_.empty() && replicas_.Saturation() < policy_.saturation;
}

Answer Dispatcher::Arrive(Arrival arrival, TimePoint now) {
  if (!has_lane(arrival.lane)) {  // The caller's table is older than ours.
    Answer answer;
    answer.refusal = Refusal::kNoReplica;
    answer.retry_after = kRetryMin;
    return answer;
  }
  Lane& lane = *lanes_[arrival.lane];
  const Estimate estimate = lane.estimator.Guess(arrival.size, lane.policy);
  const bool queues = lane.policy.overload == Overload::kQueue;
  const bool cold = is_cold();
  if (replicas_.ready() == 0 && !cold) {
    return Refuse(lane, Refusal::kNoReplica, kRetryMin, estimate.cost);
  }
  const Lane::Answer answer = lane.Check(estimate.cost, now);
  const bool over_cap = answer.refusal == Refusal::kCap || answer.refusal == Refusal::kUtilization;
  if (answer.refusal != Refusal::kNone && !(over_cap && queues)) {
    return Refuse(lane, answer.refusal, answer.retry_after, estimate.cost);
  }
  // A line is kept: who comes later does not overtake those that wait for the ceiling.
  const bool must_wait = over_cap || !lane.line.empty();
  const Colour colour =
      !must_wait && lane.IsWithinGuarantee(estimate.cost, now) ? Colour::kGreen : Colour::kYellow;
  const bool at_once = !must_wait && !cold && MayStartAtOnce(lane, colour, now);
  if (cold && waiting_.size() >= policy_.cold_start_queue_max) {
    return Refuse(lane, Refusal::kQueueFull, kRetryMin, estimate.cost);
  }
  if (!at_once && !cold && !queues && colour == Colour::kYellow) {
    return Refuse(lane, Refusal::kNoRoom, DrainTime(lane), estimate.cost);
  }
  if (!at_once && lane.waiting >= policy_.queue_max) {
    return Refuse(lane, Refusal::kQueueFull, DrainTime(lane), estimate.cost);
  }
  std::int64_t quota_tokens = 0;
  if (lane.policy.quota) {
    quota_tokens = QuotaMeter::TokensOf(arrival.size, estimate.input_tokens);
    lane.quota.Take(quota_tokens, now);
  }
  offered_ += estimate.cost;
  budget_.OnRequest();
  if (!must_wait) lane.cap.Take(estimate.cost, now);
  if (!at_once) return Enqueue(std::move(arrival), estimate, quota_tokens, !must_wait, now);
  const auto replica = replicas_.Choose(arrival.prefix, {}, now);
  CHECK(replica, "a set with room answers");
  Answer started;
  started.kind = Answer::Kind::kStart;
  started.grant = Start(arrival, estimate, colour, quota_tokens, *replica, now);
  if (colour == Colour::kGreen) started.grant.deadline = now + lane.policy.ttft_target;
  return started;
}

Answer Dispatcher::Enqueue(Arrival arrival, const Estimate& estimate, std::int64_t quota_tokens,
                           bool capped, TimePoint now) {
  const RequestId id = next_id_++;
  const LaneId lane_id = arrival.lane;
  Lane& lane = *lanes_[lane_id];
  queued_ += estimate.cost;
  ++lane.waiting;
  if (lane.line.empty()) Activate(lane_id);
  lane.line.push_back(id);
  waiting_.emplace(id, Waiting{.arrival = std::move(arrival),
                               .estimate = estimate,
                               .quota_tokens = quota_tokens,
                               .capped = capped});
  Pump(now);
  Answer answer;
  answer.kind = Answer::Kind::kQueue;
  answer.id = id;
  return answer;
}

// A lane that was idle begins where the others are: it neither owes for the past nor has saved up.
void Dispatcher::Activate(LaneId id) {
  Lane& lane = *lanes_[id];
  double floor = virtual_floor_;
  if (!active_.empty()) {
    const auto share = [this](LaneId other) { return lanes_[other]->virtual_share(); };
    floor = share(*std::ranges::min_element(active_, {}, share));
  }
  lane.virtual_cost = std::max(lane.virtual_cost, floor * lane.policy.weight);
  active_.push_back(id);
}

Grant Dispatcher::Start(Arrival& arrival, const Estimate& estimate, Colour colour,
                        std::int64_t quota_tokens, std::uint64_t replica, TimePoint now) {
  Lane& lane = *lanes_[arrival.lane];
  ++lane.running;
  if (colour == Colour::kGreen) {
    lane.guarantee.Take(estimate.cost, now);
    ++lane.counts.green;
    green_.Started(arrival.lane, estimate.cost / std::max(lane.policy.guarantee_per_s, 1e-6));
  } else {
    lane.virtual_cost += estimate.cost;
    virtual_floor_ = std::max(virtual_floor_, lane.virtual_share());
    ++lane.counts.yellow;
  }
  replicas_.Begin(replica, estimate.cost, arrival.prefix, now);
  const auto prompt = static_cast<double>(estimate.input_tokens);
  replicas_.AddPrompt(replica, prompt, arrival.size.streams, now);
  Grant grant;
  if (arrival.size.streams && replicas_.bounds_prompts()) grant.unread = prompt;
  grant.lane = arrival.lane;
  grant.replica = replica;
  grant.colour = colour;
  grant.estimate = estimate;
  grant.charged = estimate.cost;
  grant.quota_tokens = quota_tokens;
  grant.started_at = now;
  grant.size = arrival.size;
  grant.held = true;
  return grant;
}

bool Dispatcher::Leave(RequestId id, Refusal refusal, TimePoint now) {
  const auto found = waiting_.find(id);
  if (found == waiting_.end()) return false;
  const Waiting& waiting = found->second;
  const LaneId lane_id = waiting.arrival.lane;
  Lane& lane = *lanes_[lane_id];
  const double cost = waiting.estimate.cost;
  if (waiting.capped) lane.cap.Give(cost, now);
  if (waiting.green) {
    lane.guarantee.Give(cost, now);
    green_.Remove(lane_id, id);
  }
  if (lane.policy.quota) {
    // It was admitted once: only a quota that releases gives it back.
    lane.quota.Finish(*lane.policy.quota, waiting.quota_tokens, 0, now, now);
  }
  queued_ -= cost;
  --lane.waiting;
  if (refusal != Refusal::kNone) {
    ++lane.counts.refused[static_cast<std::size_t>(refusal)];
    refused_ += cost;
  }
  waiting_.erase(found);
  if (HeadOf(lane) == nullptr) std::erase(active_, lane_id);
  DropIdle(lane_id);
  Pump(now);
  return true;
}

void Dispatcher::Progress(Grant& grant, double cost, TimePoint now) {
  if (!grant.held || cost <= grant.charged) return;
  Lane& lane = *lanes_[grant.lane];
  const double more = cost - grant.charged;
  grant.charged = cost;
  lane.cap.Take(more, now);
  if (grant.colour == Colour::kGreen) {
    lane.guarantee.Take(more, now);
  } else {
    lane.virtual_cost += more;
  }
  replicas_.Adjust(grant.replica, more);
}

void Dispatcher::Begun(Grant& grant, TimePoint now) {
  if (grant.unread == 0) return;
  replicas_.Read(grant.replica, std::exchange(grant.unread, 0), now);
  Pump(now);
}

void Dispatcher::Finish(Grant grant, const Ending& ending, TimePoint now) {
  if (!grant.held) return;
  const LaneId lane_id = grant.lane;
  Lane& lane = *lanes_[lane_id];
  const TokenCounts actual = ending.actual.value_or(TokenCounts{});
  const double cost = Cost(actual, lane.policy.weights);
  const double unused = grant.charged - cost;  // Negative: more was consumed than was charged.
  lane.cap.Give(unused, now);
  if (grant.colour == Colour::kGreen) {
    lane.guarantee.Give(unused, now);
  } else {
    lane.virtual_cost -= unused;
  }
  if (lane.policy.quota) {
    lane.quota.Finish(*lane.policy.quota, grant.quota_tokens, actual.input + actual.output,
                      grant.started_at, now);
  }
  if (ending.whole && ending.actual) {
    lane.estimator.Learn(grant.size, actual);
    lane.estimator.LearnTime(grant.size, actual, now - grant.started_at);
  }
  offered_ += std::max(0.0, cost - grant.estimate.cost);
  served_ += cost;
  replicas_.Read(grant.replica, grant.unread, now);
  replicas_.End(grant.replica, grant.charged, ending.fate, now);
  --lane.running;
  DropIdle(lane_id);
  Pump(now);
}

std::int64_t Dispatcher::OutputWithin(const Grant& grant, Duration elapsed) const {
  if (!grant.size.generates) return 0;
  const Lane& lane = *lanes_[grant.lane];
  double per_s = lane.estimator.output_tokens_per_s();
  if (per_s <= 0 && policy_.replica_concurrency > 0) {
    per_s = policy_.replica_cost_per_s / policy_.replica_concurrency /
            std::max(lane.policy.weights.output, 1e-6);
  }
  if (per_s <= 0) per_s = CostEstimator::kOutputTokensPerS;
  constexpr std::int64_t kTokensMax = 1 << 20;  // Where the request names no limit.
  const auto limit = static_cast<double>(grant.size.tokens_max.value_or(kTokensMax));
  const double one = std::min(per_s * std::max(0.0, Seconds(elapsed)), limit);
  return static_cast<std::int64_t>(one) * std::max<std::int64_t>(1, grant.size.choices);
}

bool Dispatcher::Retry(Grant& grant, std::span<const std::uint64_t> tried, ReplicaSet::Fate fate,
                       TimePoint now) {
  const auto replica = replicas_.Choose({}, tried, now);
  if (!replica) return false;
  if (!budget_.Take()) {
    ++retries_refused_;
    return false;
  }
  ++retries_;
  replicas_.Read(grant.replica, grant.unread, now);
  replicas_.End(grant.replica, grant.charged, fate, now);
  replicas_.Begin(*replica, grant.charged, {}, now);
  if (grant.unread > 0) replicas_.AddPrompt(*replica, grant.unread, true, now);
  grant.replica = *replica;
  return true;
}

}  // namespace penstock::policy
