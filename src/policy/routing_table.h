// RoutingTable: which replicas answer for which endpoint, as one immutable snapshot.
//
// The control thread builds a new one for every change and publishes it as
// shared_ptr<const RoutingTable>; the request path reads it without a lock. A request keeps the
// EndpointRoute that it found alive for as long as it needs it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "policy/capacity.h"
#include "policy/endpoint_policy.h"

namespace penstock::policy {

enum class ReplicaState {
  kReady,     // Healthy: takes requests.
  kDraining,  // Finishes what it has; must get nothing new.
};

struct ReplicaRoute {
  std::uint64_t id = 0;  // Never used again for another replica of this process.
  std::string address;   // What io::Address parses: "unix:/….sock" or "127.0.0.1:8080".
  ReplicaState state = ReplicaState::kReady;
  // A `penstock engine`: it is told what api/replica_headers.h defines. Nobody else is.
  bool reads_headers = false;
};

// One served entity of an endpoint: a model version, its replicas, and its contract with them.
struct ServedRoute {
  std::string name;   // Answered in the header `served-model-name`.
  std::string model;  // catalog.schema.model
  std::int64_t model_version = 0;
  std::string task;                 // "llm/v1/chat", …; "": whatever its replicas answer.
  std::int64_t context_tokens = 0;  // Prompt and answer together, at most; 0: unknown.
  int traffic_percentage = 100;     // Of the endpoint's requests; 0: only as a fallback.
  ThroughputRange range;            // maximum 0: no promise, no ceiling.
  // Served entities of the same pool share its replicas, and must name the same ones and the same
  // pool_policy. "": a pool of its own.
  std::string pool;
  PoolPolicy pool_policy;
  LanePolicy lane;
  std::vector<ReplicaRoute> replicas;  // Empty while none is ready.
};

struct EndpointRoute {
  std::string id;    // 32 hex digits: stays the same for the life of the endpoint.
  std::string name;  // What clients call.
  WallTime created_at{};
  EndpointPolicy policy;
  std::vector<ServedRoute> served;  // At least one; in the order in which fallbacks are tried.
};

class RoutingTable {
 public:
  RoutingTable() = default;

  // nullptr: no such endpoint. An endpoint that exists without a ready replica is found, and empty.
  std::shared_ptr<const EndpointRoute> Find(std::string_view name) const {
    const auto found = endpoints_.find(name);
    return found == endpoints_.end() ? nullptr : found->second;
  }

  // For building, before it is published. Replaces a route of the same name.
  void Add(EndpointRoute route) {
    std::string name = route.name;
    endpoints_.insert_or_assign(std::move(name),
                                std::make_shared<const EndpointRoute>(std::move(route)));
  }

  // In no particular order; for listings and metrics.
  auto begin() const { return endpoints_.begin(); }
  auto end() const { return endpoints_.end(); }
  std::size_t size() const { return endpoints_.size(); }

 private:
  // Lets a string_view be looked up without making a string.
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view name) const {
      return std::hash<std::string_view>{}(name);
    }
  };
  std::unordered_map<std::string, std::shared_ptr<const EndpointRoute>, Hash, std::equal_to<>>
      endpoints_;
};

}  // namespace penstock::policy
