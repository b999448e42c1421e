// A simulation's fleet: replicas that start, work, scale, fail and stop.
#include "plan/sim_run.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace penstock::plan::sim {
namespace {

// Blocks that a replica keeps. Without a word of it, what its places may hold: a context of 4,096
// tokens each.
std::size_t CacheBlocks(const Scenario& scenario) {
  int block_tokens = 0;
  for (const SimTenant& tenant : scenario.tenants) {
    block_tokens = std::max(block_tokens, tenant.block_tokens);
  }
  if (block_tokens == 0) return 0;
  constexpr std::int64_t kContextTokens = 4096;
  std::int64_t tokens = scenario.fleet.prefix_cache_tokens;
  if (tokens == 0) tokens = kContextTokens * std::max(1, scenario.fleet.pool.replica_concurrency);
  return static_cast<std::size_t>(tokens / block_tokens);
}

}  // namespace

void Run::StartReplicas(int count, bool at_once) {
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = next_replica_++;
    Running running{.replica = SimReplica(scenario_.fleet.step),
                    .prefixes = SimPrefixCache(CacheBlocks(scenario_)),
                    .ready = at_once,
                    .started_at = now_,
                    .ready_at = now_};
    replicas_.emplace(id, std::move(running));
    replica_ids_.push_back(id);
    ++wanted_;
    if (!at_once) Plan(now_ + scenario_.fleet.start_s, EventKind::kReady, id);
  }
  if (at_once) Publish();
}

// Tells the dispatcher which replicas there are.
void Run::Publish() {
  std::vector<policy::ReplicaRoute> routes;
  for (const std::uint64_t id : replica_ids_) {
    const Running& running = replicas_.at(id);
    if (!running.ready) continue;
    routes.push_back({.id = id,
                      .address = {},
                      .state = running.draining ? policy::ReplicaState::kDraining
                                                : policy::ReplicaState::kReady});
  }
  policy::PoolPolicy pool = scenario_.fleet.pool;
  if (scenario_.policy == SimPolicy::kFifo) pool.saturation = 1;
  dispatcher_.Configure(pool, routes, At(now_));
  dispatcher_.Pump(At(now_));
  TakeStarted();
}

void Run::Schedule(std::uint64_t id, Running& running) {
  ++running.version;
  const double next = running.replica.NextEvent();
  if (next < SimReplica::kNever) Plan(next, EventKind::kReplica, id, running.version);
}

void Run::OnReplica(const Event& event) {
  const auto found = replicas_.find(event.replica);
  if (found == replicas_.end() || found->second.version != event.version) return;
  happened_.clear();
  found->second.replica.Advance(happened_);
  // A copy, for what ends may start another request there.
  const std::vector<SimReplica::Happening> happened = std::exchange(happened_, {});
  for (const SimReplica::Happening& happening : happened) {
    if (happening.is_end) {
      Finish(happening.request, true, policy::ReplicaSet::Fate::kGood);
      continue;
    }
    Live& live = live_[happening.request];
    TenantOutcome& outcome = outcome_.tenants[live.tenant];
    live.first_token_at = now_;
    dispatcher_.Begun(live.grant, At(now_));
    outcome.ttft_us.Add(Micros(now_ - live.arrived_at));
    if (now_ - live.arrived_at <= scenario_.ttft_target_s) ++outcome.in_time;
  }
  TakeStarted();
  Schedule(event.replica, replicas_.at(event.replica));
  if (found->second.draining && found->second.replica.idle()) CloseReplica(event.replica);
}

void Run::CloseReplica(std::uint64_t id) {
  const Running& running = replicas_.at(id);
  busy_s_ += running.replica.busy_s();
  lived_s_ += now_ - running.started_at;
  replicas_.erase(id);
  std::erase(replica_ids_, id);
  Publish();
}

