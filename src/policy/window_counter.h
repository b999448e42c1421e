// WindowCounter: how much was counted in the last minute, in twelve slots of five seconds.
//
// A slot leaves as a whole, so the sum is never less than the true one of the last 60 seconds:
// a limit on it holds in every minute, wherever that minute begins. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace penstock::policy {

class WindowCounter {
 public:
  static constexpr Duration kSlot = std::chrono::seconds(5);
  static constexpr std::size_t kSlots = 13;  // The present one, and twelve whole ones before it.

  std::int64_t Sum(TimePoint now);
  // Negative amounts give back; the sum never falls below 0.
  void Add(std::int64_t amount, TimePoint now);
  // Time until `amount` more fits under `limit`, if nothing is added meanwhile. An amount above
  // the limit waits for an empty window.
  Duration UntilFits(std::int64_t amount, std::int64_t limit, TimePoint now);

 private:
  void Advance(TimePoint now);

  std::array<std::int64_t, kSlots> slots_{};  // slots_[i]: of the slot with number % kSlots == i.
  std::int64_t slot_ = 0;                     // Number of the present slot since the clock's zero.
  std::int64_t sum_ = 0;
};

}  // namespace penstock::policy
