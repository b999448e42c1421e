// The counters under the limits: CostBucket, WindowCounter, RateLimiter, QuotaMeter, RetryBudget.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "policy/cost_bucket.h"
#include "policy/quota_meter.h"
#include "policy/rate_limiter.h"
#include "policy/retry_budget.h"
#include "policy/window_counter.h"

namespace penstock::policy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const TimePoint kStart = TimePoint(seconds(1'000'000));

// In any time t at most depth + rate * t passes, plus one request.
TEST(CostBucket, NeverGivesOutMoreThanItsRate) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const double rate = 1 + static_cast<double>(random.Below(1000));
    CostBucket bucket;
    bucket.Configure(rate, seconds(1 + random.Below(60)), kStart);
    double out = 0;
    double largest = 0;
    TimePoint now = kStart;
    for (int i = 0; i < 500; ++i) {
      now += milliseconds(random.Below(2000));
      const double cost = static_cast<double>(random.Below(5000));
      if (!bucket.Covers(cost, now)) {
        const Duration wait = bucket.UntilCovers(cost, now);
        EXPECT_GT(wait, Duration{});
        CostBucket later = bucket;
        EXPECT_TRUE(later.Covers(cost, now + wait)) << "the time told is enough";
        later = bucket;
        EXPECT_FALSE(later.Covers(cost, now + wait - milliseconds(1))) << "and not too long";
        continue;
      }
      bucket.Take(cost, now);
      out += cost;
      largest = std::max(largest, cost);
      if (random.Below(3) == 0) {
        const double unused = cost * random.Uniform();
        bucket.Give(unused, now);
        out -= unused;
      }
      EXPECT_LE(out, bucket.depth() + rate * Seconds(now - kStart) + largest + 1e-6);
    }
  }
}

TEST(CostBucket, CoversARequestAboveItsDepthWhenFull) {
  CostBucket bucket;
  bucket.Configure(10, seconds(1), kStart);
  EXPECT_TRUE(bucket.Covers(1e9, kStart));
  bucket.Take(1, kStart);
  EXPECT_FALSE(bucket.Covers(1e9, kStart));
  EXPECT_TRUE(bucket.Covers(1e9, kStart + milliseconds(100)));
}

TEST(CostBucket, WithoutARateCoversNothing) {
  CostBucket bucket;
  EXPECT_FALSE(bucket.Covers(0, kStart));
  EXPECT_FALSE(bucket.Covers(1, kStart + seconds(1000)));
}

TEST(CostBucket, KeepsWhatIsInItWhenItsRateChanges) {
  CostBucket bucket;
  bucket.Configure(10, seconds(10), kStart);
  bucket.Take(70, kStart);
  bucket.Configure(100, seconds(10), kStart);
  EXPECT_DOUBLE_EQ(bucket.Level(kStart), 30);
  bucket.Configure(1, seconds(10), kStart);
  EXPECT_DOUBLE_EQ(bucket.Level(kStart), 10);
}

// Against a list of everything: no window of 60 s, wherever it begins, exceeds the limit.
TEST(WindowCounter, HoldsInEveryMinute) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const auto limit = static_cast<std::int64_t>(1 + random.Below(50));
    WindowCounter counter;
    std::vector<std::pair<TimePoint, std::int64_t>> passed;
    TimePoint now = kStart + milliseconds(random.Below(5000));
    for (int i = 0; i < 400; ++i) {
      now += milliseconds(random.Below(8000));
      const auto amount = static_cast<std::int64_t>(1 + random.Below(10));
      const Duration wait = counter.UntilFits(amount, limit, now);
      WindowCounter later = counter;
      EXPECT_LE(later.UntilFits(amount, limit, now + wait), Duration{});
      if (wait > Duration{}) continue;
      counter.Add(amount, now);
      passed.emplace_back(now, amount);
      std::int64_t in_minute = 0;
      for (const auto& [at, count] : passed) in_minute += now - at < seconds(60) ? count : 0;
      EXPECT_LE(in_minute, std::max(limit, amount));
    }
  }
}

TEST(WindowCounter, GivesBackAndNeverOwes) {
  WindowCounter counter;
  counter.Add(10, kStart);
  counter.Add(-4, kStart + seconds(7));
  EXPECT_EQ(counter.Sum(kStart + seconds(7)), 6);
  counter.Add(-100, kStart + seconds(8));
  EXPECT_EQ(counter.Sum(kStart + seconds(8)), 0);
  counter.Add(3, kStart + seconds(8));
  EXPECT_EQ(counter.Sum(kStart + seconds(80)), 0);
}

