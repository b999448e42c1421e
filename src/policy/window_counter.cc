#include "policy/window_counter.h"

#include <algorithm>

namespace penstock::policy {
namespace {

std::int64_t SlotOf(TimePoint now) { return now.time_since_epoch() / WindowCounter::kSlot; }

std::size_t Place(std::int64_t slot) {
  return static_cast<std::size_t>(slot) % WindowCounter::kSlots;
}

}  // namespace

void WindowCounter::Advance(TimePoint now) {
  const std::int64_t slot = SlotOf(now);
  if (slot <= slot_) return;
  if (sum_ != 0) {
    const std::int64_t gone = std::min<std::int64_t>(slot - slot_, kSlots);
    for (std::int64_t i = 1; i <= gone; ++i) {
      std::int64_t& old = slots_[Place(slot_ + i)];
      sum_ -= old;
      old = 0;
    }
  }
  slot_ = slot;
}

std::int64_t WindowCounter::Sum(TimePoint now) {
  Advance(now);
  return sum_;
}

void WindowCounter::Add(std::int64_t amount, TimePoint now) {
  Advance(now);
  // Given back where it lies: newest first.
  if (amount >= 0) {
    slots_[Place(slot_)] += amount;
    sum_ += amount;
    return;
  }
  std::int64_t left = std::min(-amount, sum_);
  for (std::size_t i = 0; i < kSlots && left > 0; ++i) {
    std::int64_t& slot = slots_[Place(slot_ + static_cast<std::int64_t>(kSlots - i))];
    const std::int64_t taken = std::min(left, slot);
    slot -= taken;
    sum_ -= taken;
    left -= taken;
  }
}

Duration WindowCounter::UntilFits(std::int64_t amount, std::int64_t limit, TimePoint now) {
  Advance(now);
  std::int64_t sum = sum_;
  amount = std::min(amount, limit);
  if (sum + amount <= limit) return {};
  for (std::int64_t leaves = 1; leaves < static_cast<std::int64_t>(kSlots); ++leaves) {
    sum -= slots_[Place(slot_ + leaves)];  // The oldest first.
    if (sum + amount <= limit) return TimePoint(kSlot * (slot_ + leaves)) - now;
  }
  return TimePoint(kSlot * (slot_ + static_cast<std::int64_t>(kSlots))) - now;
}

}  // namespace penstock::policy
