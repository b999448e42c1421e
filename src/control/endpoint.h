// Endpoint: what was asked for, and what became of it, as plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "control/external_model.h"
#include "policy/calibration.h"
#include "policy/capacity.h"
#include "policy/endpoint_policy.h"

namespace penstock::control {

// Of an endpoint's newest configuration.
enum class UpdateState { kNotUpdating, kInProgress, kFailed };
std::string_view ToString(UpdateState state);  // NOT_UPDATING, IN_PROGRESS, UPDATE_FAILED
Result<UpdateState> ParseUpdateState(std::string_view text);

// Of one served entity.
enum class Deployment { kCreating, kReady, kRecovering, kFailed, kAborted };
std::string_view ToString(Deployment deployment);  // DEPLOYMENT_CREATING, …

struct ServedEntity {
  std::string name;         // Unique in its endpoint.
  std::string entity_name;  // catalog.schema.model; "" where `external` is.
  std::int64_t entity_version = 1;
  std::optional<policy::ThroughputRange> throughput;  // Without: no promise, one replica.
  // Of the /pt variant: one unit is one chunk. Then `throughput` follows from it.
  std::optional<std::int64_t> model_units;
  bool burst_scaling = true;  // Of the /pt variant: may scale above its units.
  std::string workload_size;  // Kept for its reader; "" if not given.
  std::string workload_type;
  bool scale_to_zero = false;
  policy::Strategy strategy = policy::Strategy::kBalanced;
  policy::Isolation isolation = policy::Isolation::kDedicated;
  policy::Overload overload = policy::Overload::kQueue;
  std::optional<ExternalModel> external = {};  // In place of a registered model.
  std::string key_file = {};  // Of its key, in the secrets' folder; "" none. Never shown.

  // What it serves, for people: the registered model's name, or the provider's.
  const std::string& model() const { return external ? external->call.name : entity_name; }
};

struct TrafficRoute {
  std::string served_entity_name;
  int traffic_percentage = 100;
};

// What requests are served with. Never empty.
struct EndpointConfig {
  std::vector<ServedEntity> served_entities;  // 1 to kServedEntitiesMax.
  std::vector<TrafficRoute> routes;           // One per entity, percentages adding up to 100.
  std::int64_t version = 1;                   // Counts the updates of an endpoint.
  WallTime started_at{};                      // When it was asked for.
  std::string auto_capture = {};              // auto_capture_config as given; "" none.
};

struct Tag {
  std::string key;
  std::string value;
};

// Who may do what, beside admins, who may do everything.
using policy::PermissionLevel;
std::string_view ToString(PermissionLevel level);  // CAN_VIEW, CAN_QUERY, CAN_MANAGE
struct Permission {
  // Which of "user_name", "group_name", "service_principal_name" names the principal.
  std::string principal_kind;
  std::string principal;
  PermissionLevel level = PermissionLevel::kQuery;
};

// What a client asks for.
struct EndpointDefinition {
  std::string name;
  std::optional<EndpointConfig> config;  // Databricks creates endpoints without one, too.
  std::vector<Tag> tags;
  std::string description;
  std::string gateway;        // As Endpoint::gateway.
  std::string notifications;  // As Endpoint::notifications.
};

// What an Azure deployment says beside its model and capacity; kept for its reader.
struct AzureDeployment {
  std::string account;  // subscriptions/…/accounts/NAME, as in its path.
  std::string sku;      // Standard, ProvisionedManaged, …
  std::int64_t capacity = 0;
  std::string model_format;
  std::string model_name;  // As the client wrote it; the served entity has the full name.
  std::string model_version;
  std::string properties;  // JSON object: the rest.
};

struct Endpoint {
  std::string id;  // 32 hex digits.
  std::string name;
  std::string description;
  std::vector<Tag> tags;
  std::vector<Permission> permissions;
  std::optional<EndpointConfig> config;   // In effect.
  std::optional<EndpointConfig> pending;  // On its way, or failed.
  UpdateState update = UpdateState::kNotUpdating;
  std::string update_message;  // Why it failed; "" otherwise.
  std::int64_t last_version = 0;
  std::string creator;
  WallTime created_at{};
  WallTime updated_at{};
  std::optional<AzureDeployment> azure;
  // JSON object of ai_gateway, rate_limits, telemetry_config and budget_policy_id, as given; ""
  // none.
  std::string gateway;
  std::string notifications;      // See control/notifications.h.
  policy::EndpointPolicy policy;  // Read from `gateway`, `config` and `azure`.
};

struct EntityStatus {
  Deployment deployment = Deployment::kCreating;
  std::string message;  // For people: why it is not ready, "" if there is nothing to say.
  int replicas_ready = 0;
  int replicas_wanted = 0;
};

// What the reconciler knows of an endpoint at this moment.
struct EndpointStatus {
  bool ready = false;  // All served entities of the configuration in effect take requests.
  std::vector<EntityStatus> config;   // As Endpoint::config has them.
  std::vector<EntityStatus> pending;  // As Endpoint::pending has them.
};

}  // namespace penstock::control
