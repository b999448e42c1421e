#include "control/endpoint_state.h"

#include <fmt/format.h>

#include <algorithm>

namespace penstock::control {
namespace {

// In effect: a pool at zero waits for demand, and is as good as ready.
EntityStatus Active(const PoolView& pool) {
  EntityStatus status{.message = pool.status.message,
                      .replicas_ready = pool.status.ready,
                      .replicas_wanted = pool.status.wanted};
  const bool asleep = pool.status.wanted == 0;
  status.deployment =
      asleep || pool.status.ready > 0 ? Deployment::kReady : Deployment::kRecovering;
  if (asleep) status.message = "Scaled to zero: the next request starts a replica.";
  return status;
}

bool IsThere(const PoolView& pool) { return pool.status.ready >= std::max(1, pool.first); }

}  // namespace

EndpointStatus StatusOf(const Endpoint& endpoint, const PoolLookup& pools) {
  EndpointStatus status;
  if (endpoint.config) {
    status.ready = true;
    for (const ServedEntity& entity : endpoint.config->served_entities) {
      status.config.push_back(Active(pools(entity)));
      if (status.config.back().deployment != Deployment::kReady) status.ready = false;
    }
  }
  if (!endpoint.pending) return status;
  const bool failed = endpoint.update == UpdateState::kFailed;
  // Given up: nothing of it runs, unless there is nothing else to serve.
  const bool given_up = failed && endpoint.config.has_value();
  for (const ServedEntity& entity : endpoint.pending->served_entities) {
    const PoolView pool = pools(entity);
    EntityStatus one{.message = pool.status.message,
                     .replicas_ready = pool.status.ready,
                     .replicas_wanted = pool.status.wanted};
    const bool there = IsThere(pool);
    one.deployment = there ? Deployment::kReady : Deployment::kCreating;
    // What would have come up but for another one's failure was aborted.
    if (failed && !there) one.deployment = Deployment::kFailed;
    if (failed && there) one.deployment = Deployment::kAborted;
    if (given_up) one.message = endpoint.update_message;
    status.pending.push_back(std::move(one));
  }
  return status;
}

UpdateDecision DecideUpdate(const Endpoint& endpoint, const PoolLookup& pools, Duration waited,
                            const UpdateLimits& limits) {
  if (!endpoint.pending) return {};
  const bool given_up = endpoint.update == UpdateState::kFailed && endpoint.config.has_value();
  if (given_up) return {};
  bool all = true;
  std::string missing;
  std::string crashing;
  std::string no_capacity;
  for (const ServedEntity& entity : endpoint.pending->served_entities) {
    const PoolView pool = pools(entity);
    if (IsThere(pool)) continue;
    all = false;
    missing = fmt::format("{}: {} of {} replicas ready", entity.name, pool.status.ready,
                          std::max(1, pool.first));
    if (pool.status.failures >= limits.start_attempts_max) crashing = pool.status.message;
    if (!pool.status.no_capacity.empty()) no_capacity = pool.status.no_capacity;
  }
  if (all) return {.step = UpdateStep::kApply, .message = {}};
  if (endpoint.update == UpdateState::kFailed) return {};  // Attempts go on all the same.
  if (!crashing.empty()) return {.step = UpdateStep::kFail, .message = crashing};
  if (waited < limits.update_max) return {};
  const double after = Seconds(limits.update_max);
  return {.step = UpdateStep::kFail,
          .message = no_capacity.empty()
                         ? fmt::format("Not ready within {:g} s: {}.", after, missing)
                         : fmt::format("RESOURCE_EXHAUSTED: no capacity within {:g} s: {}.", after,
                                       no_capacity)};
}

}  // namespace penstock::control
