#include "plan/scenario.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/distributions.h"
#include "base/file.h"
#include "base/random.h"
#include "policy/capacity.h"
#include "trace/files.h"

namespace penstock::plan {
namespace {

constexpr std::size_t kScenarioBytesMax = std::size_t{1} << 20;
constexpr double kNanoseconds = 1e9;
constexpr int kReplicasMax = 100'000;

// A mapping of the file. The first field that is wrong stays, so that one check at the end
// suffices.
class Fields {
 public:
  Fields(YAML::Node node, std::string where, Status& status)
      : node_(std::move(node)), where_(std::move(where)), status_(status) {
    if (node_.IsDefined() && !node_.IsMap()) Bad("", "must be a mapping");
  }

  bool Has(const char* name) const { return node_.IsMap() && node_[name].IsDefined(); }
  Fields Inner(const char* name) { return {Get(name), where_ + name + ".", status_}; }
  YAML::Node Get(const char* name) const {
    return Has(name) ? node_[name] : YAML::Node(YAML::NodeType::Undefined);
  }

  // Leaves `value` where the field is missing.
  void Number(const char* name, double least, double most, double& value) {
    if (!Has(name)) return;
    double read = 0;
    if (!YAML::convert<double>::decode(Get(name), read) || !(read >= least && read <= most)) {
      return Bad(name, fmt::format("must be a number from {:g} to {:g}", least, most));
    }
    value = read;
  }
  void Pair(const char* name, double most, std::pair<double, double>& value) {
    if (!Has(name)) return;
    const YAML::Node node = Get(name);
    std::pair<double, double> read;
    if (!node.IsSequence() || node.size() != 2 ||
        !YAML::convert<double>::decode(node[0], read.first) ||
        !YAML::convert<double>::decode(node[1], read.second) || read.first < 0 ||
        read.second > most || read.first > read.second) {
      return Bad(name, fmt::format("must be [LEAST, MOST], from 0 to {:g}", most));
    }
    value = read;
  }
  std::string Text(const char* name, const std::string& otherwise) {
    if (!Has(name)) return otherwise;
    if (!Get(name).IsScalar()) Bad(name, "must be a text");
    return Get(name).IsScalar() ? Get(name).Scalar() : otherwise;
  }
  // Refuses what is not in `known`: a misspelt field would be a silent default.
  void Only(std::initializer_list<std::string_view> known) {
    if (!node_.IsMap()) return;
    for (const auto& entry : node_) {
      const std::string name = entry.first.Scalar();
      if (std::ranges::find(known, std::string_view(name)) == known.end()) {
        Bad(name.c_str(), fmt::format("is not known here; there are {}", fmt::join(known, ", ")));
      }
    }
  }
  void Bad(const char* name, const std::string& what) {
    if (!status_) return;
    status_ =
        Fail(Code::kInvalidArgument, fmt::format("{}{} {}", where_, name, what), where_ + name);
  }
  void Bad(const Error& error) {
    if (status_) status_ = Fail(error);
  }

