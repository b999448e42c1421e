// What follows from a scenario's terms, and the figures that sweeps change.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

#include <fmt/format.h>

#include "plan/scenario.h"

namespace penstock::plan {
namespace {

constexpr int kReplicasMax = 100'000;

// "2" or "2-6".
bool ParseSpan(const std::string& text, int& least, int& most) {
  const char* const end = text.data() + text.size();
  const auto first = std::from_chars(text.data(), end, least);
  if (first.ec != std::errc() || least < 0 || least > kReplicasMax) return false;
  most = std::max(1, least);
  if (first.ptr == end) return true;
  if (*first.ptr != '-') return false;
  const auto second = std::from_chars(first.ptr + 1, end, most);
  return second.ec == std::errc() && second.ptr == end && most >= std::max(1, least) &&
         most <= kReplicasMax;
}

bool ParseNumber(const std::string& text, double least, double most, double& number) {
  const auto read = std::from_chars(text.data(), text.data() + text.size(), number);
  return read.ec == std::errc() && read.ptr == text.data() + text.size() && number >= least &&
         number <= most;
}

// "1000-3000", or "1000".
bool ParseRange(const std::string& text, policy::ThroughputRange& range) {
  const std::size_t dash = text.find('-');
  double least = 0;
  double most = 0;
  constexpr auto kMost = static_cast<double>(policy::kThroughputMax);
  if (!ParseNumber(text.substr(0, dash), 0, kMost, least)) return false;
  most = least;
  if (dash != std::string::npos && !ParseNumber(text.substr(dash + 1), least, kMost, most)) {
    return false;
  }
  range = {.minimum = std::llround(least), .maximum = std::llround(most)};
  return true;
}

std::int64_t InChunks(std::int64_t tokens_per_s, std::int64_t chunk) {
  return (tokens_per_s + chunk - 1) / chunk * chunk;
}

Status VaryRange(const std::string& name, const std::string& value, Scenario& scenario) {
  policy::ThroughputRange range;
  if (!ParseRange(value, range)) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} is '{}'; it must be tokens/s, or LEAST-MOST", name, value), name);
  }
  const std::size_t dot = name.find('.');
  const std::string tenant = dot == std::string::npos ? "" : name.substr(dot + 1);
  bool found = false;
  for (SimTenant& each : scenario.tenants) {
    if (!tenant.empty() ? each.name != tenant : each.range.maximum == 0) continue;
    each.range = range;
    found = true;
  }
  if (found) return {};
  return Fail(Code::kInvalidArgument,
              tenant.empty() ? name + ": no tenant has a range"
                             : fmt::format("{}: there is no tenant '{}'", name, tenant),
              name);
}

}  // namespace

void Derive(Scenario& scenario) {
  const SimTerms& terms = scenario.terms;
  SimFleet& fleet = scenario.fleet;
  const bool known = terms.capacity.cost_per_s > 0;
  const auto capacity = known ? std::optional(terms.capacity) : std::nullopt;
  if (terms.calibrated && !terms.concurrency_given) {
    fleet.pool.replica_concurrency = terms.strategies.Of(terms.strategy);
  }
  policy::ThroughputRange sum;
  for (SimTenant& tenant : scenario.tenants) {
    const std::int64_t chunk = std::max<std::int64_t>(1, terms.capacity.chunk_tokens_per_s);
    const policy::ThroughputRange sold{.minimum = InChunks(tenant.range.minimum, chunk),
                                       .maximum = InChunks(tenant.range.maximum, chunk)};
    const policy::LanePolicy lane = policy::LaneForRange(sold, capacity);
    tenant.lane.guarantee_per_s = lane.guarantee_per_s;
    tenant.lane.cap_per_s = lane.cap_per_s;
    tenant.lane.weights = terms.capacity.weights;
    tenant.lane.weight = tenant.weight > 0 ? tenant.weight : lane.weight;
    sum.minimum += sold.minimum;
    sum.maximum += sold.maximum;
  }
  if (terms.replicas_given) return;
  const policy::ReplicaRange replicas = policy::ReplicasForRange(sum, capacity);
  fleet.replicas_min = replicas.minimum;
  fleet.replicas_max = replicas.maximum;
}

