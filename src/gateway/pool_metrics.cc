#include "gateway/pool_metrics.h"

#include <string>
#include <utility>

namespace penstock::gateway {
namespace {

using Labels = std::vector<std::pair<std::string, std::string>>;
using Readings = std::vector<meter::Metrics::Reading>;

void AddLane(const Labels& labels, const Pool::LaneReading& lane, Readings& readings) {
  const auto add = [&](const char* name, const char* help, double value, Labels more = {}) {
    more.insert(more.begin(), labels.begin(), labels.end());
    readings.push_back({.name = name, .help = help, .labels = std::move(more), .value = value});
  };
  constexpr const char* kStarted = "penstock_started_total";
  constexpr const char* kStartedHelp =
      "Requests sent to replicas, by colour: green within the guarantee, yellow beyond it.";
  add(kStarted, kStartedHelp, static_cast<double>(lane.counts.green), {{"colour", "green"}});
  add(kStarted, kStartedHelp, static_cast<double>(lane.counts.yellow), {{"colour", "yellow"}});
  add("penstock_promoted_total", "Waiting requests that the guarantee came to cover.",
      static_cast<double>(lane.counts.promoted));
  for (std::size_t i = 1; i < policy::kRefusals; ++i) {
    add("penstock_refused_total", "Requests that the contract or the pool refused, by reason.",
        static_cast<double>(lane.counts.refused[i]),
        {{"reason", std::string(ToString(static_cast<policy::Refusal>(i)))}});
  }
  add("penstock_queue_waiting", "Requests that wait for a replica.",
      static_cast<double>(lane.waiting));
  add("penstock_contract_running", "Requests that run on replicas under this contract.",
      static_cast<double>(lane.running));
  constexpr const char* kLevel = "penstock_contract_level_cost";
  constexpr const char* kLevelHelp =
      "Cost that the contract's buckets hold, in normalised tokens; below 0: overdrawn.";
  add(kLevel, kLevelHelp, lane.guarantee_level, {{"bucket", "guarantee"}});
  add(kLevel, kLevelHelp, lane.cap_level, {{"bucket", "cap"}});
}

void AddPool(const std::string& id, const Pool::Counts& counts, const policy::PoolLoad& load,
             Readings& readings) {
  const auto add = [&](const char* name, const char* help, double value) {
    readings.push_back({.name = name, .help = help, .labels = {{"pool", id}}, .value = value});
  };
  add("penstock_pool_offered_cost_total", "Cost asked of the pool: admitted, queued, refused.",
      load.offered_cost_total);
  add("penstock_pool_served_cost_total", "Cost that its replicas did.", load.served_cost_total);
  add("penstock_pool_queued_cost", "Cost that waits.", load.queued_cost);
  add("penstock_pool_in_flight", "Requests on its replicas.",
      static_cast<double>(counts.in_flight));
  add("penstock_pool_late_waiting",
      "Requests within a guarantee that wait and cannot be in time any more.",
      static_cast<double>(counts.waiting_late));
  add("penstock_pool_prefill_ahead_seconds",
      "Time that the prompts before the next one take, where they are fewest.",
      Seconds(counts.prefill_ahead));
  add("penstock_pool_retries_total", "Requests sent again to another replica.",
      static_cast<double>(counts.retries));
  add("penstock_pool_retries_refused_total", "Retries that the retry budget did not allow.",
      static_cast<double>(counts.retries_refused));
  add("penstock_pool_circuits_opened_total", "Replicas left alone for failing in a row.",
      static_cast<double>(counts.circuits_opened));
  add("penstock_pool_circuits_open", "Replicas left alone at this moment.",
      static_cast<double>(counts.circuits_open));
  add("penstock_pool_prefix_index_bytes", "Memory of the index of prompts' beginnings.",
      static_cast<double>(counts.index_bytes));
}

}  // namespace

void CollectPools(PoolSet& pools, TimePoint now, Readings& readings) {
  const auto table = pools.table();
  for (const auto& [name, endpoint] : *table) {
    for (std::size_t i = 0; i < endpoint->entities.size(); ++i) {
      const LiveEntity& entity = endpoint->entities[i];
      AddLane({{"endpoint", name}, {"served_entity", endpoint->route->served[i].name}},
              entity.pool->ReadLane(entity.lane, now), readings);
    }
    const auto add = [&](const char* metric, const char* help, std::uint64_t value) {
      readings.push_back({.name = metric,
                          .help = help,
                          .labels = {{"endpoint", name}},
                          .value = static_cast<double>(value)});
    };
    add("penstock_rate_limited_total", "Requests over a rate limit of users, groups, endpoint.",
        endpoint->limits->refused());
    add("penstock_spilled_over_total", "Requests that another endpoint served in its place.",
        endpoint->limits->spilled());
  }
  pools.ForEachPool([&](const std::string& id, Pool& pool) {
    AddPool(id, pool.CountsAt(now), pool.Load(), readings);
  });
}

}  // namespace penstock::gateway
