// RateLimiter: an endpoint's AI Gateway limits: calls or tokens a minute, for the endpoint, for
// each user, for each group.
//
// A pure state machine. Tokens are reserved when a request arrives and corrected when it ends.
// Principals come from the caller's key, never from the request's body. Remembers kPrincipalsMax of
// them; beyond that the others share one count, so that nobody gets free by being one of many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "policy/endpoint_policy.h"
#include "policy/window_counter.h"

namespace penstock::policy {

// Who calls, as the key says.
struct Caller {
  std::string_view user = {};                // The key's name.
  std::span<const std::string> groups = {};  // Those that its key belongs to.
};

struct RateRefusal {
  RateLimit limit;
  std::int64_t current = 0;  // Counted in the last minute.
  Duration retry_after{};
};

class RateLimiter {
 public:
  static constexpr std::size_t kPrincipalsMax = 10'000;

  // Keeps the counts of limits that stay the same.
  void Configure(std::vector<RateLimit> limits);
  bool empty() const { return limits_.empty(); }

  // nullopt: it may pass, and is counted. A refused request counts nowhere.
  std::optional<RateRefusal> Arrive(const Caller& caller, std::int64_t tokens, TimePoint now);
  // A request that passed with `reserved` tokens consumed `actual`.
  void Finish(const Caller& caller, std::int64_t reserved, std::int64_t actual, TimePoint now);

  // They passed before there was this limiter, and consumed this: counted, whatever the limits. In
  // order of time, and before anything else.
  void Replay(const Caller& caller, std::int64_t calls, std::int64_t tokens, TimePoint at);

  // Of the strictest limits that count this caller; 0 limit: there is none.
  struct Headroom {
    std::int64_t limit_calls = 0;
    std::int64_t limit_tokens = 0;
    std::int64_t remaining_calls = 0;
    std::int64_t remaining_tokens = 0;
    Duration reset_calls{};  // Until nothing counts any more, if nothing comes.
    Duration reset_tokens{};
  };
  Headroom HeadroomOf(const Caller& caller, TimePoint now);

  std::size_t principals() const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  struct Limit {
    RateLimit rule;
    std::unordered_map<std::string, WindowCounter, Hash, std::equal_to<>> counters;
    WindowCounter others;
  };
  // Calls f(limit, counter) for each count that `caller` falls under.
  template <typename F>
  void ForEachCounter(const Caller& caller, TimePoint now, F f);
  static WindowCounter& CounterOf(Limit& limit, std::string_view principal, TimePoint now);

  std::vector<Limit> limits_;
};

}  // namespace penstock::policy
