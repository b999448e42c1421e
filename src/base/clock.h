// Time: one monotonic clock, and Deadline, the only way that time-outs travel.
#pragma once

#include <chrono>

namespace penstock {

using Duration = std::chrono::nanoseconds;
using Clock = std::chrono::steady_clock;  // CLOCK_MONOTONIC on Linux.
using TimePoint = std::chrono::time_point<Clock, Duration>;
using WallTime = std::chrono::time_point<std::chrono::system_clock, std::chrono::milliseconds>;

// A moment after which an await gives up with Code::kDeadline. Made once, at the edge, from a
// time-out; passed down by value. Never() is "no limit".
class Deadline {
 public:
  constexpr explicit Deadline(TimePoint at) : at_(at) {}
  static constexpr Deadline Never() { return Deadline(TimePoint::max()); }
  static constexpr Deadline After(TimePoint now, Duration timeout) {
    return timeout >= TimePoint::max() - now ? Never() : Deadline(now + timeout);
  }

  constexpr TimePoint at() const { return at_; }
  constexpr bool IsNever() const { return at_ == TimePoint::max(); }
  constexpr bool Passed(TimePoint now) const { return now >= at_; }
  constexpr auto operator<=>(const Deadline&) const = default;

 private:
  TimePoint at_;
};

// The earlier of two deadlines.
constexpr Deadline Earlier(Deadline a, Deadline b) { return a < b ? a : b; }

// Seconds and milliseconds as floating point, for reports and metrics.
constexpr double Seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
constexpr double Milliseconds(Duration d) {
  return std::chrono::duration<double, std::milli>(d).count();
}

}  // namespace penstock
