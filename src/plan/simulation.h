// Simulation: a fleet of replicas and its tenants on a virtual clock, under the policy code that
// runs in production (admission, dispatch, routing, autoscaling).
//
// Discrete events; equal scenarios give equal answers, bit for bit. Only the replicas are a model
// (sim_replica.h): what decides is policy::Dispatcher and policy::Autoscaler themselves. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/quantile_sketch.h"
#include "plan/step_model.h"
#include "policy/autoscale.h"
#include "policy/calibration.h"
#include "policy/capacity.h"
#include "policy/endpoint_policy.h"
#include "policy/lane.h"

namespace penstock::plan {

struct SimArrival {
  double at_s = 0;  // Since the start; in order.
  int input_tokens = 0;
  int output_tokens = 0;  // That are generated; the policy does not know them beforehand.
  // The prompt's blocks of the tenant's block_tokens each: equal ids at the front of two prompts
  // mean an equal beginning.
  std::vector<std::int64_t> blocks{};
};

struct SimTenant {
  std::string name{};
  policy::LanePolicy lane{};
  std::vector<SimArrival> arrivals{};
  // Above 0, a closed loop: so many users take the arrivals in turn, whatever their times, each
  // with one request under way, and pause for think_s between two.
  int users = 0;
  double think_s = 0;
  std::int64_t max_tokens = 0;      // As its requests carry it; 0: none.
  int block_tokens = 0;             // Of its arrivals' blocks; 0: they have none.
  policy::ThroughputRange range{};  // As it was asked for, tokens/s; `lane` follows from it.
  double weight = 0;                // Beside other tenants; 0: by its range.
};

// Replicas that end at once, and with them what they had under way.
struct SimFailure {
  double at_s = 0;
  int replicas = 1;
};

struct SimFleet {
  StepModel step{};
  policy::PoolPolicy pool{};             // K, requests in flight on one replica, queue.
  std::int64_t prefix_cache_tokens = 0;  // That a replica keeps; 0: what its places may hold.
  int replicas_min = 1;                  // At the start.
  int replicas_max = 1;                  // More than the minimum: the autoscaler moves between.
  double start_s = 90;                   // From the decision until a replica takes requests.
  std::vector<SimFailure> failures{};    // In order. What failed is started again.
};

// What a fleet's figures follow from, where they were not given: sweeps change it, and derive
// again.
struct SimTerms {
  policy::ReplicaCapacity capacity{};  // cost_per_s 0: nobody knows it.
  policy::StrategyConcurrency strategies{};
  policy::Strategy strategy = policy::Strategy::kBalanced;
  bool calibrated = false;  // `strategies` are known.
  bool concurrency_given = false;
  bool replicas_given = false;  // Else they follow from the tenants' ranges, as in production.
  double fit_error_mean = 0;    // Of the step model, against what was calibrated.
  double fit_error_max = 0;
};

// Who decides what runs.
enum class SimPolicy : std::uint8_t {
  kPenstock,  // As in production.
  kFifo,      // First come, first served: one line for all, no contract.
};

struct Scenario {
  SimFleet fleet{};
  std::vector<SimTenant> tenants{};
  SimPolicy policy = SimPolicy::kPenstock;
  double ttft_target_s = 2;  // What attainment counts.
  SimTerms terms{};
};

struct TenantOutcome {
  std::string name{};
  std::uint64_t arrived = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;  // Lost with a replica after their first token, or without a retry.
  std::uint64_t refused[policy::kRefusals] = {};
  std::uint64_t in_time = 0;  // First tokens within the target.
  double offered_cost = 0;
  double served_cost = 0;
  double guaranteed_cost = 0;       // Guarantee x time.
  QuantileSketch ttft_us{};         // From arrival, waiting included.
  QuantileSketch tpot_us{};         // Of replies of more than one token.
  QuantileSketch latency_us{};      // To the last token.
  QuantileSketch queue_us{};        // Waiting before a replica.
  std::uint64_t input_tokens = 0;   // Of those that a replica had.
  std::uint64_t cached_tokens = 0;  // Of them, found in its prefix cache.

  std::uint64_t refusals() const;
  // Share of all that arrived whose first token came in time.
  double attainment() const;
  // Share of the contracted cost that was asked for which was served.
  double delivered() const;
};

// One minute of the fleet.
struct FleetMinute {
  double replicas = 0;  // Ready, at the end of the minute.
  double wanted = 0;
  double offered_cost_per_s = 0;
  double queued = 0;  // Requests that wait at the end of the minute.
};

struct SimOutcome {
  std::vector<TenantOutcome> tenants{};
  std::vector<FleetMinute> minutes{};
  std::vector<policy::AutoscaleDecision> decisions{};  // Those that changed something.
  double span_s = 0;                                   // Until the last request ended.
  double replica_hours = 0;                            // Started ones, ready or not.
  double busy_share = 0;                               // Of the replicas' time.
  std::uint64_t events = 0;
};

SimOutcome Simulate(const Scenario& scenario);

}  // namespace penstock::plan