 private:
  YAML::Node node_;
  std::string where_;
  Status& status_;
};

void ReadFleet(Fields fields, SimFleet& fleet, policy::CostWeights& weights) {
  fields.Only({"step", "cost_per_s", "output_weight", "cached_weight", "concurrency", "replicas",
               "start_s", "prefill_budget", "queue_max", "queue_wait_max_s", "failures"});
  Fields step = fields.Inner("step");
  step.Only({"fixed_ms", "prefill_us", "decode_us", "context_us"});
  double fixed_ms = 10;
  double prefill_us = 100;
  double decode_us = 1000;
  double context_us = 0;
  step.Number("fixed_ms", 0, 1e6, fixed_ms);
  step.Number("prefill_us", 0.001, 1e9, prefill_us);
  step.Number("decode_us", 0, 1e9, decode_us);
  step.Number("context_us", 0, 1e6, context_us);
  fleet.step = {.fixed_s = fixed_ms / 1e3,
                .per_prefill_token_s = prefill_us / 1e6,
                .per_decode_sequence_s = decode_us / 1e6,
                .per_context_token_s = context_us / 1e6};
  fields.Number("cost_per_s", 0, 1e12, fleet.pool.replica_cost_per_s);
  fields.Number("output_weight", 0.001, 1e6, weights.output);
  fields.Number("cached_weight", 0, 1, weights.cached);
  double concurrency = 16;
  fields.Number("concurrency", 1, 1e6, concurrency);
  fleet.pool.replica_concurrency = static_cast<int>(concurrency);
  std::pair<double, double> replicas{1, 1};
  fields.Pair("replicas", kReplicasMax, replicas);
  fleet.replicas_min = static_cast<int>(replicas.first);
  fleet.replicas_max = static_cast<int>(replicas.second);
  if (fleet.replicas_max < 1) fields.Bad("replicas", "must allow one replica at least");
  fields.Number("start_s", 0, 1e6, fleet.start_s);
  double budget = fleet.prefill_budget;
  fields.Number("prefill_budget", 1, 1e6, budget);
  fleet.prefill_budget = static_cast<int>(budget);
  double queue_max = static_cast<double>(fleet.pool.queue_max);
  fields.Number("queue_max", 0, 1e9, queue_max);
  fleet.pool.queue_max = static_cast<std::size_t>(queue_max);
  double wait_s = Seconds(fleet.pool.queue_wait_max);
  fields.Number("queue_wait_max_s", 0, 1e6, wait_s);
  fleet.pool.queue_wait_max = Duration(std::llround(wait_s * kNanoseconds));
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

std::vector<SimArrival> FromTrace(Fields& fields, const std::string& folder) {
  const std::string file = fields.Text("trace", "");
  const std::filesystem::path path = std::filesystem::path(file).is_absolute()
                                         ? std::filesystem::path(file)
                                         : std::filesystem::path(folder) / file;
  trace::ReadOptions options;
  double from_s = 0;
  double span_s = 0;
  double speed = 1;
  fields.Number("from_s", 0, 1e9, from_s);
  fields.Number("span_s", 0, 1e9, span_s);
  fields.Number("speed", 0.001, 1e6, speed);
  options.draw.from_s = static_cast<std::int64_t>(from_s);
  if (span_s > 0) options.draw.span_s = static_cast<std::int64_t>(span_s);
  auto read = trace::ReadTrace(path.string(), options);
  if (!read) {
    fields.Bad(read.error());
    return {};
  }
  if (read->format != "servegen") {
    trace::Apply({.from_ns = static_cast<std::int64_t>(from_s * kNanoseconds),
                  .span_ns = static_cast<std::int64_t>(span_s * kNanoseconds)},
                 *read);
  }
  if (speed != 1) trace::SpeedUp(speed, *read);
  std::vector<SimArrival> arrivals;
  arrivals.reserve(read->arrivals.size());
  for (const trace::Arrival& arrival : read->arrivals) {
    arrivals.push_back({.at_s = static_cast<double>(arrival.at_ns) / kNanoseconds,
                        .input_tokens = arrival.input_tokens,
                        .output_tokens = arrival.output_tokens});
  }
  return arrivals;
}

std::vector<SimArrival> FromShape(Fields& fields) {
  double per_minute = 0;
  double input = 2048;
  double output = 256;
  double span_s = 600;
  double burstiness = 1;
  double seed = 1;
  fields.Number("requests_per_minute", 0.001, 1e9, per_minute);
  fields.Number("input_tokens", 0, 1e7, input);
  fields.Number("output_tokens", 1, 1e7, output);
  fields.Number("span_s", 1, 1e8, span_s);
  fields.Number("burstiness", 0.01, 1000, burstiness);
  fields.Number("seed", 0, 1e15, seed);
  if (per_minute <= 0) fields.Bad("requests_per_minute", "is missing; or name a trace");
  std::vector<SimArrival> arrivals;
  if (per_minute <= 0 || per_minute / 60 * span_s > static_cast<double>(trace::kArrivalsMax)) {
    if (per_minute > 0) fields.Bad("span_s", "makes more requests than can be held");
    return arrivals;
  }
  // Gamma gaps whose squared coefficient of variation is the burstiness; 1 is a Poisson process.
  Random random(static_cast<std::uint64_t>(seed));
  const double shape = 1 / burstiness;
  const double scale = 60 / per_minute / shape;
  for (double at = DrawGamma(random, shape) * scale; at < span_s;
       at += DrawGamma(random, shape) * scale) {
    arrivals.push_back({.at_s = at,
                        .input_tokens = static_cast<int>(input),
                        .output_tokens = static_cast<int>(output)});
  }
  return arrivals;
}

SimTenant ReadTenant(Fields fields, const policy::ReplicaCapacity& capacity,
                     const std::string& folder) {
  fields.Only({"name", "range", "overload", "weight", "max_tokens", "ttft_target_s", "traffic"});
  SimTenant tenant;
  tenant.name = fields.Text("name", "");
  if (tenant.name.empty()) fields.Bad("name", "is missing");
  std::pair<double, double> range{0, 0};
  fields.Pair("range", static_cast<double>(policy::kThroughputMax), range);
  const bool known = capacity.cost_per_s > 0;
  if (range.second > 0 && !known)
    fields.Bad("range", "needs fleet.cost_per_s: nobody knows what it is of");
  tenant.lane = policy::LaneForRange({.minimum = static_cast<std::int64_t>(range.first),
                                      .maximum = static_cast<std::int64_t>(range.second)},
                                     known ? std::optional(capacity) : std::nullopt);
  tenant.lane.weights = capacity.weights;
  fields.Number("weight", 0.001, 1e6, tenant.lane.weight);
  const auto overload = policy::ParseOverload(fields.Text("overload", "queue"), "overload");
  if (overload)
    tenant.lane.overload = *overload;
  else
    fields.Bad(overload.error());
  double max_tokens = 0;
  fields.Number("max_tokens", 0, 1e7, max_tokens);
  tenant.max_tokens = static_cast<std::int64_t>(max_tokens);
  Fields traffic = fields.Inner("traffic");
  traffic.Only({"trace", "speed", "from_s", "span_s", "requests_per_minute", "input_tokens",
                "output_tokens", "burstiness", "seed"});
  tenant.arrivals = traffic.Has("trace") ? FromTrace(traffic, folder) : FromShape(traffic);
  return tenant;
}

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

}  // namespace

Result<Scenario> ParseScenario(const std::string& yaml, const std::string& folder) {
  try {
    Status status;
    Scenario scenario;
    Fields root(YAML::Load(yaml), "", status);
    root.Only({"ttft_target_s", "policy", "fleet", "tenants"});
    root.Number("ttft_target_s", 0.001, 1e6, scenario.ttft_target_s);
    policy::ReplicaCapacity capacity;
    ReadFleet(root.Inner("fleet"), scenario.fleet, capacity.weights);
    ReadFailures(root.Inner("fleet"), status, scenario.fleet);
    capacity.cost_per_s = scenario.fleet.pool.replica_cost_per_s;
    const YAML::Node tenants = root.Get("tenants");
    if (!tenants.IsDefined() || !tenants.IsSequence() || tenants.size() == 0) {
      root.Bad("tenants", "is missing; it must list one tenant at least");
    } else {
      for (std::size_t i = 0; i < tenants.size() && status; ++i) {
        scenario.tenants.push_back(ReadTenant(
            Fields(tenants[i], fmt::format("tenants[{}].", i), status), capacity, folder));
      }
    }
    if (status && root.Has("policy")) status = Vary("policy", root.Text("policy", ""), scenario);
    if (!status) return Fail(status.error());
    return scenario;
  } catch (const YAML::Exception& exception) {
    return Fail(Code::kInvalidArgument, fmt::format("not YAML: {}", exception.what()));
  }
}

Result<Scenario> LoadScenario(const std::string& path) {
  const auto text = ReadSmallFile(path, kScenarioBytesMax);
  if (!text) return Fail(text.error());
  auto scenario = ParseScenario(*text, std::filesystem::path(path).parent_path().string());
  if (!scenario) {
    return Fail(scenario.error().code, path + ": " + scenario.error().message,
                scenario.error().field);
  }
  return scenario;
}

Status Vary(const std::string& name, const std::string& value, Scenario& scenario) {
  const auto bad = [&](const std::string& must) {
    return Fail(Code::kInvalidArgument, fmt::format("{} is '{}'; it must be {}", name, value, must),
                name);
  };
  if (name == "policy") {
    if (value != "penstock" && value != "fifo") return bad("penstock or fifo");
    scenario.policy = value == "fifo" ? SimPolicy::kFifo : SimPolicy::kPenstock;
    return {};
  }
  if (name == "replicas") {
    if (!ParseSpan(value, scenario.fleet.replicas_min, scenario.fleet.replicas_max)) {
      return bad("a number, or LEAST-MOST");
    }
    return {};
  }
  double number = 0;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool good = read.ec == std::errc() && read.ptr == value.data() + value.size();
  if (!good || number < 0 || number > 1e6) return bad("a number from 0 to 1e6");
  if (name == "start_s")
    scenario.fleet.start_s = number;
  else if (name == "concurrency" && number >= 1)
    scenario.fleet.pool.replica_concurrency = static_cast<int>(number);
  else if (name == "prefill_budget" && number >= 1)
    scenario.fleet.prefill_budget = static_cast<int>(number);
  else {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("'{}={}': what can vary is replicas, concurrency, start_s, prefill_budget "
                    "(above 0) and policy",
                    name, value),
        name);
  }
  return {};
}

}  // namespace penstock::plan