TEST(RateLimiter, CountsEachUserForItself) {
  RateLimiter limiter;
  limiter.Configure({{.key = LimitKey::kUser, .calls = 2}});
  const Caller ann{.user = "ann"};
  const Caller bob{.user = "bob"};
  EXPECT_FALSE(limiter.Arrive(ann, 0, kStart));
  EXPECT_FALSE(limiter.Arrive(ann, 0, kStart));
  const auto refused = limiter.Arrive(ann, 0, kStart);
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->current, 2);
  EXPECT_LE(refused->retry_after, seconds(65));
  EXPECT_FALSE(limiter.Arrive(bob, 0, kStart));
  EXPECT_FALSE(limiter.Arrive(ann, 0, kStart + refused->retry_after));
}

TEST(RateLimiter, TheStrictestLimitDecidesAndARefusalCountsNowhere) {
  RateLimiter limiter;
  limiter.Configure({{.key = LimitKey::kEndpoint, .tokens = 100},
                     {.key = LimitKey::kUserGroup, .principal = "interns", .calls = 1}});
  const std::vector<std::string> groups = {"interns", "staff"};
  const Caller intern{.user = "ann", .groups = groups};
  EXPECT_FALSE(limiter.Arrive(intern, 40, kStart));
  EXPECT_TRUE(limiter.Arrive(intern, 40, kStart));
  const Caller boss{.user = "bob"};
  EXPECT_FALSE(limiter.Arrive(boss, 60, kStart)) << "the refused 40 were not counted";
  EXPECT_TRUE(limiter.Arrive(boss, 1, kStart));
  EXPECT_EQ(limiter.HeadroomOf(boss, kStart).remaining_tokens, 0);
}

TEST(RateLimiter, GivesBackWhatWasNotProduced) {
  RateLimiter limiter;
  limiter.Configure({{.tokens = 100}});
  EXPECT_FALSE(limiter.Arrive({.user = "a"}, 100, kStart));
  limiter.Finish({.user = "a"}, 100, 30, kStart + seconds(1));
  EXPECT_EQ(limiter.HeadroomOf({.user = "a"}, kStart + seconds(1)).remaining_tokens, 70);
}

// The time that is told is the time until all of it is there again, and no longer.
TEST(RateLimiter, TellsWhenALimitIsWholeAgain) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    RateLimiter limiter;
    limiter.Configure({{.calls = 50}, {.tokens = 1000}});
    const Caller ann{.user = "ann"};
    EXPECT_EQ(limiter.HeadroomOf(ann, kStart).reset_calls, Duration{});
    TimePoint now = kStart;
    for (std::uint64_t i = 0; i < 1 + random.Below(40); ++i) {
      now += milliseconds(random.Below(3000));
      (void)limiter.Arrive(ann, 1 + static_cast<std::int64_t>(random.Below(50)), now);
    }
    now += milliseconds(random.Below(70'000));
    const RateLimiter::Headroom room = limiter.HeadroomOf(ann, now);
    EXPECT_EQ(limiter.HeadroomOf(ann, now + room.reset_calls).remaining_calls, 50);
    EXPECT_EQ(limiter.HeadroomOf(ann, now + room.reset_tokens).remaining_tokens, 1000);
    EXPECT_LE(room.reset_calls, seconds(65));
    if (room.reset_calls == Duration{}) continue;
    RateLimiter early;
    early.Configure({{.calls = 1}});
    ASSERT_FALSE(early.Arrive(ann, 0, kStart));
    const Duration wait = early.HeadroomOf(ann, kStart).reset_calls;
    EXPECT_EQ(early.HeadroomOf(ann, kStart + wait - Duration(1)).remaining_calls, 0);
    EXPECT_EQ(early.HeadroomOf(ann, kStart + wait).remaining_calls, 1);
  }
}

TEST(RateLimiter, KeepsCountsOfLimitsThatStay) {
  RateLimiter limiter;
  limiter.Configure({{.calls = 1}});
  EXPECT_FALSE(limiter.Arrive({.user = "a"}, 0, kStart));
  limiter.Configure({{.key = LimitKey::kUser, .calls = 5}, {.calls = 1}});
  EXPECT_TRUE(limiter.Arrive({.user = "a"}, 0, kStart));
}

