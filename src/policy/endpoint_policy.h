// EndpointPolicy: what the path of a request must know of an endpoint beside where its replicas
// are: what it was sold, what happens beyond that, and how far it may go.
//
// Plain values, made by the control plane and carried by the routing table. Costs are normalised
// tokens (policy/capacity.h). Zero means "none" wherever it would otherwise mean "nothing passes".
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "policy/capacity.h"

namespace penstock::policy {

// What becomes of a request that the cap does not cover, or that finds every replica full.
enum class Overload : std::uint8_t {
  kQueue,   // It waits, within the queue's limits: Databricks' provisioned throughput.
  kReject,  // 429 at once, with the time to wait: Azure's provisioned throughput units.
};
std::string_view ToString(Overload overload);  // "queue", "reject"
// kInvalidArgument, naming the words. `field` is what the error names.
Result<Overload> ParseOverload(std::string_view word, const std::string& field);

// Whose replicas serve an endpoint.
enum class Isolation : std::uint8_t {
  kDedicated,  // Its own.
  kShared,     // Those of every shared endpoint of the same model version.
};
std::string_view ToString(Isolation isolation);  // "dedicated", "shared"
Result<Isolation> ParseIsolation(std::string_view word, const std::string& field);

// How a lane's bucket of cost is filled and read.
enum class Accounting : std::uint8_t {
  kContract,     // A request passes when its whole estimate fits: nothing is ever overdrawn by it.
  kUtilization,  // It passes while the bucket is not empty, and may overdraw it: Azure's leaky
                 // bucket. Told to clients as a utilisation in percent.
};

// What a request reserves for its output before it runs.
enum class Reserve : std::uint8_t {
  kLearned,  // The 80th percentile of what this lane produced, at most the request's limit.
  kLimit,    // The request's own limit; without one, the learned value.
};

// A standard deployment's quota: admission only, no capacity behind it. Azure's manner.
struct StandardQuota {
  std::int64_t tokens_per_minute = 0;    // 0: no limit.
  std::int64_t requests_per_minute = 0;  // 0: no limit. Checked in windows of `request_window`.
  Duration request_window = std::chrono::seconds(10);  // 1 s or 10 s.
  // Gives back what was reserved and not produced, as soon as a request ends. Without it the
  // minute's counter only starts anew each minute, which is what Azure's quota page describes.
  bool release = false;
  bool operator==(const StandardQuota&) const = default;
};

// Whom a rate limit counts.
enum class LimitKey : std::uint8_t { kEndpoint, kUser, kUserGroup, kServicePrincipal };
std::string_view ToString(LimitKey key);  // "endpoint", "user", "user_group", "service_principal"
Result<LimitKey> ParseLimitKey(std::string_view word, const std::string& field);

// One AI Gateway limit: calls or tokens a minute, in any 60 seconds.
struct RateLimit {
  LimitKey key = LimitKey::kEndpoint;
  std::string principal = {};  // The one user or group that it is for; "": each one for itself.
  std::int64_t calls = 0;      // Exactly one of calls and tokens is more than 0.
  std::int64_t tokens = 0;
  bool operator==(const RateLimit&) const = default;
};
inline constexpr std::size_t kRateLimitsMax = 20;  // Of one endpoint.

// The contract of one served entity: a lane into its pool.
struct LanePolicy {
  CostWeights weights;
  double guarantee_per_s = 0;  // Floor, cost/s. 0: no promise; every request is yellow.
  double cap_per_s = 0;        // Ceiling, cost/s. 0: none.
  Duration guarantee_burst = std::chrono::seconds(30);  // Depth of the floor's bucket.
  Duration cap_burst = std::chrono::seconds(60);        // Depth of the ceiling's.
  Accounting accounting = Accounting::kContract;
  Reserve reserve = Reserve::kLearned;
  Overload overload = Overload::kQueue;
  double weight = 1;  // Share of what is left over, beside other lanes; more than 0.
  Duration ttft_target = std::chrono::seconds(2);  // A green request's deadline after arrival.
  std::optional<StandardQuota> quota = {};
  bool operator==(const LanePolicy&) const = default;
};

// A pool: what its replicas can do, and how long its queue may be.
struct PoolPolicy {
  double replica_cost_per_s = 0;  // K, from calibration. 0: nobody measured it.
  int replica_concurrency = 0;    // In flight on one replica, at most. 0: as many as come.
  // Prompts that a replica has and has not answered yet, at most, as the time that they take it.
  // Further requests wait here, where the urgent go first; a replica's own line knows none. 0: no
  // bound, as where the cost rate is unknown. One prompt may always be under way.
  Duration prefill_ahead = std::chrono::milliseconds(250);
  double saturation = 0.85;      // Yellow starts only below this share of places taken.
  std::size_t queue_max = 1024;  // Requests of one lane that wait. 0: none may.
  Duration queue_wait_max = std::chrono::seconds(60);
  // Cold start: while no replica is ready, requests wait so long for one. 0: refused at once.
  Duration cold_start_wait_max{};
  std::size_t cold_start_queue_max = 256;  // Of all lanes together; more are refused.
  bool operator==(const PoolPolicy&) const = default;
};

// What somebody may do with an endpoint; each includes those before it.
enum class PermissionLevel : std::uint8_t { kView, kQuery, kManage };

// Whom an endpoint's list of permissions names.
struct Access {
  std::string principal;  // Name of a key, or of a group of keys.
  bool is_group = false;
  PermissionLevel level = PermissionLevel::kQuery;
  bool operator==(const Access&) const = default;
};

// What belongs to the endpoint as a whole.
struct EndpointPolicy {
  std::vector<Access> access = {};  // Beside admins. Empty: every key may query.
  std::vector<RateLimit> rate_limits = {};
  std::string spillover = {};  // Endpoint that takes what this one must refuse; "": none.
  bool fallback = false;       // On 429 and 5xx try the other served entities, in order.
  bool usage_tracking = true;
  bool log_payloads = false;  // Requests and answers go to the inference table.
  bool operator==(const EndpointPolicy&) const = default;
};

// What a key without the admin role may do with an endpoint: the most that its name or one of its
// groups has; nothing where the list names neither.
std::optional<PermissionLevel> RightOf(const EndpointPolicy& policy, std::string_view key,
                                       std::span<const std::string> groups);

// The lane that a range of tokens/s buys on calibrated replicas: floor and ceiling are its ends.
// Without a calibration nobody knows what a replica can do, so nothing is promised and nothing
// capped: the range only weighs against other lanes.
LanePolicy LaneForRange(const ThroughputRange& range,
                        const std::optional<ReplicaCapacity>& capacity);

}  // namespace penstock::policy
