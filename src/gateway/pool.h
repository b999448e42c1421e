// Pool: one Dispatcher, shared by all I/O threads behind one mutex.
//
// The shell of policy/dispatcher.h: it locks, asks, and wakes those that waited, each on its own
// loop by a post. Nothing is awaited under the lock. All calls from any thread unless said
// otherwise.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "http/origin.h"
#include "io/event.h"
#include "io/loop.h"
#include "policy/dispatcher.h"
#include "policy/routing_table.h"

namespace penstock::gateway {

// A request that waits in a pool's queue. Made on its loop; the event is set there, by a post, once
// `grant` is there.
struct PoolWaiter {
  explicit PoolWaiter(io::Loop& home) : loop(home), started(home) {}
  io::Loop& loop;
  io::Event started;
  policy::RequestId id = 0;
  policy::Grant grant;
};

class Pool {
 public:
  Pool() = default;
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  void Configure(const policy::PoolPolicy& policy, std::span<const policy::ReplicaRoute> replicas,
                 TimePoint now);
  policy::LaneId SetLane(std::string_view key, const policy::LanePolicy& policy, TimePoint now);
  void RemoveLane(std::string_view key, TimePoint now);
  bool empty();

  struct Upstream {
    std::shared_ptr<const http::Origin> origin;
    bool reads_headers = false;  // See policy::ReplicaRoute.
  };

  struct Entry {
    policy::Answer answer;
    Upstream upstream;                                           // answer.kind == kStart.
    std::shared_ptr<PoolWaiter> waiter;                          // answer.kind == kQueue.
    Duration queue_wait_max{};                                   // Likewise.
    policy::Refusal wait_refusal = policy::Refusal::kQueueWait;  // What it is told after that.
    policy::Lane::Headroom headroom;                             // After it.
    policy::CostWeights weights;
  };
  Entry Arrive(policy::Arrival arrival, io::Loop& loop, TimePoint now);
  // It does not want to wait any more. False: it has started, and waiter.grant is the caller's.
  // On the waiter's loop.
  bool Leave(PoolWaiter& waiter, policy::Refusal refusal, TimePoint now);

  void Progress(policy::Grant& grant, double cost, TimePoint now);
  void Begun(policy::Grant& grant, TimePoint now);
  void Finish(policy::Grant grant, const policy::Ending& ending, TimePoint now);
  std::int64_t OutputWithin(const policy::Grant& grant, Duration elapsed);
  bool Retry(policy::Grant& grant, std::span<const std::uint64_t> tried,
             policy::ReplicaSet::Fate fate, TimePoint now);
  // Starts what time has made possible. Returns when to come again; max() for not before news.
  TimePoint Pump(TimePoint now);

  // Where a replica of this pool answers; without an origin: it is gone.
  Upstream UpstreamOf(std::uint64_t replica);
  bool wants_prefix() const { return wants_prefix_.load(std::memory_order_relaxed); }
  policy::PoolLoad Load();

  struct Counts {
    std::uint64_t retries = 0;
    std::uint64_t retries_refused = 0;
    std::uint64_t circuits_opened = 0;
    std::size_t circuits_open = 0;
    std::size_t waiting = 0;
    std::size_t in_flight = 0;
    std::size_t index_bytes = 0;
    std::size_t waiting_late = 0;  // Green ones that cannot be in time any more.
    Duration prefill_ahead{};      // Where it is shortest.
  };
  Counts CountsAt(TimePoint now);
  struct LaneReading {
    policy::LaneCounts counts;
    std::size_t waiting = 0;
    std::size_t running = 0;
    double guarantee_level = 0;
    double cap_level = 0;
  };
  LaneReading ReadLane(policy::LaneId lane, TimePoint now);

 private:
  // Runs `call` on the dispatcher under the lock, then wakes whom it started.
  template <typename Call>
  auto With(Call call);

  Upstream FindUpstream(std::uint64_t replica) const;  // Under the lock.

  std::mutex mutex_;  // Guards what follows.
  policy::Dispatcher dispatcher_;
  std::unordered_map<policy::RequestId, std::shared_ptr<PoolWaiter>> waiters_;
  std::unordered_map<std::uint64_t, Upstream> upstreams_;
  std::atomic<bool> wants_prefix_ = false;
};

}  // namespace penstock::gateway
