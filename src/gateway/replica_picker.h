// ReplicaPicker: which replica gets a request: the ready one with the least in flight.
//
// One per I/O thread: it knows its own thread's requests, which is enough, since each thread
// spreads evenly. Pure but for its counts.
#pragma once

#include <cstdint>
#include <span>
#include <unordered_map>

#include "policy/routing_table.h"

namespace penstock::gateway {

class ReplicaPicker {
 public:
  // The ready one of `replicas` with the least in flight, round robin among equals, leaving out
  // the ids in `tried`. nullptr: none is left. Borrowed from `replicas`.
  const policy::ReplicaRoute* Pick(std::span<const policy::ReplicaRoute> replicas,
                                   std::span<const std::uint64_t> tried);

  // One request in flight at a replica, for as long as it lives. The picker outlives it.
  class InFlight {
   public:
    InFlight(ReplicaPicker& picker, std::uint64_t replica);
    ~InFlight();
    InFlight(const InFlight&) = delete;
    InFlight& operator=(const InFlight&) = delete;

   private:
    ReplicaPicker& picker_;
    std::uint64_t replica_;
  };

 private:
  std::unordered_map<std::uint64_t, std::uint32_t> in_flight_;  // Absent: none.
  std::uint64_t turn_ = 0;
};

}  // namespace penstock::gateway
