#include "policy/lane.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace penstock::policy {

std::string_view ToString(Refusal refusal) {
  constexpr std::array<std::string_view, kRefusals> kWords = {
      "none",    "cap",        "utilization", "quota_tokens", "quota_requests",
      "no_room", "queue_full", "queue_wait",  "no_replica"};
  return kWords[static_cast<std::size_t>(refusal)];
}

bool IsForCapacity(Refusal refusal) {
  return refusal == Refusal::kNoRoom || refusal == Refusal::kQueueFull ||
         refusal == Refusal::kQueueWait || refusal == Refusal::kNoReplica;
}

void Lane::Configure(const LanePolicy& next, TimePoint now) {
  policy = next;
  policy.weight = std::max(policy.weight, 1e-6);
  cap.Configure(next.cap_per_s, next.cap_burst, now);
  guarantee.Configure(next.guarantee_per_s, next.guarantee_burst, now);
}

bool Lane::IsBelowCap(double cost, TimePoint now) {
  if (policy.cap_per_s <= 0) return true;
  return policy.accounting == Accounting::kUtilization ? cap.IsPositive(now)
                                                       : cap.Covers(cost, now);
}

bool Lane::IsWithinGuarantee(double cost, TimePoint now) {
  if (policy.guarantee_per_s <= 0) return false;
  return policy.accounting == Accounting::kUtilization ? guarantee.IsPositive(now)
                                                       : guarantee.Covers(cost, now);
}

Lane::Answer Lane::Check(double cost, TimePoint now) {
  if (policy.quota) {
    const QuotaMeter::Answer answer = quota.Check(*policy.quota, now);
    if (answer.over == QuotaMeter::Short::kTokens) {
      return {Refusal::kQuotaTokens, answer.retry_after};
    }
    if (answer.over == QuotaMeter::Short::kRequests) {
      return {Refusal::kQuotaRequests, answer.retry_after};
    }
  }
  if (IsBelowCap(cost, now)) return {};
  if (policy.accounting == Accounting::kUtilization) {
    return {Refusal::kUtilization, cap.UntilPositive(now)};
  }
  return {Refusal::kCap, cap.UntilCovers(cost, now)};
}

Lane::Headroom Lane::HeadroomAt(TimePoint now) {
  Headroom room;
  if (policy.cap_per_s > 0) {
    const double level = cap.Level(now);
    room.limit_tokens = std::llround(policy.cap_per_s * 60);
    room.remaining_tokens = std::llround(std::max(0.0, level));
    room.reset_tokens = cap.UntilCovers(cap.depth(), now);
    if (policy.accounting == Accounting::kUtilization) room.utilization = 1 - level / cap.depth();
  }
  if (policy.quota) {
    const QuotaMeter::Headroom left = quota.HeadroomOf(*policy.quota, now);
    if (policy.quota->tokens_per_minute > 0) {
      room.limit_tokens = policy.quota->tokens_per_minute;
      room.remaining_tokens = left.remaining_tokens;
      room.reset_tokens = left.reset_tokens;
    }
    room.limit_requests = left.limit_requests;
    room.requests_per_minute = policy.quota->requests_per_minute;
    room.remaining_requests = left.remaining_requests;
    room.reset_requests = left.reset_requests;
  }
  return room;
}

}  // namespace penstock::policy
