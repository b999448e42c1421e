// Lane: one served entity's contract at work: its buckets, its quota, what it learned, and those of
// its requests that wait. A part of Dispatcher.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "base/clock.h"
#include "policy/cost.h"
#include "policy/cost_bucket.h"
#include "policy/endpoint_policy.h"
#include "policy/quota_meter.h"

namespace penstock::policy {

using RequestId = std::uint64_t;

enum class Colour : std::uint8_t { kGreen, kYellow };

// Why a request is not served.
enum class Refusal : std::uint8_t {
  kNone,
  kCap,            // Over the lane's ceiling.
  kUtilization,    // Its provisioned units are used up.
  kQuotaTokens,    // The minute's tokens are used up.
  kQuotaRequests,  // The window's requests are.
  kNoRoom,         // Every replica is full, and the lane does not queue.
  kQueueFull,
  kQueueWait,  // It waited as long as it may.
  kNoReplica,  // None is ready.
};
inline constexpr std::size_t kRefusals = 9;
std::string_view ToString(Refusal refusal);  // "cap", "utilization", …
// True for those that more replicas would have served.
bool IsForCapacity(Refusal refusal);

// What was counted of a lane's requests since it exists.
struct LaneCounts {
  std::uint64_t green = 0;     // Started within the guarantee, those promoted among them.
  std::uint64_t yellow = 0;    // Started beyond it.
  std::uint64_t promoted = 0;  // Queued beyond it, and started within it after all.
  std::uint64_t refused[kRefusals] = {};
};

struct Lane {
  std::string key;
  LanePolicy policy;
  CostBucket cap;        // No rate: no ceiling.
  CostBucket guarantee;  // No rate: nothing is green.
  QuotaMeter quota;
  CostEstimator estimator;
  double virtual_cost = 0;     // The VTC: what it drew beyond its guarantee.
  std::deque<RequestId> line;  // Not green yet, oldest first; those that left may still be named.
  std::size_t waiting = 0;     // In `line` and green ones.
  std::size_t running = 0;
  bool removed = false;  // From the table; lives until its last request ends.
  LaneCounts counts;

  void Configure(const LanePolicy& next, TimePoint now);

  // Whether `cost` may pass below the ceiling; takes nothing.
  bool IsBelowCap(double cost, TimePoint now);
  // Whether it would be green now.
  bool IsWithinGuarantee(double cost, TimePoint now);
  double virtual_share() const { return virtual_cost / policy.weight; }

  struct Answer {
    Refusal refusal = Refusal::kNone;
    Duration retry_after{};
  };
  // What the contract says to a request of `cost`, before anything is taken. For lanes that queue,
  // kCap and kUtilization only mean that it has to wait.
  Answer Check(double cost, TimePoint now);

  // The lane as rate headers tell it.
  struct Headroom {
    std::int64_t limit_requests = 0;       // In its window; 0: there is no such limit.
    std::int64_t requests_per_minute = 0;  // What that window is a part of.
    std::int64_t limit_tokens = 0;
    std::int64_t remaining_requests = 0;
    std::int64_t remaining_tokens = 0;
    Duration reset_requests{};
    Duration reset_tokens{};
    double utilization = -1;  // 0 to 1 and above; negative: not told.
  };
  Headroom HeadroomAt(TimePoint now);
};

}  // namespace penstock::policy
