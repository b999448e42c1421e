#include "plan/scenario.h"

#include <cmath>
#include <filesystem>
#include <utility>
#include <vector>

#include "base/file.h"
#include "plan/calibration_pool.h"
#include "plan/scenario_fields.h"
#include "plan/scenario_traffic.h"
#include "plan/step_fit.h"

namespace penstock::plan {
namespace {

constexpr std::size_t kScenarioBytesMax = std::size_t{1} << 20;
constexpr int kReplicasMax = 100'000;

struct Fleet {
  SimFleet& fleet;
  SimTerms& terms;
};

// How long a step takes, by a few figures.
void ReadStep(Fields step, SimFleet& fleet) {
  step.Only({"fixed_ms", "prefill_us", "decode_us", "context_us", "prefill_pass_ms",
             "prefill_context_us"});
  double fixed_ms = 10;
  double prefill_us = 100;
  double decode_us = 1000;
  double context_us = 0;
  step.Number("fixed_ms", 0, 1e6, fixed_ms);
  step.Number("prefill_us", 0.001, 1e9, prefill_us);
  step.Number("decode_us", 0, 1e9, decode_us);
  step.Number("context_us", 0, 1e6, context_us);
  const int slots = fleet.step.slots;
  fleet.step = ModelOf({.fixed_s = fixed_ms / 1e3,
                        .per_prefill_token_s = prefill_us / 1e6,
                        .per_decode_sequence_s = decode_us / 1e6,
                        .per_context_token_s = context_us / 1e6},
                       fleet.step.step_tokens_max);
  fleet.step.slots = slots;
  double pass_ms = -1;
  double prefill_context_us = 0;
  step.Number("prefill_pass_ms", 0, 1e6, pass_ms);
  step.Number("prefill_context_us", 0, 1e6, prefill_context_us);
  if (pass_ms >= 0) {
    fleet.step.prefill_pass_s = pass_ms / 1e3;
    fleet.step.shares_pass = false;
  }
  fleet.step.per_prefill_cell_s = prefill_context_us / 1e6;
}

// The calibration of a file, or the medians of several.
Result<policy::Calibration> CalibrationOf(const Fields& fields, const std::string& folder,
                                          const ReadCalibration& read) {
  const YAML::Node node = fields.Get("calibration");
  std::vector<policy::Calibration> all;
  for (std::size_t i = 0; i < (node.IsSequence() ? node.size() : 1); ++i) {
    const YAML::Node name = node.IsSequence() ? node[i] : node;
    if (!name.IsScalar()) {
      return Fail(Code::kInvalidArgument, "fleet.calibration must name a file, or list files");
    }
    const std::filesystem::path file(name.Scalar());
    auto calibration = read(file.is_absolute() ? file.string() : (folder / file).string());
    if (!calibration) return calibration;
    all.push_back(*std::move(calibration));
  }
  return PoolCalibrations(all);
}

// What was measured says all that was not given.
void UseCalibration(Fields& fields, const std::string& folder, const ReadCalibration& read,
                    Fleet into) {
  if (fields.Has("step")) return fields.Bad("calibration", "and step exclude each other");
  if (!read) return fields.Bad("calibration", "cannot be read here");
  const auto calibration = CalibrationOf(fields, folder, read);
  if (!calibration) return fields.Bad(calibration.error());
  // As the engine is set without other words.
  constexpr double kStepTargetSeconds = 0.2;
  constexpr int kCellBlock = 256;  // As llama.cpp pads what a batch looks at.
  const StepFit fit =
      FitStepModel(*calibration, {.cell_block = kCellBlock,
                                  .splits_equally = true,
                                  .slots = into.fleet.step.slots,
                                  .step_target_s = kStepTargetSeconds,
                                  .step_tokens_max = into.fleet.step.step_tokens_max});
  into.fleet.step = fit.model;
  into.fleet.pool.replica_cost_per_s = calibration->cost_per_s;
  into.terms.capacity = policy::CapacityOf(*calibration);
  into.terms.strategies = calibration->concurrency;
  into.terms.calibrated = true;
  into.terms.fit_error_mean = fit.error_mean;
  into.terms.fit_error_max = fit.error_max;
}

void ReadReplicas(Fields& fields, Fleet into) {
  SimFleet& fleet = into.fleet;
  double concurrency = fleet.pool.replica_concurrency > 0 ? fleet.pool.replica_concurrency : 16;
  fields.Number("concurrency", 1, 1e6, concurrency);
  into.terms.concurrency_given = fields.Has("concurrency");
  fleet.pool.replica_concurrency = static_cast<int>(concurrency);
  std::pair<double, double> replicas{1, 1};
  fields.Pair("replicas", kReplicasMax, replicas);
  into.terms.replicas_given = fields.Has("replicas");
  fleet.replicas_min = static_cast<int>(replicas.first);
  fleet.replicas_max = static_cast<int>(replicas.second);
  if (fleet.replicas_max < 1) fields.Bad("replicas", "must allow one replica at least");
  fields.Number("start_s", 0, 1e6, fleet.start_s);
  double queue_max = static_cast<double>(fleet.pool.queue_max);
  fields.Number("queue_max", 0, 1e9, queue_max);
  fleet.pool.queue_max = static_cast<std::size_t>(queue_max);
  double wait_s = Seconds(fleet.pool.queue_wait_max);
  fields.Number("queue_wait_max_s", 0, 1e6, wait_s);
  fleet.pool.queue_wait_max = Duration(std::llround(wait_s * kNanosecondsPerSecond));
  fields.Number("saturation", 0.01, 1, fleet.pool.saturation);
  double cache_tokens = 0;
  fields.Number("prefix_cache_tokens", 0, 1e12, cache_tokens);
  fleet.prefix_cache_tokens = static_cast<std::int64_t>(cache_tokens);
}

void ReadFleet(Fields fields, const std::string& folder, const ReadCalibration& read, Fleet into) {
  fields.Only({"step", "calibration", "cost_per_s", "output_weight", "cached_weight", "chunk",
               "strategy", "concurrency", "parallel", "replicas", "start_s", "prefill_budget",
               "step_target_ms", "overhead_ms", "prefix_cache_tokens", "saturation", "queue_max",
               "queue_wait_max_s", "failures"});
  double budget = into.fleet.step.step_tokens_max;
  fields.Number("prefill_budget", 1, 1e6, budget);
  into.fleet.step.step_tokens_max = static_cast<int>(budget);
  double slots = 0;
  fields.Number("parallel", 0, 1e6, slots);
  into.fleet.step.slots = static_cast<int>(slots);
  if (fields.Has("calibration")) {
    UseCalibration(fields, folder, read, into);
  } else {
    ReadStep(fields.Inner("step"), into.fleet);
  }
  double target_ms = into.fleet.step.step_target_s * 1e3;
  fields.Number("step_target_ms", 0, 1e6, target_ms);
  into.fleet.step.step_target_s = target_ms / 1e3;
  double overhead_ms = 0;
  fields.Number("overhead_ms", 0, 1e6, overhead_ms);
  into.fleet.step.delay_s = overhead_ms / 1e3;
  policy::ReplicaCapacity& capacity = into.terms.capacity;
  fields.Number("cost_per_s", 0, 1e12, capacity.cost_per_s);
  into.fleet.pool.replica_cost_per_s = capacity.cost_per_s;
  fields.Number("output_weight", 0.001, 1e6, capacity.weights.output);
  fields.Number("cached_weight", 0, 1, capacity.weights.cached);
  double chunk = static_cast<double>(capacity.chunk_tokens_per_s);
  fields.Number("chunk", 1, 1e9, chunk);
  capacity.chunk_tokens_per_s = std::llround(chunk);
  const auto strategy = policy::ParseStrategy(fields.Text("strategy", "balanced"), "strategy");
  if (strategy) {
    into.terms.strategy = *strategy;
  } else {
    fields.Bad(strategy.error());
  }
  ReadReplicas(fields, into);
}

void ReadFailures(const Fields& fields, Status& status, SimFleet& fleet) {
  const YAML::Node list = fields.Get("failures");
  if (!list.IsDefined()) return;
  for (std::size_t i = 0; i < list.size(); ++i) {
    Fields each(list[i], fmt::format("fleet.failures[{}].", i), status);
    each.Only({"at_s", "replicas"});
    SimFailure failure;
    double replicas = 1;
    each.Number("at_s", 0, 1e9, failure.at_s);
    each.Number("replicas", 1, kReplicasMax, replicas);
    failure.replicas = static_cast<int>(replicas);
    fleet.failures.push_back(failure);
  }
}

SimTenant ReadTenant(Fields fields, const policy::ReplicaCapacity& capacity,
                     const std::string& folder) {
  fields.Only({"name", "range", "overload", "weight", "max_tokens", "ttft_target_s", "traffic"});
  SimTenant tenant;
  tenant.name = fields.Text("name", "");
  if (tenant.name.empty()) fields.Bad("name", "is missing");
  std::pair<double, double> range{0, 0};
  fields.Pair("range", static_cast<double>(policy::kThroughputMax), range);
  if (range.second > 0 && capacity.cost_per_s <= 0)
    fields.Bad("range", "needs fleet.cost_per_s: nobody knows what it is of");
  tenant.range = {.minimum = std::llround(range.first), .maximum = std::llround(range.second)};
  fields.Number("weight", 0.001, 1e6, tenant.weight);
  const auto overload = policy::ParseOverload(fields.Text("overload", "queue"), "overload");
  if (overload)
    tenant.lane.overload = *overload;
  else
    fields.Bad(overload.error());
  double target_s = Seconds(tenant.lane.ttft_target);
  fields.Number("ttft_target_s", 0.001, 1e6, target_s);
  tenant.lane.ttft_target = Duration(std::llround(target_s * kNanosecondsPerSecond));
  double max_tokens = 0;
  fields.Number("max_tokens", 0, 1e7, max_tokens);
  tenant.max_tokens = static_cast<std::int64_t>(max_tokens);
  ReadTraffic(fields.Inner("traffic"), folder, tenant);
  return tenant;
}

}  // namespace

Result<Scenario> ParseScenario(const std::string& yaml, const std::string& folder,
                               const ReadCalibration& read_calibration) {
  try {
    Status status;
    Scenario scenario;
    Fields root(YAML::Load(yaml), "", status);
    root.Only({"ttft_target_s", "policy", "fleet", "tenants"});
    root.Number("ttft_target_s", 0.001, 1e6, scenario.ttft_target_s);
    ReadFleet(root.Inner("fleet"), folder, read_calibration,
              {.fleet = scenario.fleet, .terms = scenario.terms});
    ReadFailures(root.Inner("fleet"), status, scenario.fleet);
    const YAML::Node tenants = root.Get("tenants");
    if (!tenants.IsDefined() || !tenants.IsSequence() || tenants.size() == 0) {
      root.Bad("tenants", "is missing; it must list one tenant at least");
    } else {
      for (std::size_t i = 0; i < tenants.size() && status; ++i) {
        scenario.tenants.push_back(
            ReadTenant(Fields(tenants[i], fmt::format("tenants[{}].", i), status),
                       scenario.terms.capacity, folder));
      }
    }
    if (status && root.Has("policy")) status = Vary("policy", root.Text("policy", ""), scenario);
    if (!status) return Fail(status.error());
    Derive(scenario);
    return scenario;
  } catch (const YAML::Exception& exception) {
    return Fail(Code::kInvalidArgument, fmt::format("not YAML: {}", exception.what()));
  }
}

Result<Scenario> LoadScenario(const std::string& path, const ReadCalibration& read_calibration) {
  const auto text = ReadSmallFile(path, kScenarioBytesMax);
  if (!text) return Fail(text.error());
  auto scenario =
      ParseScenario(*text, std::filesystem::path(path).parent_path().string(), read_calibration);
  if (!scenario) {
    return Fail(scenario.error().code, path + ": " + scenario.error().message,
                scenario.error().field);
  }
  return scenario;
}

}  // namespace penstock::plan
