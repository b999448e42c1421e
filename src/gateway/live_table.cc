#include "gateway/live_table.h"

#include <unordered_set>
#include <utility>

namespace penstock::gateway {

void EndpointLimits::Configure(const std::vector<policy::RateLimit>& limits) {
  const std::scoped_lock lock(mutex_);
  limiter_.Configure(limits);
  empty_ = limiter_.empty();
}

std::optional<policy::RateRefusal> EndpointLimits::Arrive(const policy::Caller& caller,
                                                          std::int64_t tokens, TimePoint now) {
  const std::scoped_lock lock(mutex_);
  auto refusal = limiter_.Arrive(caller, tokens, now);
  if (refusal) ++refused_;
  return refusal;
}

void EndpointLimits::Finish(const policy::Caller& caller, std::int64_t reserved,
                            std::int64_t actual, TimePoint now) {
  const std::scoped_lock lock(mutex_);
  limiter_.Finish(caller, reserved, actual, now);
}

policy::RateLimiter::Headroom EndpointLimits::HeadroomOf(const policy::Caller& caller,
                                                         TimePoint now) {
  const std::scoped_lock lock(mutex_);
  return limiter_.HeadroomOf(caller, now);
}

void EndpointLimits::Replay(const policy::Caller& caller, std::int64_t calls, std::int64_t tokens,
                            TimePoint at) {
  const std::scoped_lock lock(mutex_);
  limiter_.Replay(caller, calls, tokens, at);
}

std::string PoolIdOf(const policy::EndpointRoute& endpoint, const policy::ServedRoute& served) {
  return served.pool.empty() ? endpoint.id + "/" + served.name : served.pool;
}

std::shared_ptr<const LiveTable> PoolSet::Apply(const policy::RoutingTable& table, TimePoint now) {
  const std::scoped_lock lock(mutex_);
  auto live = std::make_shared<LiveTable>();
  std::unordered_set<std::string> pools;
  std::unordered_set<std::string> lanes;
  std::unordered_set<std::string> endpoints;
  for (const auto& [name, route] : table) {
    auto endpoint = std::make_shared<LiveEndpoint>();
    endpoint->route = route;
    std::shared_ptr<EndpointLimits>& limits = limits_[route->id];
    if (limits == nullptr) limits = std::make_shared<EndpointLimits>();
    limits->Configure(route->policy.rate_limits);
    endpoint->limits = limits;
    endpoints.insert(route->id);
    for (const policy::ServedRoute& served : route->served) {
      const std::string pool_id = PoolIdOf(*route, served);
      std::shared_ptr<Pool>& pool = pools_[pool_id];
      if (pool == nullptr) pool = std::make_shared<Pool>();
      if (pools.insert(pool_id).second) pool->Configure(served.pool_policy, served.replicas, now);
      // The pool is a part of the key: an entity that moves to another pool is another lane.
      const std::string key = route->id + "/" + served.name + "@" + pool_id;
      endpoint->entities.push_back({.pool = pool, .lane = pool->SetLane(key, served.lane, now)});
      lanes_[key] = pool;
      lanes.insert(key);
    }
    live->endpoints_.emplace(name, std::move(endpoint));
  }
  std::erase_if(lanes_, [&](const auto& lane) {
    if (lanes.contains(lane.first)) return false;
    lane.second->RemoveLane(lane.first, now);
    return true;
  });
  std::erase_if(pools_, [&](const auto& pool) {
    if (pools.contains(pool.first)) return false;
    pool.second->Configure({}, {}, now);
    return pool.second->empty();
  });
  std::erase_if(limits_, [&](const auto& one) { return !endpoints.contains(one.first); });
  table_ = live;
  return live;
}

std::optional<policy::PoolLoad> PoolSet::LoadOf(const std::string& id) {
  std::shared_ptr<Pool> pool;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = pools_.find(id);
    if (found == pools_.end()) return std::nullopt;
    pool = found->second;
  }
  return pool->Load();
}

void PoolSet::ForEachPool(const std::function<void(const std::string&, Pool&)>& call) {
  std::vector<std::pair<std::string, std::shared_ptr<Pool>>> pools;
  {
    const std::scoped_lock lock(mutex_);
    pools.assign(pools_.begin(), pools_.end());
  }
  for (const auto& [id, pool] : pools) call(id, *pool);
}

std::shared_ptr<const LiveTable> PoolSet::table() {
  const std::scoped_lock lock(mutex_);
  return table_;
}

}  // namespace penstock::gateway
