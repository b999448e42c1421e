#include "control/scaler.h"

#include <algorithm>

namespace penstock::control {
namespace {

boost::json::object DecisionJson(WallTime at, const policy::AutoscaleDecision& decision) {
  return {{"timestamp", at.time_since_epoch().count()},
          {"rule", policy::ToString(decision.rule)},
          {"replicas_before", decision.replicas_before},
          {"replicas", decision.replicas},
          {"ready", decision.state.ready},
          {"minimum", decision.state.minimum},
          {"maximum", decision.state.maximum},
          {"floor", decision.floor},
          {"needed", decision.needed},
          {"needed_lately", decision.needed_lately},
          {"offered_cost_per_s", decision.offered_mean},
          {"offered_cost_per_s_burst", decision.offered_burst},
          {"offered_cost_per_s_long", decision.offered_long},
          {"queued_cost", decision.queued_cost},
          {"replica_cost_per_s", decision.capacity},
          {"guaranteed_cost_per_s", decision.state.guaranteed_cost_per_s},
          {"explanation", decision.Explain()}};
}

}  // namespace

std::vector<Scaled> Scaler::Tick(const std::map<std::string, PoolWant>& plan,
                                 const LoadSource& load, Reconciler& reconciler, Moment moment) {
  std::vector<Scaled> changed;
  std::erase_if(entries_, [&plan](const auto& entry) { return !plan.contains(entry.first); });
  for (const auto& [id, pool] : plan) {
    const auto entry = entries_.try_emplace(id, Entry{policy::Autoscaler(settings_), {}, {}, {}});
    Entry& own = entry.first->second;
    const PoolStatus status = reconciler.StatusOf(id, moment.now);
    own.autoscaler.Observe(moment.now, {.load = load ? load(id) : std::nullopt,
                                        .warm = status.warm,
                                        .cold = status.ready - status.warm});
    const auto& known = pool.served.calibration;
    const policy::AutoscaleDecision decision = own.autoscaler.Decide(
        moment.now, {.replicas = status.wanted,
                     .ready = status.ready,
                     .minimum = pool.first,
                     .maximum = pool.maximum,
                     .guaranteed_cost_per_s = pool.guaranteed_cost_per_s,
                     .replica_cost_per_s = known ? std::optional(known->cost_per_s) : std::nullopt,
                     .start_time = status.start_time});
    own.last = decision;
    own.last_at = moment.wall;
    if (!decision.changed()) continue;
    own.changes.emplace_front(moment.wall, decision);
    if (own.changes.size() > kDecisionsKept) own.changes.pop_back();
    reconciler.SetPool(id, decision.replicas, moment.now);
    changed.push_back({.pool = &pool, .decision = decision});
  }
  return changed;
}

boost::json::value Scaler::ExplainJson(const std::string& pool) const {
  const auto found = entries_.find(pool);
  if (found == entries_.end()) return nullptr;
  boost::json::array changes;
  for (const auto& [at, decision] : found->second.changes) {
    changes.push_back(DecisionJson(at, decision));
  }
  return boost::json::object{{"pool", pool},
                             {"now", DecisionJson(found->second.last_at, found->second.last)},
                             {"changes", std::move(changes)}};
}

}  // namespace penstock::control
