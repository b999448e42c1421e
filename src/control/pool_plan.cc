#include "control/pool_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "policy/key_table.h"

namespace penstock::control {
namespace {

constexpr std::size_t kIdDigits = 16;
constexpr int kReplicasMax = 1'000'000;  // Keeps the conversion to int defined.

int ReplicasFor(double cost_per_s, double replica_cost_per_s) {
  constexpr double kSlack = 1e-9;  // A rounding error must not cost a replica.
  const double replicas =
      std::ceil(cost_per_s / (policy::kGuaranteeShare * replica_cost_per_s) - kSlack);
  return static_cast<int>(std::clamp(replicas, 0.0, static_cast<double>(kReplicasMax)));
}

bool MayBeZero(const ServedEntity& entity) {
  return entity.throughput ? entity.throughput->minimum == 0 : entity.scale_to_zero;
}

PoolWant NewPool(const Endpoint& endpoint, const ServedEntity& entity, ServedModel served) {
  const bool shared = entity.isolation == policy::Isolation::kShared;
  PoolWant pool{.id = PoolIdOf(endpoint.id, entity),
                .label = shared ? "shared" : endpoint.name,
                .model = entity.model(),
                .version = entity.entity_version,
                .served = std::move(served),
                .minimum = 0,
                .maximum = 0,
                .first = 0,
                .strategy = entity.strategy};
  return pool;
}

// One configuration's part in a pool: entities of the same pool add up.
struct Part {
  EntityNeed sum{.minimum = 0, .maximum = 0};
};

Status AddConfig(const Endpoint& endpoint, const EndpointConfig& config, bool pending,
                 const ModelLookup& models, std::map<std::string, PoolWant>& plan,
                 std::map<std::string, Part>& parts) {
  std::map<std::string, Part> own;
  for (const ServedEntity& entity : config.served_entities) {
    const std::string id = PoolIdOf(endpoint.id, entity);
    if (!plan.contains(id)) {
      auto served = models(entity);
      if (!served) return Fail(served.error());
      plan.emplace(id, NewPool(endpoint, entity, std::move(*served)));
    }
    PoolWant& pool = plan.at(id);
    if (std::ranges::find(pool.endpoints, endpoint.name) == pool.endpoints.end()) {
      pool.endpoints.push_back(endpoint.name);
    }
    const EntityNeed need = NeedOf(entity, pool.served.calibration);
    EntityNeed& sum = own[id].sum;
    sum.minimum += need.minimum;
    sum.maximum += need.maximum;
    sum.guaranteed_cost_per_s += need.guaranteed_cost_per_s;
    sum.ceiling_cost_per_s += need.ceiling_cost_per_s;
    // Even what may go to zero starts once, so that a model that does not load is noticed.
    if (pending) pool.first = std::max(pool.first, std::max(1, need.minimum));
  }
  // Of the old and the new configuration, the larger counts: they are not served together.
  for (const auto& [id, part] : own) {
    EntityNeed& larger = parts[id].sum;
    larger.minimum = std::max(larger.minimum, part.sum.minimum);
    larger.maximum = std::max(larger.maximum, part.sum.maximum);
    larger.guaranteed_cost_per_s =
        std::max(larger.guaranteed_cost_per_s, part.sum.guaranteed_cost_per_s);
    larger.ceiling_cost_per_s = std::max(larger.ceiling_cost_per_s, part.sum.ceiling_cost_per_s);
  }
  return {};
}

}  // namespace

std::string PoolIdOf(const std::string& endpoint_id, const ServedEntity& entity) {
  const std::string owner =
      entity.isolation == policy::Isolation::kShared ? std::string("shared") : endpoint_id;
  std::string key = fmt::format("{}/{}/{}", owner, entity.entity_name, entity.entity_version);
  if (entity.external) {
    // All that its relays are started with: another key or URL needs others.
    const ExternalCall& call = entity.external->call;
    key = fmt::format("{}/external/{}\n{}\n{}\n{}\n{}\n{}", owner, call.url, call.name,
                      call.key_header, call.organization, entity.key_file,
                      entity.external->key_reference);
  }
  return policy::Hex(policy::HashSecret(key)).substr(0, kIdDigits);
}

EntityNeed NeedOf(const ServedEntity& entity, const std::optional<policy::Calibration>& known) {
  const int least = MayBeZero(entity) ? 0 : 1;
  if (!known || known->cost_per_s <= 0 || !entity.throughput) {
    return {.minimum = least, .maximum = 1};
  }
  const auto cost = [&known](std::int64_t tokens) {
    return policy::ContractCostPerSecond(static_cast<double>(tokens), known->weights);
  };
  EntityNeed need{.guaranteed_cost_per_s = cost(entity.throughput->minimum),
                  .ceiling_cost_per_s = cost(entity.throughput->maximum)};
  need.minimum = std::max(least, ReplicasFor(need.guaranteed_cost_per_s, known->cost_per_s));
  need.maximum =
      std::max({1, need.minimum, ReplicasFor(need.ceiling_cost_per_s, known->cost_per_s)});
  return need;
}

Status AddToPlan(const Endpoint& endpoint, const ModelLookup& models,
                 std::map<std::string, PoolWant>& plan) {
  std::map<std::string, Part> parts;
  if (endpoint.config) {
    if (auto added = AddConfig(endpoint, *endpoint.config, false, models, plan, parts); !added) {
      return added;
    }
  }
  // What failed is given up, unless there is nothing else: then attempts go on.
  const bool wanted = endpoint.pending &&
                      (endpoint.update == UpdateState::kInProgress || !endpoint.config.has_value());
  if (wanted) {
    if (auto added = AddConfig(endpoint, *endpoint.pending, true, models, plan, parts); !added) {
      return added;
    }
  }
  for (const auto& [id, part] : parts) {
    PoolWant& pool = plan.at(id);
    pool.minimum += part.sum.minimum;
    pool.maximum += part.sum.maximum;
    pool.guaranteed_cost_per_s += part.sum.guaranteed_cost_per_s;
    pool.ceiling_cost_per_s += part.sum.ceiling_cost_per_s;
  }
  return {};
}

void FinishPlan(std::map<std::string, PoolWant>& plan) {
  for (auto& [id, pool] : plan) {
    const auto& known = pool.served.calibration;
    const bool promised = known && known->cost_per_s > 0 && pool.ceiling_cost_per_s > 0;
    // Promises of several endpoints add up as cost, not as replicas rounded up for each.
    const int least = pool.minimum > 0 ? 1 : 0;
    if (promised) {
      pool.minimum = std::max(least, ReplicasFor(pool.guaranteed_cost_per_s, known->cost_per_s));
      pool.maximum =
          std::max({1, pool.minimum, ReplicasFor(pool.ceiling_cost_per_s, known->cost_per_s)});
    } else {
      pool.minimum = least;
      pool.maximum = 1;
    }
    pool.first = std::min(std::max(pool.first, pool.minimum), pool.maximum);
  }
}

std::set<std::string> EntitiesOfPool(const Endpoint& endpoint, const std::string& pool) {
  std::set<std::string> names;
  for (const auto* config : {&endpoint.config, &endpoint.pending}) {
    if (!*config) continue;
    for (const ServedEntity& entity : (*config)->served_entities) {
      if (PoolIdOf(endpoint.id, entity) == pool) names.insert(entity.name);
    }
  }
  return names;
}

namespace {

constexpr std::size_t kLogIdSize = 6;  // Digits of a pool's id in a log's name.

}  // namespace

std::string LogNameOf(const PoolWant& pool, int place) {
  return fmt::format("{}.{}.{}", pool.label, pool.id.substr(0, kLogIdSize), place);
}

std::string LabelOfLog(std::string_view file) {
  const std::string_view name = file.substr(0, file.rfind(".log"));
  const std::size_t place = name.rfind('.');
  if (place == std::string_view::npos || place <= kLogIdSize) {
    return std::string(name.substr(0, name.find('.')));
  }
  return std::string(name.substr(0, place - kLogIdSize - 1));
}

std::int64_t LevelOf(const ServedEntity& entity, int replicas,
                     const std::optional<policy::Calibration>& known) {
  if (replicas <= 0 || !entity.throughput) return 0;
  const policy::ThroughputRange& range = *entity.throughput;
  if (!known || known->chunk_tokens_per_s <= 0 || known->cost_per_s <= 0) {
    return range.minimum > 0 ? range.minimum : range.maximum;
  }
  const double tokens = policy::ContractTokensPerSecond(
      replicas * policy::kGuaranteeShare * known->cost_per_s, known->weights);
  const auto chunks = static_cast<std::int64_t>(
      std::floor(tokens / static_cast<double>(known->chunk_tokens_per_s) + 1e-9));
  const std::int64_t lowest =
      std::max(range.minimum, std::min(known->chunk_tokens_per_s, range.maximum));
  return std::clamp(chunks * known->chunk_tokens_per_s, lowest, range.maximum);
}

}  // namespace penstock::control
