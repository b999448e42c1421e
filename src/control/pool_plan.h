// PoolPlan: which pools of replicas the endpoints need, and how large each may be.
//
// Pure: from all endpoints and what is known of their models to one want per pool. An endpoint's
// configuration in effect and the one on its way both count, so that the old one serves until the
// new one is ready.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "control/endpoint.h"
#include "policy/calibration.h"

namespace penstock::control {

// What the catalog knows of a model version.
struct ServedModel {
  std::string source;  // Path of the model file, or the URL of a server.
  std::string task;    // llm/v1/chat, …
  std::int64_t size_bytes = 0;
  std::int64_t memory_bytes = 0;  // What a replica of it takes; 0: unknown.
  std::optional<policy::Calibration> calibration;
  std::int64_t context_tokens = 0;            // Of the model; 0: unknown.
  std::string system_prompt = {};             // For chats whose client sent none.
  std::optional<ExternalCall> external = {};  // `source` is its URL.
};
using ModelLookup = std::function<Result<ServedModel>(const ServedEntity& entity)>;

struct PoolWant {
  std::string id;     // 16 hex digits: the same for the same model version and owner.
  std::string label;  // Of logs and messages: the endpoint's name, or the model's where shared.
  std::string model;  // As ServedEntity::model().
  std::int64_t version = 1;  // 0: of an external model, which has none.
  ServedModel served;
  int minimum = 1;  // Replicas. 0: may scale to zero.
  int maximum = 1;
  int first = 1;  // Replicas that a new configuration needs before it is in effect.
  double guaranteed_cost_per_s = 0;  // The sum of the floors.
  double ceiling_cost_per_s = 0;     // The sum of the ceilings.
  policy::Strategy strategy = policy::Strategy::kBalanced;
  std::vector<std::string> endpoints;  // Names of those that use it.
};

// The pool that serves `entity` of the endpoint with this id.
std::string PoolIdOf(const std::string& endpoint_id, const ServedEntity& entity);

// Names of the endpoint's served entities, in effect or on their way, that the pool serves.
std::set<std::string> EntitiesOfPool(const Endpoint& endpoint, const std::string& pool);

// What the log of a pool's replica at `place` is called, without ".log" behind it.
std::string LogNameOf(const PoolWant& pool, int place);
// The other way round, of a file's name with ".log" or ".log.1" behind it: the pool's label, which
// may have dots, too.
std::string LabelOfLog(std::string_view file);

// What `entity` needs alone. Without a calibration nobody knows what a replica can do: one.
struct EntityNeed {
  int minimum = 1;
  int maximum = 1;
  double guaranteed_cost_per_s = 0;
  double ceiling_cost_per_s = 0;
};
EntityNeed NeedOf(const ServedEntity& entity, const std::optional<policy::Calibration>& known);

// Adds what `endpoint` needs to `plan`. Errors: of the look-up.
Status AddToPlan(const Endpoint& endpoint, const ModelLookup& models,
                 std::map<std::string, PoolWant>& plan);
// Replicas from the sums; once, after the last AddToPlan().
void FinishPlan(std::map<std::string, PoolWant>& plan);

// Tokens/s at the reference workload that `replicas` of the entity's pool are sold as: whole
// chunks, within the entity's range; 0 without replicas. What billing and `explain` call the level.
std::int64_t LevelOf(const ServedEntity& entity, int replicas,
                     const std::optional<policy::Calibration>& known);

}  // namespace penstock::control
