#include "app/static_policy.h"

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <optional>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "control/json_reader.h"

namespace penstock::app {

namespace {

using control::JsonReader;

constexpr double kNumberMax = 1e12;

// A field that is misspelt would be a promise that nobody keeps.
void RefuseOthers(JsonReader& reader, const boost::json::object& object,
                  std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object) {
    if (std::ranges::find(known, std::string_view(key)) != known.end()) continue;
    const std::string path = reader.PathOf(key);
    reader.Refuse(
        Error{Code::kInvalidArgument,
              fmt::format("{}: there is no such field; there are {}", path, fmt::join(known, ", ")),
              path});
  }
}

// A number in [0, kNumberMax]; `otherwise` where it is absent.
double Number(JsonReader& reader, const boost::json::object& object, std::string_view key,
              double otherwise) {
  const boost::json::value* const value = object.if_contains(key);
  if (value == nullptr || value->is_null()) return otherwise;
  boost::system::error_code error;
  const double number = value->is_number() ? value->to_number<double>(error) : -1;
  if (error || !(number >= 0 && number <= kNumberMax)) {
    reader.Refuse(key, fmt::format("a number from 0 to {}", kNumberMax), *value);
    return otherwise;
  }
  return number;
}

std::int64_t Count(JsonReader& reader, const boost::json::object& object, std::string_view key,
                   std::int64_t otherwise) {
  return std::llround(Number(reader, object, key, static_cast<double>(otherwise)));
}

Duration Ms(JsonReader& reader, const boost::json::object& object, std::string_view key,
            Duration otherwise) {
  return std::chrono::milliseconds(
      Count(reader, object, key,
            std::chrono::duration_cast<std::chrono::milliseconds>(otherwise).count()));
}

// A word that `parse` knows; `otherwise` where it is absent.
template <typename T, typename Parse>
T Word(JsonReader& reader, std::string_view key, T otherwise, Parse parse) {
  const auto word = reader.String(key);
  if (!word) return otherwise;
  const Result<T> value = parse(*word, reader.PathOf(key));
  if (value) return *value;
  reader.Refuse(value.error());
  return otherwise;
}

Result<policy::Accounting> ParseAccounting(std::string_view word, const std::string& field) {
  if (word == "contract") return policy::Accounting::kContract;
  if (word == "utilization") return policy::Accounting::kUtilization;
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must be one of 'contract', 'utilization', got '{}'", field, word),
              field);
}

Result<policy::Reserve> ParseReserve(std::string_view word, const std::string& field) {
  if (word == "learned") return policy::Reserve::kLearned;
  if (word == "limit") return policy::Reserve::kLimit;
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must be one of 'learned', 'limit', got '{}'", field, word), field);
}

policy::PoolPolicy ReadPool(JsonReader& reader, const boost::json::object& object) {
  RefuseOthers(reader, object,
               {"replica_cost_per_s", "replica_concurrency", "prefill_ahead_ms", "saturation",
                "queue_max", "queue_wait_max_ms"});
  policy::PoolPolicy pool;
  pool.replica_cost_per_s = Number(reader, object, "replica_cost_per_s", 0);
  pool.replica_concurrency = static_cast<int>(
      std::min<std::int64_t>(Count(reader, object, "replica_concurrency", 0), 1 << 20));
  pool.prefill_ahead = Ms(reader, object, "prefill_ahead_ms", pool.prefill_ahead);
  pool.saturation = Number(reader, object, "saturation", pool.saturation);
  pool.queue_max = static_cast<std::size_t>(
      Count(reader, object, "queue_max", static_cast<std::int64_t>(pool.queue_max)));
  pool.queue_wait_max = Ms(reader, object, "queue_wait_max_ms", pool.queue_wait_max);
  return pool;
}

std::optional<policy::StandardQuota> ReadQuota(JsonReader& parent, std::optional<Error>& failure) {
  const boost::json::object* const object = parent.Object("quota");
  if (object == nullptr) return std::nullopt;
  JsonReader reader(*object, parent.PathOf("quota."), failure);
  RefuseOthers(reader, *object,
               {"tokens_per_minute", "requests_per_minute", "request_window_s", "release"});
  policy::StandardQuota quota;
  quota.tokens_per_minute = Count(reader, *object, "tokens_per_minute", 0);
  quota.requests_per_minute = Count(reader, *object, "requests_per_minute", 0);
  quota.request_window = std::chrono::seconds(Count(reader, *object, "request_window_s", 10));
  quota.release = reader.Boolean("release").value_or(false);
  return quota;
}

