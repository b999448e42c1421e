// Endpoint: what was asked for, and what became of it, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "policy/capacity.h"

namespace penstock::control {

// Of an endpoint's newest configuration.
enum class UpdateState { kNotUpdating, kInProgress, kFailed };
std::string_view ToString(UpdateState state);  // NOT_UPDATING, IN_PROGRESS, UPDATE_FAILED
Result<UpdateState> ParseUpdateState(std::string_view text);

// Of one served entity.
enum class Deployment { kCreating, kReady, kRecovering, kFailed };
std::string_view ToString(Deployment deployment);  // DEPLOYMENT_CREATING, …

struct ServedEntity {
  std::string name;         // Unique in its endpoint.
  std::string entity_name;  // catalog.schema.model
  std::int64_t entity_version = 1;
  std::optional<policy::ThroughputRange> throughput;  // Without: no promise, one replica.
  std::string workload_size;                          // Kept for its reader; "" if not given.
  std::string workload_type;
  bool scale_to_zero = false;
};

struct TrafficRoute {
  std::string served_entity_name;
  int traffic_percentage = 100;
};

struct Tag {
  std::string key;
  std::string value;
};

// What a client asks for.
struct EndpointDefinition {
  std::string name;
  std::vector<ServedEntity> served_entities;  // Exactly one in this version.
  std::vector<TrafficRoute> routes;           // One per entity, percentages adding up to 100.
  std::vector<Tag> tags;
  std::string description;
};

struct Endpoint {
  std::string id;  // 32 hex digits.
  EndpointDefinition definition;
  std::int64_t config_version = 1;
  std::string creator;
  WallTime created_at{};
  WallTime updated_at{};
};

// What the reconciler knows of an endpoint at this moment.
struct EndpointStatus {
  UpdateState update = UpdateState::kInProgress;
  Deployment deployment = Deployment::kCreating;
  std::string message = {};  // For people: why it is not ready, "" if there is nothing to say.
  int replicas_ready = 0;
  int replicas_desired = 0;
  // True when it takes requests: READY.
  bool ready = false;
};

}  // namespace penstock::control
