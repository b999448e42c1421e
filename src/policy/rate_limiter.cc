#include "policy/rate_limiter.h"

#include <algorithm>
#include <utility>

namespace penstock::policy {
namespace {

std::int64_t LimitOf(const RateLimit& rule) { return rule.calls > 0 ? rule.calls : rule.tokens; }

std::int64_t AmountOf(const RateLimit& rule, std::int64_t tokens) {
  return rule.calls > 0 ? 1 : tokens;
}

}  // namespace

void RateLimiter::Configure(std::vector<RateLimit> limits) {
  std::vector<Limit> next;
  next.reserve(limits.size());
  for (RateLimit& rule : limits) {
    const auto old = std::ranges::find(limits_, rule, &Limit::rule);
    next.push_back(old == limits_.end()
                       ? Limit{.rule = std::move(rule), .counters = {}, .others = {}}
                       : std::move(*old));
  }
  limits_ = std::move(next);
}

WindowCounter& RateLimiter::CounterOf(Limit& limit, std::string_view principal, TimePoint now) {
  const auto found = limit.counters.find(principal);
  if (found != limit.counters.end()) return found->second;
  if (limit.counters.size() >= kPrincipalsMax) {
    for (auto it = limit.counters.begin(); it != limit.counters.end();) {
      it = it->second.Sum(now) == 0 ? limit.counters.erase(it) : std::next(it);
    }
  }
  if (limit.counters.size() >= kPrincipalsMax) return limit.others;
  return limit.counters[std::string(principal)];
}

template <typename F>
void RateLimiter::ForEachCounter(const Caller& caller, TimePoint now, F f) {
  for (Limit& limit : limits_) {
    const RateLimit& rule = limit.rule;
    const auto matches = [&rule](std::string_view who) {
      return rule.principal.empty() || rule.principal == who;
    };
    switch (rule.key) {
      case LimitKey::kEndpoint:
        f(rule, limit.others);
        break;
      case LimitKey::kUser:
      case LimitKey::kServicePrincipal:
        if (matches(caller.user)) f(rule, CounterOf(limit, caller.user, now));
        break;
      case LimitKey::kUserGroup:
        for (const std::string& group : caller.groups) {
          if (matches(group)) f(rule, CounterOf(limit, group, now));
        }
        break;
    }
  }
}

std::optional<RateRefusal> RateLimiter::Arrive(const Caller& caller, std::int64_t tokens,
                                               TimePoint now) {
  std::optional<RateRefusal> refusal;
  ForEachCounter(caller, now, [&](const RateLimit& rule, WindowCounter& counter) {
    const Duration wait = counter.UntilFits(AmountOf(rule, tokens), LimitOf(rule), now);
    if (wait <= Duration{} || (refusal && refusal->retry_after >= wait)) return;
    refusal = RateRefusal{.limit = rule, .current = counter.Sum(now), .retry_after = wait};
  });
  if (refusal) return refusal;
  ForEachCounter(caller, now, [&](const RateLimit& rule, WindowCounter& counter) {
    counter.Add(AmountOf(rule, tokens), now);
  });
  return std::nullopt;
}

void RateLimiter::Finish(const Caller& caller, std::int64_t reserved, std::int64_t actual,
                         TimePoint now) {
  if (reserved == actual) return;
  ForEachCounter(caller, now, [&](const RateLimit& rule, WindowCounter& counter) {
    if (rule.tokens > 0) counter.Add(actual - reserved, now);
  });
}

void RateLimiter::Replay(const Caller& caller, std::int64_t calls, std::int64_t tokens,
                         TimePoint at) {
  ForEachCounter(caller, at, [&](const RateLimit& rule, WindowCounter& counter) {
    counter.Add(rule.calls > 0 ? calls : tokens, at);
  });
}

RateLimiter::Headroom RateLimiter::HeadroomOf(const Caller& caller, TimePoint now) {
  Headroom room;
  ForEachCounter(caller, now, [&](const RateLimit& rule, WindowCounter& counter) {
    const std::int64_t left = std::max<std::int64_t>(0, LimitOf(rule) - counter.Sum(now));
    std::int64_t& limit = rule.calls > 0 ? room.limit_calls : room.limit_tokens;
    std::int64_t& remaining = rule.calls > 0 ? room.remaining_calls : room.remaining_tokens;
    if (limit != 0 && remaining <= left) return;
    limit = LimitOf(rule);
    remaining = left;
    (rule.calls > 0 ? room.reset_calls : room.reset_tokens) = counter.UntilFits(limit, limit, now);
  });
  return room;
}

std::size_t RateLimiter::principals() const {
  std::size_t count = 0;
  for (const Limit& limit : limits_) count += limit.counters.size();
  return count;
}

}  // namespace penstock::policy