void ReadRateLimits(JsonReader& parent, std::optional<Error>& failure,
                    policy::EndpointPolicy& endpoint) {
  const boost::json::array* const array = parent.Array("rate_limits");
  for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
    const boost::json::object* const object = parent.Element(*array, "rate_limits", i);
    if (object == nullptr) return;
    JsonReader reader(*object, parent.PathOf("rate_limits", i) + ".", failure);
    RefuseOthers(reader, *object, {"key", "principal", "calls", "tokens", "renewal_period"});
    policy::RateLimit limit;
    limit.key = Word(reader, "key", limit.key, policy::ParseLimitKey);
    limit.principal = reader.String("principal").value_or("");
    limit.calls = Count(reader, *object, "calls", 0);
    limit.tokens = Count(reader, *object, "tokens", 0);
    if ((limit.calls > 0) == (limit.tokens > 0)) {
      reader.Refuse("calls", "more than 0, or `tokens`, but not both", *object);
    }
    endpoint.rate_limits.push_back(std::move(limit));
  }
}

using Pools = std::unordered_map<std::string, policy::PoolPolicy>;

void ReadEndpoint(JsonReader& reader, const boost::json::object& object, const Pools& pools,
                  std::optional<Error>& failure, policy::EndpointRoute& route) {
  RefuseOthers(reader, object,
               {"pool", "context_tokens", "output_weight", "cached_weight", "guarantee_cost_per_s",
                "cap_cost_per_s", "guarantee_burst_ms", "cap_burst_ms", "ttft_target_ms", "weight",
                "overload", "accounting", "reserve", "quota", "rate_limits", "penstock_engine",
                "spillover"});
  policy::ServedRoute& served = route.served.front();
  policy::LanePolicy& lane = served.lane;
  if (const auto pool = reader.String("pool")) {
    const auto known = pools.find(*pool);
    if (known == pools.end()) {
      reader.Refuse("pool", "the name of one of `pools`", boost::json::value(*pool));
      return;
    }
    served.pool = "static/" + *pool;
    served.pool_policy = known->second;
  }
  served.context_tokens = Count(reader, object, "context_tokens", 0);
  lane.weights.output = Number(reader, object, "output_weight", lane.weights.output);
  lane.weights.cached = Number(reader, object, "cached_weight", lane.weights.cached);
  lane.guarantee_per_s = Number(reader, object, "guarantee_cost_per_s", 0);
  lane.cap_per_s = Number(reader, object, "cap_cost_per_s", 0);
  lane.guarantee_burst = Ms(reader, object, "guarantee_burst_ms", lane.guarantee_burst);
  lane.cap_burst = Ms(reader, object, "cap_burst_ms", lane.cap_burst);
  lane.ttft_target = Ms(reader, object, "ttft_target_ms", lane.ttft_target);
  lane.weight = Number(reader, object, "weight", lane.weight);
  lane.overload = Word(reader, "overload", lane.overload, policy::ParseOverload);
  lane.accounting = Word(reader, "accounting", lane.accounting, ParseAccounting);
  lane.reserve = Word(reader, "reserve", lane.reserve, ParseReserve);
  lane.quota = ReadQuota(reader, failure);
  ReadRateLimits(reader, failure, route.policy);
  if (reader.Boolean("penstock_engine").value_or(false)) {
    for (policy::ReplicaRoute& replica : served.replicas) replica.reads_headers = true;
  }
  route.policy.spillover = reader.String("spillover").value_or("");
}

}  // namespace

Status ApplyStaticPolicies(std::string_view text, std::vector<policy::EndpointRoute>& routes) {
  const auto document = control::ParseJsonObject(text);
  if (!document) return Fail(document.error());
  std::optional<Error> failure;
  JsonReader top(*document, "", failure);
  RefuseOthers(top, *document, {"pools", "endpoints"});
  Pools pools;
  if (const boost::json::object* const object = top.Object("pools")) {
    for (const auto& [name, value] : *object) {
      const boost::json::object* const pool = value.if_object();
      JsonReader reader(pool == nullptr ? *object : *pool,
                        fmt::format("pools.{}.", std::string(name)), failure);
      if (pool == nullptr) top.Refuse("pools", "an object of objects", value);
      if (pool != nullptr) pools.emplace(std::string(name), ReadPool(reader, *pool));
    }
  }
  std::vector<policy::EndpointRoute> changed = routes;
  if (const boost::json::object* const object = top.Object("endpoints")) {
    for (const auto& [name, value] : *object) {
      const auto found =
          std::ranges::find(changed, std::string(name), &policy::EndpointRoute::name);
      const boost::json::object* const endpoint = value.if_object();
      if (found == changed.end() || endpoint == nullptr) {
        top.Refuse("endpoints", "an object of objects, each named as a --static-endpoint",
                   boost::json::value(name));
        break;
      }
      JsonReader reader(*endpoint, fmt::format("endpoints.{}.", std::string(name)), failure);
      ReadEndpoint(reader, *endpoint, pools, failure, *found);
    }
  }
  if (failure) return Fail(*std::move(failure));
  routes = std::move(changed);
  return {};
}

}  // namespace penstock::app
