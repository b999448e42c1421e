#include "policy/quota_meter.h"

#include <algorithm>

namespace penstock::policy {
namespace {

constexpr Duration kMinute = std::chrono::minutes(1);

}  // namespace

std::int64_t QuotaMeter::TokensOf(const RequestSize& size, std::int64_t input_tokens) {
  if (!size.generates) return input_tokens;
  return input_tokens + size.tokens_max.value_or(kOutputTokens) * size.choices;
}

std::int64_t QuotaMeter::RequestsInWindow(const StandardQuota& quota) {
  const std::int64_t seconds =
      std::chrono::duration_cast<std::chrono::seconds>(
          std::max<Duration>(quota.request_window, std::chrono::seconds(1)))
          .count();
  return std::max<std::int64_t>(1, quota.requests_per_minute * seconds / 60);
}

void QuotaMeter::Advance(const StandardQuota& quota, TimePoint now) {
  if (now - minute_ >= kMinute || minute_ == TimePoint{}) {
    minute_ = now;
    tokens_ = 0;
  }
  if (now - window_ >= quota.request_window || window_ == TimePoint{}) {
    window_ = now;
    requests_ = 0;
  }
}

QuotaMeter::Answer QuotaMeter::Check(const StandardQuota& quota, TimePoint now) {
  Advance(quota, now);
  Answer answer;
  if (quota.requests_per_minute > 0 && requests_ >= RequestsInWindow(quota)) {
    answer = {Short::kRequests, window_ + quota.request_window - now};
  }
  if (quota.tokens_per_minute > 0 && tokens_ >= quota.tokens_per_minute) {
    const Duration wait = minute_ + kMinute - now;
    if (wait > answer.retry_after) answer = {Short::kTokens, wait};
  }
  return answer;
}

void QuotaMeter::Take(std::int64_t tokens, TimePoint) {
  tokens_ += tokens;
  ++requests_;
}

void QuotaMeter::Finish(const StandardQuota& quota, std::int64_t reserved, std::int64_t actual,
                        TimePoint taken_at, TimePoint now) {
  if (!quota.release) return;
  Advance(quota, now);
  if (taken_at < minute_) return;  // Its minute is over, and with it what it held.
  tokens_ = std::max<std::int64_t>(0, tokens_ - reserved + actual);
}

QuotaMeter::Headroom QuotaMeter::HeadroomOf(const StandardQuota& quota, TimePoint now) {
  Advance(quota, now);
  Headroom room;
  room.remaining_tokens = std::max<std::int64_t>(0, quota.tokens_per_minute - tokens_);
  room.reset_tokens = minute_ + kMinute - now;
  if (quota.requests_per_minute > 0) {
    room.limit_requests = RequestsInWindow(quota);
    room.remaining_requests = std::max<std::int64_t>(0, room.limit_requests - requests_);
    room.reset_requests = window_ + quota.request_window - now;
  }
  return room;
}

}  // namespace penstock::policy
