#include "plan/simulation.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <memory>
#include <queue>
#include <unordered_map>
#include <utility>

#include "plan/sim_replica.h"
#include "policy/dispatcher.h"

namespace penstock::plan {
namespace {

constexpr double kTickSeconds = 1;  // Of the autoscaler, as in production.
constexpr double kMinute = 60;

TimePoint At(double seconds) { return TimePoint(Duration(std::llround(seconds * 1e9))); }
double SecondsOf(TimePoint at) { return Seconds(at.time_since_epoch()); }
std::uint64_t Micros(double seconds) {
  return static_cast<std::uint64_t>(std::llround(std::max(0.0, seconds) * 1e6));
}

enum class EventKind : std::uint8_t { kReplica, kReady, kTick, kWake, kFailure };

struct Event {
  double at = 0;
  std::uint64_t order = 0;  // Equal times happen in the order in which they were planned.
  EventKind kind = EventKind::kTick;
  std::uint64_t replica = 0;
  std::uint64_t version = 0;  // Of the replica; an older one is void.
  bool operator>(const Event& other) const {
    return at != other.at ? at > other.at : order > other.order;
  }
};

// A request from its arrival to its end.
struct Live {
  std::size_t tenant = 0;
  SimArrival arrival{};
  policy::Grant grant{};
  double first_token_at = -1;
};

struct Running {
  SimReplica replica;
  std::uint64_t version = 0;
  bool ready = false;
  bool draining = false;
  double started_at = 0;
  double ready_at = 0;
};

class Run {
 public:
  explicit Run(const Scenario& scenario);
  SimOutcome Go();

 private:
  void Plan(double at, EventKind kind, std::uint64_t replica = 0, std::uint64_t version = 0);
  void StartReplicas(int count, bool at_once);
  void Publish();
  void Arrive(std::size_t tenant, const SimArrival& arrival);
  void Begin(std::uint32_t id, policy::Grant grant);
  void Finish(std::uint32_t id, bool whole, policy::ReplicaSet::Fate fate);
  void Release(std::uint32_t id) { free_.push_back(id); }
  void TakeStarted();
  void ExpireQueue();
  void OnReplica(const Event& event);
  void OnTick();
  void OnFailure(const SimFailure& failure);
  void Schedule(std::uint64_t id, Running& running);
  void StopReplicas(int count);
  void PlanWake();
  int wanted() const;
  void Count(const Live& live, policy::Refusal refusal);
  double CostOf(const SimArrival& arrival, std::size_t tenant) const;
  void CloseReplica(std::uint64_t id);

