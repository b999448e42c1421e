// StampClock: carries the kernel's receive stamps, which are in real time, over to the monotonic
// clock.
//
// The distance of the two clocks is measured every millisecond, not for each stamp: slewing moves
// it by less than a microsecond meanwhile. After a step of the real clock backwards stamps may be
// wrong for 10 ms, or by up to 10 ms. One thread.
#pragma once

#include "base/clock.h"

namespace penstock::io {

class StampClock {
 public:
  // `stamp`: since the epoch of real time.
  TimePoint ToMonotonic(Duration stamp) {
    const Duration later = stamp - measured_at_;
    if (later > kLaterMax || later < -kEarlierMax) Measure();
    return TimePoint(stamp - distance_);
  }

 private:
  static constexpr Duration kLaterMax = std::chrono::milliseconds(1);
  static constexpr Duration kEarlierMax = std::chrono::milliseconds(10);  // Bytes that waited.
  void Measure();

  Duration measured_at_{};  // Real time.
  Duration distance_{};     // Real minus monotonic.
};

}  // namespace penstock::io
