// CostBucket: an amount of cost that refills at a constant rate up to a depth.
//
// Pure; `now` never goes back. What is taken may overdraw it: then it owes, and refills from there.
// So in any time t at most depth + rate * t is given out, plus what the last request overdrew.
#pragma once

#include <algorithm>
#include <cmath>

#include "base/clock.h"

namespace penstock::policy {

class CostBucket {
 public:
  CostBucket() = default;

  // A bucket of rate 0 has no depth: it covers nothing. Keeps what is in it, up to the new depth; a
  // bucket's first depth comes filled.
  void Configure(double rate_per_s, Duration burst, TimePoint now) {
    Refill(now);
    const double depth = rate_per_s * Seconds(burst);
    level_ = depth_ == 0 ? depth : std::min(level_, depth);
    rate_ = rate_per_s;
    depth_ = depth;
  }

  double rate_per_s() const { return rate_; }
  double depth() const { return depth_; }
  double Level(TimePoint now) {
    Refill(now);
    return level_;
  }

  // A cost above the depth counts as the depth, or its request could never pass.
  bool Covers(double cost, TimePoint now) {
    return Level(now) >= std::min(cost, depth_) && rate_ > 0;
  }
  bool IsPositive(TimePoint now) { return Level(now) > 0; }

  void Take(double cost, TimePoint now) {
    if (rate_ <= 0) return;
    Refill(now);
    level_ -= cost;
  }
  // What does not fit is lost.
  void Give(double cost, TimePoint now) {
    if (rate_ <= 0) return;
    Refill(now);
    level_ = std::min(depth_, level_ + cost);
  }

  // Time until Covers(cost) is true, if nobody takes anything meanwhile; 0 if it is. Rounded up to
  // whole nanoseconds. REQUIRES: a rate above 0.
  Duration UntilCovers(double cost, TimePoint now) { return Until(std::min(cost, depth_), now); }
  Duration UntilPositive(TimePoint now) { return Until(depth_ * 1e-9, now); }

 private:
  Duration Until(double level, TimePoint now) {
    Refill(now);
    if (level_ >= level) return {};
    constexpr double kLongest = 1e9;  // Seconds: keeps the conversion defined.
    const double seconds = std::min((level - level_) / rate_, kLongest);
    return Duration(static_cast<std::int64_t>(std::ceil(seconds * 1e9)) + 1);
  }

  void Refill(TimePoint now) {
    if (now <= at_) return;
    level_ = std::min(depth_, level_ + rate_ * Seconds(now - at_));
    at_ = now;
  }

  double rate_ = 0;
  double depth_ = 0;
  double level_ = 0;
  TimePoint at_{};
};

}  // namespace penstock::policy