// Made-up users cannot fill the memory, and do not get free by being many.
TEST(RateLimiter, RemembersABoundedNumberOfPrincipals) {
  RateLimiter limiter;
  limiter.Configure({{.key = LimitKey::kUser, .calls = 1}});
  std::size_t passed = 0;
  for (std::size_t i = 0; i < RateLimiter::kPrincipalsMax + 1000; ++i) {
    passed += limiter.Arrive({.user = std::to_string(i)}, 0, kStart) ? 0 : 1;
  }
  EXPECT_EQ(limiter.principals(), RateLimiter::kPrincipalsMax);
  EXPECT_EQ(passed, RateLimiter::kPrincipalsMax + 1);
  EXPECT_FALSE(limiter.Arrive({.user = "new"}, 0, kStart + seconds(120))) << "old ones are dropped";
}

TEST(QuotaMeter, RefusesUntilTheMinuteStartsAnew) {
  QuotaMeter meter;
  const StandardQuota quota{.tokens_per_minute = 1000};
  EXPECT_EQ(meter.Check(quota, kStart).over, QuotaMeter::Short::kNone);
  meter.Take(1500, kStart);
  const auto refused = meter.Check(quota, kStart + seconds(20));
  EXPECT_EQ(refused.over, QuotaMeter::Short::kTokens);
  EXPECT_EQ(refused.retry_after, seconds(40));
  EXPECT_EQ(meter.Check(quota, kStart + seconds(60)).over, QuotaMeter::Short::kNone);
}

TEST(QuotaMeter, SpreadsRequestsOverWindows) {
  QuotaMeter meter;
  const StandardQuota quota{.requests_per_minute = 60, .request_window = seconds(10)};
  for (int i = 0; i < 10; ++i) {
    EXPECT_EQ(meter.Check(quota, kStart).over, QuotaMeter::Short::kNone);
    meter.Take(1, kStart);
    const auto room = meter.HeadroomOf(quota, kStart);
    EXPECT_EQ(room.limit_requests, 10);
    EXPECT_EQ(room.remaining_requests, 9 - i) << "limit and rest are of the same window";
  }
  const auto refused = meter.Check(quota, kStart + seconds(4));
  EXPECT_EQ(refused.over, QuotaMeter::Short::kRequests);
  EXPECT_EQ(refused.retry_after, seconds(6));
  EXPECT_EQ(meter.Check(quota, kStart + seconds(10)).over, QuotaMeter::Short::kNone);
}

TEST(QuotaMeter, ReleasesOnlyWhereTheQuotaSaysSo) {
  for (const bool release : {false, true}) {
    QuotaMeter meter;
    const StandardQuota quota{.tokens_per_minute = 1000, .release = release};
    (void)meter.Check(quota, kStart);
    meter.Take(1000, kStart);
    meter.Finish(quota, 1000, 10, kStart, kStart + seconds(1));
    EXPECT_EQ(meter.HeadroomOf(quota, kStart + seconds(1)).remaining_tokens, release ? 990 : 0);
    // What was reserved in a minute that is over is not given back in the next.
    EXPECT_EQ(meter.HeadroomOf(quota, kStart + seconds(61)).remaining_tokens, 1000);
    meter.Take(500, kStart + seconds(61));
    meter.Finish(quota, 1000, 10, kStart, kStart + seconds(62));
    EXPECT_EQ(meter.HeadroomOf(quota, kStart + seconds(62)).remaining_tokens, 500);
  }
}

TEST(QuotaMeter, CountsSixteenTokensWhereNoLimitIsNamed) {
  EXPECT_EQ(QuotaMeter::TokensOf({}, 100), 116);
  EXPECT_EQ(QuotaMeter::TokensOf({.tokens_max = 50, .choices = 3}, 100), 250);
  EXPECT_EQ(QuotaMeter::TokensOf({.generates = false}, 100), 100);
}

TEST(RetryBudget, RetriesAreAShareOfRequests) {
  RetryBudget budget;
  int retries = 0;
  for (int i = 0; i < 1000; ++i) {
    budget.OnRequest();
    retries += budget.Take() ? 1 : 0;
  }
  EXPECT_LE(retries, 10 + 100);
  EXPECT_GE(retries, 100);
}

}  // namespace
}  // namespace penstock::policy
