#include "io/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "base/check.h"

namespace penstock::io {

void Timer::Disarm() {
  if (wheel_ == nullptr) return;
  *link_ = next_;
  if (next_ != nullptr) next_->link_ = link_;
  if (wheel_->slots_[slot_] == nullptr) {
    wheel_->occupied_[slot_ / 64] &= ~(std::uint64_t{1} << (slot_ % 64));
  }
  --wheel_->size_;
  wheel_ = nullptr;
  next_ = nullptr;
  link_ = nullptr;
}

TimerWheel::~TimerWheel() { CHECK(size_ == 0, "a timer outlives its wheel"); }

void TimerWheel::Arm(Timer& timer, TimePoint due) {
  timer.Disarm();
  // One tick later than the due moment's own, so that a sweep never comes early; never a swept
  // tick.
  const std::int64_t tick = std::max(TickOf(due) + 1, swept_ + 1);
  const auto slot = static_cast<std::uint32_t>(tick % static_cast<std::int64_t>(kSlots));
  timer.wheel_ = this;
  timer.due_ = due;
  timer.slot_ = slot;
  timer.link_ = &slots_[slot];
  timer.next_ = slots_[slot];
  if (timer.next_ != nullptr) timer.next_->link_ = &timer.next_;
  slots_[slot] = &timer;
  occupied_[slot / 64] |= std::uint64_t{1} << (slot % 64);
  ++size_;
}

void TimerWheel::Advance(TimePoint now) {
  const std::int64_t tick = TickOf(now);
  if (tick <= swept_) return;
  const std::int64_t first = std::max(swept_ + 1, tick - static_cast<std::int64_t>(kSlots) + 1);
  swept_ = tick;  // Before firing: what a callback arms belongs to later ticks.
  if (size_ == 0) return;
  for (std::int64_t t = first; t <= tick; ++t) {
    SweepSlot(static_cast<std::size_t>(t % static_cast<std::int64_t>(kSlots)), now);
  }
}

// Unlinks the slot's whole list first, since callbacks may arm and disarm any timer, those of this
// list included.
void TimerWheel::SweepSlot(std::size_t slot, TimePoint now) {
  Timer* list = slots_[slot];
  if (list == nullptr) return;
  slots_[slot] = nullptr;
  occupied_[slot / 64] &= ~(std::uint64_t{1} << (slot % 64));
  list->link_ = &list;
  while (list != nullptr) {
    Timer& timer = *list;
    const TimePoint due = timer.due_;
    timer.Disarm();
    if (due <= now) {
      timer.OnTimer(now);
    } else {
      Arm(timer, due);  // A later turn of the wheel.
    }
  }
}

TimePoint TimerWheel::NextWake() const {
  if (size_ == 0) return TimePoint::max();
  for (std::size_t ahead = 1; ahead <= kSlots;) {
    const auto slot = static_cast<std::size_t>(swept_ + static_cast<std::int64_t>(ahead)) % kSlots;
    const std::uint64_t bits = occupied_[slot / 64] >> (slot % 64);
    if (bits != 0) {
      const auto distance = static_cast<std::int64_t>(ahead) + std::countr_zero(bits);
      return TimePoint((swept_ + distance) * kTick);
    }
    ahead += 64 - slot % 64;
  }
  return TimePoint((swept_ + static_cast<std::int64_t>(kSlots)) * kTick);
}

}  // namespace penstock::io
