#include "plan/simulation.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "plan/sim_run.h"

namespace penstock::plan {
namespace sim {

TimePoint At(double seconds) { return TimePoint(Duration(std::llround(seconds * 1e9))); }
std::uint64_t Micros(double seconds) {
  return static_cast<std::uint64_t>(std::llround(std::max(0.0, seconds) * 1e6));
}

namespace {
double SecondsOf(TimePoint at) { return Seconds(at.time_since_epoch()); }
}  // namespace

Run::Run(const Scenario& scenario) : scenario_(scenario), sources_(scenario.tenants.size()) {
  const bool fifo = scenario.policy == SimPolicy::kFifo;
  for (std::size_t i = 0; i < scenario.tenants.size(); ++i) {
    const SimTenant& tenant = scenario.tenants[i];
    outcome_.tenants.push_back({.name = tenant.name});
    if (tenant.users > 0 && !tenant.arrivals.empty()) {
      sources_[i].due.assign(static_cast<std::size_t>(tenant.users), tenant.arrivals.front().at_s);
    }
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

// The dispatcher may start something by the passing of time alone.
void Run::PlanWake() {
  if (waiting_.empty()) return;
  double at = SecondsOf(dispatcher_.NextWake(At(now_)));
  if (!expiry_.empty()) at = std::min(at, expiry_.front().first);
  if (at >= wake_at_ || at > 1e9) return;
  wake_at_ = std::max(at, now_ + 1e-6);
  Plan(wake_at_, EventKind::kWake);
}

// When the tenant's next request comes; never, as far as is known, after the last, or while each of
// its users waits for an answer.
double Run::DueOf(std::size_t tenant) const {
  if (tenant >= scenario_.tenants.size()) return SimReplica::kNever;
  const SimTenant& from = scenario_.tenants[tenant];
  const Source& source = sources_[tenant];
  if (source.next == from.arrivals.size()) return SimReplica::kNever;
  if (from.users == 0) return from.arrivals[source.next].at_s;
  return source.due.empty() ? SimReplica::kNever : source.due.front();
}

// The tenant whose request is next; of those that come at once, the first.
std::size_t Run::NextArrival() const {
  std::size_t first = 0;
  double due = DueOf(0);
  for (std::size_t i = 1; i < scenario_.tenants.size(); ++i) {
    const double other = DueOf(i);
    if (other < due) {
      first = i;
      due = other;
    }
  }
  return first;
}

void Run::ArriveNext(std::size_t tenant) {
  Source& source = sources_[tenant];
  now_ = std::max(now_, DueOf(tenant));
  if (!source.due.empty()) source.due.pop_front();
  Arrive(tenant, scenario_.tenants[tenant].arrivals[source.next++]);
}

void Run::Handle(const Event& event) {
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
}

void Run::Sum() {
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
}

SimOutcome Run::Go() {
  for (;;) {
    const std::size_t tenant = NextArrival();
    const double due = DueOf(tenant);
    if (due == SimReplica::kNever && under_way_ == 0 && waiting_.empty()) break;
    ++outcome_.events;
    if (due <= events_.top().at) {
      ArriveNext(tenant);
      PlanWake();
      continue;
    }
    const Event event = events_.top();
    events_.pop();
    now_ = std::max(now_, event.at);
    Handle(event);
    ExpireQueue();
    PlanWake();
  }
  Sum();
  return std::move(outcome_);
}

}  // namespace sim

std::uint64_t TenantOutcome::refusals() const {
  std::uint64_t sum = 0;
  for (const std::uint64_t count : refused) sum += count;
  return sum;
}

double TenantOutcome::attainment() const {
  return arrived > 0 ? static_cast<double>(in_time) / static_cast<double>(arrived) : 1;
}

double TenantOutcome::delivered() const {
  const double due = std::min(guaranteed_cost, offered_cost);
  return due > 0 ? std::min(1.0, served_cost / due) : 1;
}

SimOutcome Simulate(const Scenario& scenario) { return sim::Run(scenario).Go(); }

}  // namespace penstock::plan