// The newest ones first; those that are starting before those that serve.
void Run::StopReplicas(int count) {
  for (auto at = replica_ids_.rbegin(); at != replica_ids_.rend() && count > 0; ++at) {
    Running& running = replicas_.at(*at);
    if (running.draining) continue;
    Drain(running);
    --count;
  }
  Publish();
  const std::vector<std::uint64_t> ids = replica_ids_;
  for (const std::uint64_t id : ids) {
    if (replicas_.at(id).draining && replicas_.at(id).replica.idle()) CloseReplica(id);
  }
}

void Run::Drain(Running& running) {
  running.draining = true;
  --wanted_;
}

// Replicas that serve: those that have served for a while, and new ones.
std::pair<int, int> Run::WarmAndCold() const {
  constexpr double kColdSeconds = 60;
  std::pair<int, int> count;
  for (const std::uint64_t id : replica_ids_) {
    const Running& running = replicas_.at(id);
    if (!running.ready || running.draining) continue;
    const bool warm = now_ - running.ready_at > kColdSeconds || running.ready_at == 0;
    ++(warm ? count.first : count.second);
  }
  return count;
}

void Run::Scale(int warm, int cold) {
  const SimFleet& fleet = scenario_.fleet;
  autoscaler_.Observe(At(now_), {.load = dispatcher_.load(), .warm = warm, .cold = cold});
  policy::AutoscaleState state{.replicas = wanted_,
                               .ready = warm + cold,
                               .minimum = fleet.replicas_min,
                               .maximum = fleet.replicas_max,
                               .start_time = Duration(std::llround(fleet.start_s * 1e9))};
  for (const SimTenant& tenant : scenario_.tenants) {
    state.guaranteed_cost_per_s += tenant.lane.guarantee_per_s;
  }
  if (fleet.pool.replica_cost_per_s > 0) state.replica_cost_per_s = fleet.pool.replica_cost_per_s;
  policy::AutoscaleDecision decision = autoscaler_.Decide(At(now_), state);
  const int change = decision.replicas - wanted_;
  if (change > 0) StartReplicas(change, false);
  if (change < 0) StopReplicas(-change);
  if (change != 0) outcome_.decisions.push_back(std::move(decision));
}

void Run::OnTick() {
  const SimFleet& fleet = scenario_.fleet;
  const bool scales = fleet.replicas_max > fleet.replicas_min;
  const bool minute_ends = std::fmod(now_, kMinute) < kTickSeconds / 2;
  std::pair<int, int> serving;
  if (scales || minute_ends) serving = WarmAndCold();
  if (scales) {
    Scale(serving.first, serving.second);
  } else if (wanted_ < fleet.replicas_min) {
    StartReplicas(fleet.replicas_min - wanted_, false);
  }
  if (!minute_ends) return;
  outcome_.minutes.push_back({.replicas = static_cast<double>(serving.first + serving.second),
                              .wanted = static_cast<double>(wanted_),
                              .offered_cost_per_s = minute_offered_ / kMinute,
                              .queued = static_cast<double>(waiting_.size())});
  minute_offered_ = 0;
}

void Run::OnFailure(const SimFailure& failure) {
  for (int i = 0; i < failure.replicas; ++i) {
    const auto found = std::ranges::find_if(replica_ids_, [this](std::uint64_t id) {
      return replicas_.at(id).ready && !replicas_.at(id).draining;
    });
    if (found == replica_ids_.end()) return;
    const std::uint64_t id = *found;
    Running& running = replicas_.at(id);
    std::vector<std::uint32_t> begun;
    std::vector<std::uint32_t> waiting;
    running.replica.Fail(now_, begun, waiting);
    Drain(running);
    Publish();
    for (const std::uint32_t request : begun) {
      Finish(request, false, policy::ReplicaSet::Fate::kFailed);
    }
    for (const std::uint32_t request : waiting) {
      if (dispatcher_.Retry(live_[request].grant, std::span(&id, 1),
                            policy::ReplicaSet::Fate::kFailed, At(now_))) {
        Send(request);
      } else {
        Finish(request, false, policy::ReplicaSet::Fate::kFailed);
      }
    }
    CloseReplica(id);
  }
}

}  // namespace penstock::plan::sim
