#include "gateway/replica_picker.h"

#include <algorithm>

namespace penstock::gateway {

const policy::ReplicaRoute* ReplicaPicker::Pick(std::span<const policy::ReplicaRoute> replicas,
                                                std::span<const std::uint64_t> tried) {
  const std::size_t count = replicas.size();
  const policy::ReplicaRoute* best = nullptr;
  std::uint32_t best_load = 0;
  ++turn_;
  for (std::size_t i = 0; i < count; ++i) {
    const policy::ReplicaRoute& replica = replicas[(turn_ + i) % count];
    if (replica.state != policy::ReplicaState::kReady) continue;
    if (std::ranges::find(tried, replica.id) != tried.end()) continue;
    const auto found = in_flight_.find(replica.id);
    const std::uint32_t load = found == in_flight_.end() ? 0 : found->second;
    if (best == nullptr || load < best_load) {
      best = &replica;
      best_load = load;
    }
  }
  return best;
}

ReplicaPicker::InFlight::InFlight(ReplicaPicker& picker, std::uint64_t replica)
    : picker_(picker), replica_(replica) {
  ++picker_.in_flight_[replica_];
}

ReplicaPicker::InFlight::~InFlight() {
  const auto found = picker_.in_flight_.find(replica_);
  if (--found->second == 0) picker_.in_flight_.erase(found);
}

}  // namespace penstock::gateway
