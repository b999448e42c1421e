// QuotaMeter: a standard deployment's quota in Azure's manner: tokens in a minute that starts anew,
// requests in windows of 1 s or 10 s.
//
// A pure state machine. The estimate is Azure's: prompt tokens plus the request's own limit (16
// where it names none) for every choice. A refused request takes nothing; one that was admitted
// and failed stays counted, unless the quota releases.
#pragma once

#include <cstdint>

#include "base/clock.h"
#include "policy/cost.h"
#include "policy/endpoint_policy.h"

namespace penstock::policy {

class QuotaMeter {
 public:
  static constexpr std::int64_t kOutputTokens = 16;  // What Azure counts for no limit.

  static std::int64_t TokensOf(const RequestSize& size, std::int64_t input_tokens);

  enum class Short : std::uint8_t { kNone, kTokens, kRequests };
  struct Answer {
    Short over = Short::kNone;
    Duration retry_after{};
  };
  // Looks only. Admits while the minute's counter is below the limit: the request that passes it
  // is the last one.
  Answer Check(const StandardQuota& quota, TimePoint now);
  // Counts one that was admitted.
  void Take(std::int64_t tokens, TimePoint now);
  // It ended having consumed `actual`; `taken_at` is when it was counted.
  void Finish(const StandardQuota& quota, std::int64_t reserved, std::int64_t actual,
              TimePoint taken_at, TimePoint now);

  struct Headroom {
    std::int64_t limit_requests = 0;  // Of one window; 0: there is none.
    std::int64_t remaining_requests = 0;
    std::int64_t remaining_tokens = 0;
    Duration reset_requests{};
    Duration reset_tokens{};
  };
  Headroom HeadroomOf(const StandardQuota& quota, TimePoint now);

 private:
  void Advance(const StandardQuota& quota, TimePoint now);
  static std::int64_t RequestsInWindow(const StandardQuota& quota);

  TimePoint minute_{};  // Start of the present minute: the first request after the last one's end.
  TimePoint window_{};
  std::int64_t tokens_ = 0;
  std::int64_t requests_ = 0;
};

}  // namespace penstock::policy
