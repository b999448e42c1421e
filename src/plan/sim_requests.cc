// A simulation's requests: from arrival over the dispatcher to a replica, and to their end.
#include "plan/sim_run.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "policy/prompt_hash.h"

namespace penstock::plan::sim {
namespace {

// Hash i stands for everything up to the end of block i, of this tenant.
std::vector<std::uint64_t> ChainOf(const std::vector<std::int64_t>& blocks, std::size_t tenant) {
  std::vector<std::uint64_t> chain;
  chain.reserve(blocks.size());
  std::uint64_t hash = tenant;
  for (const std::int64_t block : blocks) {
    hash = policy::HashBytes({reinterpret_cast<const char*>(&block), sizeof(block)}, hash);
    chain.push_back(hash);
  }
  return chain;
}

}  // namespace

double Run::CostOf(const SimArrival& arrival, std::size_t tenant) const {
  return policy::Cost({.input = arrival.input_tokens, .output = arrival.output_tokens},
                      scenario_.tenants[tenant].lane.weights);
}

void Run::Count(const Live& live, policy::Refusal refusal) {
  ++outcome_.tenants[live.tenant].refused[static_cast<std::size_t>(refusal)];
}

void Run::Arrive(std::size_t tenant, const SimArrival& arrival) {
  const SimTenant& from = scenario_.tenants[tenant];
  TenantOutcome& outcome = outcome_.tenants[tenant];
  ++outcome.arrived;
  const double cost = CostOf(arrival, tenant);
  outcome.offered_cost += cost;
  minute_offered_ += cost;
  std::uint32_t id = 0;
  if (free_.empty()) {
    id = static_cast<std::uint32_t>(live_.size());
    live_.emplace_back();
  } else {
    id = free_.back();
    free_.pop_back();
  }
  Live& live = live_[id];
  live.tenant = tenant;
  live.arrival = &arrival;
  live.arrived_at = now_;
  live.first_token_at = -1;
  live.prefix = ChainOf(arrival.blocks, tenant);
  policy::Arrival request{.lane = lanes_[tenant]};
  request.size.prompt_token_ids = static_cast<std::size_t>(arrival.input_tokens);
  request.size.streams = true;
  if (from.max_tokens > 0) request.size.tokens_max = from.max_tokens;
  if (!live.prefix.empty() && dispatcher_.wants_prefix()) {
    request.prefix = {.blocks = live.prefix,
                      .tokens_per_block = static_cast<double>(from.block_tokens)};
  }
  policy::Answer answer = dispatcher_.Arrive(std::move(request), At(now_));
  switch (answer.kind) {
    case policy::Answer::Kind::kStart:
      Begin(id, std::move(answer.grant));
      break;
    case policy::Answer::Kind::kQueue:
      waiting_[answer.id] = id;
      expiry_.emplace_back(now_ + Seconds(dispatcher_.queue_wait_max()), answer.id);
      break;
    case policy::Answer::Kind::kRefuse:
      Count(live_[id], answer.refusal);
      Release(id);
      break;
  }
  TakeStarted();
}

// The request is over, and its user, if it has one, thinks about the next.
void Run::Release(std::uint32_t id) {
  free_.push_back(id);
  const std::size_t tenant = live_[id].tenant;
  const SimTenant& from = scenario_.tenants[tenant];
  if (from.users > 0) sources_[tenant].due.push_back(now_ + from.think_s);
}

void Run::Begin(std::uint32_t id, policy::Grant grant) {
  Live& live = live_[id];
  outcome_.tenants[live.tenant].queue_us.Add(Micros(now_ - live.arrived_at));
  live.grant = std::move(grant);
  ++under_way_;
  Send(id);
}

// To the replica of its grant.
void Run::Send(std::uint32_t id) {
  Live& live = live_[id];
  Running& running = replicas_.at(live.grant.replica);
  const int input = live.arrival->input_tokens;
  live.cached_tokens = 0;
  if (!live.prefix.empty()) {
    const auto blocks = static_cast<std::int64_t>(running.prefixes.Use(live.prefix));
    // The last token is always computed: what comes after it is drawn from it.
    live.cached_tokens = static_cast<int>(std::max<std::int64_t>(
        0,
        std::min<std::int64_t>(blocks * scenario_.tenants[live.tenant].block_tokens, input - 1)));
  }
  TenantOutcome& outcome = outcome_.tenants[live.tenant];
  outcome.input_tokens += static_cast<std::uint64_t>(std::max(0, input));
  outcome.cached_tokens += static_cast<std::uint64_t>(live.cached_tokens);
  running.replica.Add({.id = id,
                       .input_tokens = input,
                       .output_tokens = live.arrival->output_tokens,
                       .cached_tokens = live.cached_tokens},
                      now_);
  Schedule(live.grant.replica, running);
}

void Run::TakeStarted() {
  while (dispatcher_.has_started()) {
    for (auto& [request, grant] : dispatcher_.TakeStarted()) {
      const auto found = waiting_.find(request);
      const std::uint32_t id = found->second;
      waiting_.erase(found);
      Begin(id, std::move(grant));
    }
  }
}

void Run::ExpireQueue() {
  while (!expiry_.empty() && expiry_.front().first <= now_) {
    const policy::RequestId request = expiry_.front().second;
    expiry_.pop_front();
    const auto found = waiting_.find(request);
    if (found == waiting_.end()) continue;
    if (!dispatcher_.Leave(request, policy::Refusal::kQueueWait, At(now_))) continue;
    Count(live_[found->second], policy::Refusal::kQueueWait);
    Release(found->second);
    waiting_.erase(found);
  }
}

void Run::Finish(std::uint32_t id, bool whole, policy::ReplicaSet::Fate fate) {
  Live& live = live_[id];
  TenantOutcome& outcome = outcome_.tenants[live.tenant];
  const policy::TokenCounts tokens{.input = live.arrival->input_tokens,
                                   .cached = live.cached_tokens,
                                   .output = live.arrival->output_tokens};
  policy::Ending ending{.whole = whole, .fate = fate};
  if (whole) {
    ending.actual = tokens;
    ++outcome.completed;
    outcome.served_cost += CostOf(*live.arrival, live.tenant);
    outcome.latency_us.Add(Micros(now_ - live.arrived_at));
    if (live.arrival->output_tokens > 1) {
      outcome.tpot_us.Add(Micros((now_ - live.first_token_at) / (live.arrival->output_tokens - 1)));
    }
  } else {
    ++outcome.failed;
  }
  --under_way_;
  dispatcher_.Finish(std::move(live.grant), ending, At(now_));
  Release(id);
}

}  // namespace penstock::plan::sim
