// BusyWait: how long a loop looks for events before it sleeps. Pure: pauses in, lengths out.
//
// To be woken costs a thread tens of microseconds on a virtual machine, whose processor stops when
// it has nothing to do; a server's answer is often there sooner than that. So a loop may look for a
// moment before it sleeps. It looks only while that pays: when at least a quarter of the looks find
// something, and no longer than nine tenths of those took that did. Where the processor is wanted
// by others, it does not look at all.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace penstock::io {

class BusyWait {
 public:
  // Of the looks that are tried though they do not seem to pay, or beyond their length: one in so
  // many (an odd number: pauses often alternate), so that a change is noticed.
  static constexpr std::uint32_t kTrialEvery = 31;
  // Looks that find something, of all: below it does not pay.
  static constexpr double kPaysFrom = 0.25;
  // Without looking, after the processor was wanted by others: at first, and at most.
  static constexpr Duration kRestMin = std::chrono::milliseconds(100);
  static constexpr Duration kRestMax = std::chrono::seconds(2);

  // Never longer than `longest`; zero: never.
  explicit BusyWait(Duration longest = Duration::zero()) : longest_(longest) {}

  // The loop has nothing to do: for how long it looks now, before it sleeps.
  Duration Next(TimePoint now) {
    if (longest_ == Duration::zero() || now < rests_until_) return Duration::zero();
    const bool trial = ++looks_ % kTrialEvery == 0;
    if (trial) return longest_;
    if (found_.back() < kPaysFrom) return Duration::zero();
    for (std::size_t i = 0; i < kSteps; ++i) {
      if (found_[i] >= 0.9 * found_.back()) return Bound(i);
    }
    return longest_;
  }

  // How a look ended that Next() gave: an event came after so long; or none did.
  void Found(Duration after) {
    for (std::size_t i = 0; i < kSteps; ++i) Note(found_[i], after <= Bound(i));
  }
  void FoundNothing() {
    for (double& found : found_) Note(found, false);
  }

  // Others wanted the processor at `now`: no look for a while, which doubles from time to time.
  void Disturbed(TimePoint now) {
    const bool again = now - rests_until_ < kRestMax;
    rest_ = again ? std::min(2 * rest_, kRestMax) : kRestMin;
    rests_until_ = now + rest_;
  }

  Duration longest() const { return longest_; }

 private:
  static constexpr std::size_t kSteps = 4;

  Duration Bound(std::size_t step) const { return longest_ / (1 << (kSteps - 1 - step)); }
  // A mean over the last 32 or so.
  static void Note(double& share, bool found) { share += ((found ? 1.0 : 0.0) - share) / 32; }

  Duration longest_;
  std::array<double, kSteps> found_{};  // Share of looks that found something within the step.
  std::uint32_t looks_ = 0;
  Duration rest_ = kRestMin / 2;
  TimePoint rests_until_{};
};

}  // namespace penstock::io