std::vector<std::string> Doubts(const Scenario& scenario) {
  std::vector<std::string> doubts;
  const double replica = scenario.fleet.pool.replica_cost_per_s;
  double promised = 0;
  for (const SimTenant& tenant : scenario.tenants) promised += tenant.lane.guarantee_per_s;
  const double kept = policy::kGuaranteeShare * replica * scenario.fleet.replicas_min;
  if (replica > 0 && promised > kept * (1 + 1e-9)) {
    doubts.push_back(fmt::format(
        "the guarantees are {:.0f} normalised tokens/s together; {} replica{} can promise {:.0f}, "
        "so a server would refuse this fleet: it takes {:.0f}",
        promised, scenario.fleet.replicas_min, scenario.fleet.replicas_min == 1 ? "" : "s", kept,
        std::ceil(promised / (policy::kGuaranteeShare * replica))));
  }
  constexpr double kFitGood = 0.10;
  if (scenario.terms.fit_error_mean > kFitGood) {
    doubts.push_back(fmt::format(
        "the calibration's points are met within {:.0f} % on average, {:.0f} % at worst: measure "
        "again on a machine that does nothing else",
        scenario.terms.fit_error_mean * 100, scenario.terms.fit_error_max * 100));
  }
  return doubts;
}

Status Vary(const std::string& name, const std::string& value, Scenario& scenario) {
  const auto bad = [&](const std::string& must) {
    return Fail(Code::kInvalidArgument, fmt::format("{} is '{}'; it must be {}", name, value, must),
                name);
  };
  SimFleet& fleet = scenario.fleet;
  double number = 0;
  if (name == "policy") {
    if (value != "penstock" && value != "fifo") return bad("penstock or fifo");
    scenario.policy = value == "fifo" ? SimPolicy::kFifo : SimPolicy::kPenstock;
  } else if (name == "replicas") {
    if (!ParseSpan(value, fleet.replicas_min, fleet.replicas_max)) {
      return bad("a number, or LEAST-MOST");
    }
    scenario.terms.replicas_given = true;
  } else if (name == "range" || name.starts_with("range.")) {
    if (Status varied = VaryRange(name, value, scenario); !varied) return varied;
  } else if (name == "strategy") {
    const auto strategy = policy::ParseStrategy(value, name);
    if (!strategy) return Fail(strategy.error());
    if (!scenario.terms.calibrated) {
      return Fail(Code::kInvalidArgument,
                  "strategy needs fleet.calibration: it chooses from what was measured", name);
    }
    scenario.terms.strategy = *strategy;
    scenario.terms.concurrency_given = false;
  } else if (name == "chunk") {
    if (!ParseNumber(value, 1, 1e9, number)) return bad("tokens/s from 1 to 1e9");
    scenario.terms.capacity.chunk_tokens_per_s = std::llround(number);
  } else if (name == "start_s") {
    if (!ParseNumber(value, 0, 1e6, fleet.start_s)) return bad("seconds from 0 to 1e6");
  } else if (name == "concurrency") {
    if (!ParseNumber(value, 1, 1e6, number)) return bad("a number from 1 to 1e6");
    fleet.pool.replica_concurrency = static_cast<int>(number);
    scenario.terms.concurrency_given = true;
  } else if (name == "prefill_budget") {
    if (!ParseNumber(value, 1, 1e6, number)) return bad("tokens from 1 to 1e6");
    fleet.step.step_tokens_max = static_cast<int>(number);
  } else {
    return Fail(Code::kInvalidArgument,
                fmt::format("'{}={}': what can vary is replicas, range, range.TENANT, chunk, "
                            "strategy, concurrency, start_s, prefill_budget and policy",
                            name, value),
                name);
  }
  Derive(scenario);
  return {};
}

}  // namespace penstock::plan
