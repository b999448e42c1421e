#include "gateway/pool.h"

#include <type_traits>

namespace penstock::gateway {
namespace {

using Started = std::vector<std::pair<policy::RequestId, policy::Grant>>;

std::shared_ptr<const http::Origin> MakeOrigin(const std::string& text) {
  auto address = io::Address::Parse(text);
  if (!address) return nullptr;
  const bool unix_socket = address->kind == io::Address::Kind::kUnix;
  std::string host = unix_socket ? "localhost" : address->ToString();
  return std::make_shared<const http::Origin>(
      http::Origin{.address = *std::move(address), .connect = {}, .host = std::move(host)});
}

void Wake(std::vector<std::shared_ptr<PoolWaiter>> started) {
  for (std::shared_ptr<PoolWaiter>& waiter : started) {
    io::Loop& loop = waiter->loop;
    loop.Post([waiter = std::move(waiter)] { waiter->started.Set(); });
  }
}

}  // namespace

template <typename Call>
auto Pool::With(Call call) {
  std::vector<std::shared_ptr<PoolWaiter>> woken;
  const auto take_started = [this, &woken] {
    if (!dispatcher_.has_started()) return;
    for (auto& [id, grant] : dispatcher_.TakeStarted()) {
      const auto found = waiters_.find(id);
      if (found == waiters_.end()) continue;
      found->second->grant = std::move(grant);
      woken.push_back(std::move(found->second));
      waiters_.erase(found);
    }
  };
  std::unique_lock lock(mutex_);
  if constexpr (std::is_void_v<std::invoke_result_t<Call&>>) {
    call();
    take_started();
    lock.unlock();
    Wake(std::move(woken));
  } else {
    auto result = call();
    take_started();
    lock.unlock();
    Wake(std::move(woken));
    return result;
  }
}

void Pool::Configure(const policy::PoolPolicy& policy,
                     std::span<const policy::ReplicaRoute> replicas, TimePoint now) {
  std::unordered_map<std::uint64_t, Upstream> upstreams;
  std::vector<policy::ReplicaRoute> usable;
  for (const policy::ReplicaRoute& replica : replicas) {
    auto origin = MakeOrigin(replica.address);
    if (origin == nullptr) continue;
    upstreams.emplace(
        replica.id, Upstream{.origin = std::move(origin), .reads_headers = replica.reads_headers});
    usable.push_back(replica);
  }
  With([&] {
    // Those of replicas that are gone stay for the requests that are on their way there.
    upstreams_.swap(upstreams);
    dispatcher_.Configure(policy, usable, now);
    wants_prefix_ = dispatcher_.wants_prefix();
  });
}

policy::LaneId Pool::SetLane(std::string_view key, const policy::LanePolicy& policy,
                             TimePoint now) {
  return With([&] {
    const policy::LaneId id = dispatcher_.SetLane(key, policy, now);
    dispatcher_.Pump(now);
    return id;
  });
}

void Pool::RemoveLane(std::string_view key, TimePoint now) {
  With([&] {
    dispatcher_.RemoveLane(key);
    dispatcher_.Pump(now);
  });
}

bool Pool::empty() {
  const std::scoped_lock lock(mutex_);
  return dispatcher_.empty();
}

Pool::Entry Pool::Arrive(policy::Arrival arrival, io::Loop& loop, TimePoint now) {
  return With([&] {
    Entry entry;
    const policy::LaneId lane = arrival.lane;
    entry.answer = dispatcher_.Arrive(std::move(arrival), now);
    if (entry.answer.kind == policy::Answer::Kind::kQueue) {
      entry.waiter = std::make_shared<PoolWaiter>(loop);
      entry.waiter->id = entry.answer.id;
      waiters_.emplace(entry.answer.id, entry.waiter);
    }
    if (entry.answer.kind == policy::Answer::Kind::kStart) {
      entry.upstream = FindUpstream(entry.answer.grant.replica);
    }
    entry.queue_wait_max = dispatcher_.queue_wait_max();
    if (dispatcher_.is_cold()) entry.wait_refusal = policy::Refusal::kNoReplica;
    if (!dispatcher_.has_lane(lane)) return entry;
    entry.headroom = dispatcher_.lane(lane).HeadroomAt(now);
    entry.weights = dispatcher_.lane(lane).policy.weights;
    return entry;
  });
}

bool Pool::Leave(PoolWaiter& waiter, policy::Refusal refusal, TimePoint now) {
  return With([&] {
    if (!dispatcher_.Leave(waiter.id, refusal, now)) return false;
    waiters_.erase(waiter.id);
    return true;
  });
}

void Pool::Progress(policy::Grant& grant, double cost, TimePoint now) {
  if (cost <= grant.charged) return;  // Within its reservation: nobody needs to know.
  const std::scoped_lock lock(mutex_);
  dispatcher_.Progress(grant, cost, now);
}

void Pool::Begun(policy::Grant& grant, TimePoint now) {
  if (grant.unread == 0) return;  // Nobody counts it.
  With([&] { dispatcher_.Begun(grant, now); });
}

void Pool::Finish(policy::Grant grant, const policy::Ending& ending, TimePoint now) {
  With([&] { dispatcher_.Finish(std::move(grant), ending, now); });
}

std::int64_t Pool::OutputWithin(const policy::Grant& grant, Duration elapsed) {
  const std::scoped_lock lock(mutex_);
  return dispatcher_.OutputWithin(grant, elapsed);
}

bool Pool::Retry(policy::Grant& grant, std::span<const std::uint64_t> tried,
                 policy::ReplicaSet::Fate fate, TimePoint now) {
  return With([&] { return dispatcher_.Retry(grant, tried, fate, now); });
}

TimePoint Pool::Pump(TimePoint now) {
  return With([&] {
    dispatcher_.Pump(now);
    return dispatcher_.NextWake(now);
  });
}

Pool::Upstream Pool::UpstreamOf(std::uint64_t replica) {
  const std::scoped_lock lock(mutex_);
  return FindUpstream(replica);
}

Pool::Upstream Pool::FindUpstream(std::uint64_t replica) const {
  const auto found = upstreams_.find(replica);
  return found == upstreams_.end() ? Upstream{} : found->second;
}

policy::PoolLoad Pool::Load() {
  const std::scoped_lock lock(mutex_);
  return dispatcher_.load();
}

Pool::Counts Pool::CountsAt(TimePoint now) {
  const std::scoped_lock lock(mutex_);
  const policy::ReplicaSet& replicas = dispatcher_.replicas();
  return {.retries = dispatcher_.retries(),
          .retries_refused = dispatcher_.retries_refused(),
          .circuits_opened = replicas.circuits_opened(),
          .circuits_open = replicas.circuits_open(now),
          .waiting = dispatcher_.waiting(),
          .in_flight = replicas.in_flight(),
          .index_bytes = replicas.index_bytes(),
          .waiting_late = dispatcher_.waiting_late(),
          .prefill_ahead = replicas.PrefillAhead(now)};
}

Pool::LaneReading Pool::ReadLane(policy::LaneId id, TimePoint now) {
  const std::scoped_lock lock(mutex_);
  if (!dispatcher_.has_lane(id)) return {};
  policy::Lane& lane = dispatcher_.lane(id);
  return {.counts = lane.counts,
          .waiting = lane.waiting,
          .running = lane.running,
          .guarantee_level = lane.guarantee.Level(now),
          .cap_level = lane.cap.Level(now)};
}

}  // namespace penstock::gateway
