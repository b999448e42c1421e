// LiveTable: the routing table together with the machines that keep its contracts.
//
// PoolSet makes one of each routing table; pools, lanes and rate limits stay the same objects from
// table to table, so that what they counted is not forgotten when something else changes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "gateway/pool.h"
#include "policy/rate_limiter.h"
#include "policy/routing_table.h"

namespace penstock::gateway {

// An endpoint's rate limits, behind their own mutex.
class EndpointLimits {
 public:
  void Configure(const std::vector<policy::RateLimit>& limits);
  bool empty() const { return empty_.load(std::memory_order_relaxed); }
  std::optional<policy::RateRefusal> Arrive(const policy::Caller& caller, std::int64_t tokens,
                                            TimePoint now);
  void Finish(const policy::Caller& caller, std::int64_t reserved, std::int64_t actual,
              TimePoint now);
  policy::RateLimiter::Headroom HeadroomOf(const policy::Caller& caller, TimePoint now);
  void Replay(const policy::Caller& caller, std::int64_t calls, std::int64_t tokens, TimePoint at);
  void NoteSpillover() { ++spilled_; }
  std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }
  std::uint64_t spilled() const { return spilled_.load(std::memory_order_relaxed); }

 private:
  std::mutex mutex_;  // Guards limiter_.
  policy::RateLimiter limiter_;
  std::atomic<bool> empty_ = true;
  std::atomic<std::uint64_t> refused_ = 0;
  std::atomic<std::uint64_t> spilled_ = 0;
};

struct LiveEntity {
  std::shared_ptr<Pool> pool;
  policy::LaneId lane = 0;
};

struct LiveEndpoint {
  std::shared_ptr<const policy::EndpointRoute> route;
  std::vector<LiveEntity> entities;  // As route->served.
  std::shared_ptr<EndpointLimits> limits;
};

class LiveTable {
 public:
  // nullptr: no such endpoint.
  std::shared_ptr<const LiveEndpoint> Find(std::string_view name) const {
    const auto found = endpoints_.find(name);
    return found == endpoints_.end() ? nullptr : found->second;
  }
  auto begin() const { return endpoints_.begin(); }
  auto end() const { return endpoints_.end(); }
  std::size_t size() const { return endpoints_.size(); }

 private:
  friend class PoolSet;
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };
  std::unordered_map<std::string, std::shared_ptr<const LiveEndpoint>, Hash, std::equal_to<>>
      endpoints_;
};

// All pools of the process. Any thread; Apply() from one at a time.
class PoolSet {
 public:
  // Pools and lanes as `table` wants them. Those that it does not name any more end with their last
  // request.
  std::shared_ptr<const LiveTable> Apply(const policy::RoutingTable& table, TimePoint now);

  // What was asked of the pool with this id (ServedRoute::pool, or PoolIdOf); nullopt: unknown.
  std::optional<policy::PoolLoad> LoadOf(const std::string& pool);
  // For metrics: every pool by id; every lane as `endpoint`, `served entity`.
  void ForEachPool(const std::function<void(const std::string& id, Pool& pool)>& call);
  std::shared_ptr<const LiveTable> table();

 private:
  std::mutex mutex_;  // Guards what follows.
  std::unordered_map<std::string, std::shared_ptr<Pool>> pools_;
  std::unordered_map<std::string, std::shared_ptr<Pool>> lanes_;  // By lane key: its pool.
  std::unordered_map<std::string, std::shared_ptr<EndpointLimits>> limits_;  // By endpoint id.
  std::shared_ptr<const LiveTable> table_ = std::make_shared<const LiveTable>();
};

// The pool of a served entity that names none.
std::string PoolIdOf(const policy::EndpointRoute& endpoint, const policy::ServedRoute& served);

}  // namespace penstock::gateway