  const Scenario& scenario_;
  SimOutcome outcome_;
  policy::Dispatcher dispatcher_;
  policy::Autoscaler autoscaler_;
  std::vector<policy::LaneId> lanes_;
  std::vector<std::size_t> next_;  // Of each tenant's arrivals.
  std::priority_queue<Event, std::vector<Event>, std::greater<>> events_;
  std::uint64_t order_ = 0;
  std::unordered_map<std::uint64_t, Running> replicas_;
  std::vector<std::uint64_t> replica_ids_;  // In order of their start; stable to walk.
  std::uint64_t next_replica_ = 1;
  std::vector<Live> live_;
  std::vector<std::uint32_t> free_;
  std::size_t under_way_ = 0;
  std::unordered_map<policy::RequestId, std::uint32_t> waiting_;
  std::deque<std::pair<double, policy::RequestId>> expiry_;  // All wait equally long at most.
  std::vector<SimReplica::Happening> happened_;
  double now_ = 0;
  double wake_at_ = SimReplica::kNever;
  double minute_offered_ = 0;
  double busy_s_ = 0;
  double lived_s_ = 0;
};

Run::Run(const Scenario& scenario) : scenario_(scenario), next_(scenario.tenants.size()) {
  const bool fifo = scenario.policy == SimPolicy::kFifo;
  for (std::size_t i = 0; i < scenario.tenants.size(); ++i) {
    const SimTenant& tenant = scenario.tenants[i];
    outcome_.tenants.push_back({.name = tenant.name});
    // First come, first served: one lane that nobody is promised anything of.
    policy::LanePolicy lane =
        fifo ? policy::LanePolicy{.weights = tenant.lane.weights} : tenant.lane;
    lanes_.push_back(dispatcher_.SetLane(fifo ? "all" : tenant.name, lane, At(0)));
  }
  StartReplicas(scenario.fleet.replicas_min, true);
  for (std::size_t i = 0; i < scenario.fleet.failures.size(); ++i) {
    Plan(scenario.fleet.failures[i].at_s, EventKind::kFailure, i);
  }
  Plan(kTickSeconds, EventKind::kTick);
}

void Run::Plan(double at, EventKind kind, std::uint64_t replica, std::uint64_t version) {
  events_.push({.at = at, .order = order_++, .kind = kind, .replica = replica, .version = version});
}

int Run::wanted() const {
  return static_cast<int>(std::ranges::count_if(
      replica_ids_, [this](std::uint64_t id) { return !replicas_.at(id).draining; }));
}

void Run::StartReplicas(int count, bool at_once) {
  for (int i = 0; i < count; ++i) {
    const std::uint64_t id = next_replica_++;
    Running running{.replica = SimReplica(scenario_.fleet.step, scenario_.fleet.prefill_budget),
                    .ready = at_once,
                    .started_at = now_,
                    .ready_at = now_};
    replicas_.emplace(id, std::move(running));
    replica_ids_.push_back(id);
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
  live_[id] = {.tenant = tenant, .arrival = arrival};
  policy::Arrival request{.lane = lanes_[tenant]};
  request.size.prompt_token_ids = static_cast<std::size_t>(arrival.input_tokens);
  request.size.streams = true;
  if (from.max_tokens > 0) request.size.tokens_max = from.max_tokens;
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

void Run::Begin(std::uint32_t id, policy::Grant grant) {
  Live& live = live_[id];
  outcome_.tenants[live.tenant].queue_us.Add(Micros(now_ - live.arrival.at_s));
  live.grant = std::move(grant);
  ++under_way_;
  Running& running = replicas_.at(live.grant.replica);
  running.replica.Add(id, live.arrival.input_tokens, live.arrival.output_tokens, now_);
  Schedule(live.grant.replica, running);
}

void Run::Schedule(std::uint64_t id, Running& running) {
  ++running.version;
  const double next = running.replica.NextEvent();
  if (next < SimReplica::kNever) Plan(next, EventKind::kReplica, id, running.version);
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
  const policy::TokenCounts tokens{.input = live.arrival.input_tokens,
                                   .output = live.arrival.output_tokens};
  policy::Ending ending{.whole = whole, .fate = fate};
  if (whole) {
    ending.actual = tokens;
    ++outcome.completed;
    outcome.served_cost += CostOf(live.arrival, live.tenant);
    outcome.latency_us.Add(Micros(now_ - live.arrival.at_s));
    if (live.arrival.output_tokens > 1) {
      outcome.tpot_us.Add(Micros((now_ - live.first_token_at) / (live.arrival.output_tokens - 1)));
    }
  } else {
    ++outcome.failed;
  }
  --under_way_;
  dispatcher_.Finish(std::move(live.grant), ending, At(now_));
  Release(id);
}

void Run::OnReplica(const Event& event) {
  const auto found = replicas_.find(event.replica);
  if (found == replicas_.end() || found->second.version != event.version) return;
  happened_.clear();
  found->second.replica.Advance(now_, happened_);
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
    outcome.ttft_us.Add(Micros(now_ - live.arrival.at_s));
    if (now_ - live.arrival.at_s <= scenario_.ttft_target_s) ++outcome.in_time;
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
    running.draining = true;
    --count;
  }
  Publish();
  const std::vector<std::uint64_t> ids = replica_ids_;
  for (const std::uint64_t id : ids) {
    if (replicas_.at(id).draining && replicas_.at(id).replica.idle()) CloseReplica(id);
  }
}

void Run::OnTick() {
  const SimFleet& fleet = scenario_.fleet;
  int warm = 0;
  int cold = 0;
  for (const std::uint64_t id : replica_ids_) {
    const Running& running = replicas_.at(id);
    if (!running.ready || running.draining) continue;
    ++(now_ - running.ready_at > 60 || running.ready_at == 0 ? warm : cold);
  }
  if (fleet.replicas_max > fleet.replicas_min) {
    autoscaler_.Observe(At(now_), {.load = dispatcher_.load(), .warm = warm, .cold = cold});
    policy::AutoscaleState state{.replicas = wanted(),
                                 .ready = warm + cold,
                                 .minimum = fleet.replicas_min,
                                 .maximum = fleet.replicas_max,
                                 .start_time = Duration(std::llround(fleet.start_s * 1e9))};
    for (const SimTenant& tenant : scenario_.tenants) {
      state.guaranteed_cost_per_s += tenant.lane.guarantee_per_s;
    }
    if (fleet.pool.replica_cost_per_s > 0) state.replica_cost_per_s = fleet.pool.replica_cost_per_s;
    policy::AutoscaleDecision decision = autoscaler_.Decide(At(now_), state);
    const int change = decision.replicas - wanted();
    if (change > 0) StartReplicas(change, false);
    if (change < 0) StopReplicas(-change);
    if (change != 0) outcome_.decisions.push_back(std::move(decision));
  } else if (wanted() < fleet.replicas_min) {
    StartReplicas(fleet.replicas_min - wanted(), false);
  }
  if (std::fmod(now_, kMinute) < kTickSeconds / 2) {
    outcome_.minutes.push_back({.replicas = static_cast<double>(warm + cold),
                                .wanted = static_cast<double>(wanted()),
                                .offered_cost_per_s = minute_offered_ / kMinute,
                                .queued = static_cast<double>(waiting_.size())});
    minute_offered_ = 0;
  }
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
    running.replica.Fail(begun, waiting);
    running.draining = true;
    Publish();
    for (const std::uint32_t request : begun) {
      Finish(request, false, policy::ReplicaSet::Fate::kFailed);
    }
    for (const std::uint32_t request : waiting) {
      Live& live = live_[request];
      if (dispatcher_.Retry(live.grant, std::span(&id, 1), policy::ReplicaSet::Fate::kFailed,
                            At(now_))) {
        Running& other = replicas_.at(live.grant.replica);
        other.replica.Add(request, live.arrival.input_tokens, live.arrival.output_tokens, now_);
        Schedule(live.grant.replica, other);
      } else {
        Finish(request, false, policy::ReplicaSet::Fate::kFailed);
      }
    }
    CloseReplica(id);
  }
}

// The dispatcher may start something by the passing of time alone.
void Run::PlanWake() {
  if (waiting_.empty()) return;
  double at = SecondsOf(dispatcher_.NextWake(At(now_)));
  if (!expiry_.empty()) at = std::min(at, expiry_.front().first);
  if (at >= wake_at_ || at > 1e9) return;
  wake_at_ = std::max(at, now_ + 1e-6);
  Plan(wake_at_, EventKind::kWake);
}

SimOutcome Run::Go() {
  // Arrivals of all tenants, merged as they come.
  const auto next_arrival = [this]() -> std::optional<std::size_t> {
    std::optional<std::size_t> first;
    for (std::size_t i = 0; i < scenario_.tenants.size(); ++i) {
      if (next_[i] == scenario_.tenants[i].arrivals.size()) continue;
      if (!first || scenario_.tenants[i].arrivals[next_[i]].at_s <
                        scenario_.tenants[*first].arrivals[next_[*first]].at_s) {
        first = i;
      }
    }
    return first;
  };
  for (;;) {
    const auto tenant = next_arrival();
    if (!tenant && under_way_ == 0 && waiting_.empty()) break;
    ++outcome_.events;
    if (tenant) {
      const SimArrival& arrival = scenario_.tenants[*tenant].arrivals[next_[*tenant]];
      if (arrival.at_s <= events_.top().at) {
        ++next_[*tenant];
        now_ = std::max(now_, arrival.at_s);
        Arrive(*tenant, arrival);
        PlanWake();
        continue;
      }
    }
    const Event event = events_.top();
    events_.pop();
    now_ = std::max(now_, event.at);
    switch (event.kind) {
      case EventKind::kReplica:
        OnReplica(event);
        break;
      case EventKind::kReady:
        if (const auto found = replicas_.find(event.replica); found != replicas_.end()) {
          found->second.ready = true;
          found->second.ready_at = now_;
          Publish();
        }
        break;
      case EventKind::kTick:
        OnTick();
        Plan(now_ + kTickSeconds, EventKind::kTick);
        break;
      case EventKind::kFailure:
        OnFailure(scenario_.fleet.failures[event.replica]);
        break;
      case EventKind::kWake:
        wake_at_ = SimReplica::kNever;
        dispatcher_.Pump(At(now_));
        TakeStarted();
        break;
    }
    ExpireQueue();
    PlanWake();
  }
  for (const std::uint64_t id : replica_ids_) {
    busy_s_ += replicas_.at(id).replica.busy_s();
    lived_s_ += now_ - replicas_.at(id).started_at;
  }
  for (std::size_t i = 0; i < outcome_.tenants.size(); ++i) {
    outcome_.tenants[i].guaranteed_cost = scenario_.tenants[i].lane.guarantee_per_s * now_;
  }
  outcome_.span_s = now_;
  outcome_.replica_hours = lived_s_ / 3600;
  outcome_.busy_share = lived_s_ > 0 ? busy_s_ / lived_s_ : 0;
  return std::move(outcome_);
}

}  // namespace

std::uint64_t TenantOutcome::refusals() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : refused) sum += count;
  return sum;
}

double TenantOutcome::attainment() const {
  return arrived > 0 ? static_cast<double>(in_time) / static_cast<double>(arrived) : 1;
}

SimOutcome Simulate(const Scenario& scenario) { return Run(scenario).Go(); }

}  // namespace penstock::plan
