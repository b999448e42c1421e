// TimerWheel: deadlines by the thousand, coarse and cheap.
//
// A hashed wheel of 1,024 slots of 8 ms: arming and disarming are a few pointer writes. A timer
// fires up to one slot late, never early. Timers beyond one turn stay in their slot for further
// turns. Exact sleeps are the loop's business, not the wheel's. One thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace penstock::io {

class TimerWheel;

// One armed moment. Its owner embeds it; destroying it disarms it.
class Timer {
 public:
  Timer() = default;
  virtual ~Timer() { Disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const { return wheel_ != nullptr; }
  TimePoint due() const { return due_; }
  void Disarm();

 protected:
  // Called by the wheel, once per Arm(), disarmed already; may arm again.
  virtual void OnTimer(TimePoint now) = 0;

 private:
  friend class TimerWheel;
  TimerWheel* wheel_ = nullptr;  // Borrowed while armed.
  Timer* next_ = nullptr;
  Timer** link_ = nullptr;  // What points at this timer.
  TimePoint due_{};
  std::uint32_t slot_ = 0;
};

class TimerWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(8);
  static constexpr std::size_t kSlots = 1024;

  explicit TimerWheel(TimePoint start) : swept_(TickOf(start)) {}
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms (or moves) `timer` for `due`.
  void Arm(Timer& timer, TimePoint due);

  // Fires what is due at `now`, in the order of the slots. `now` never goes back.
  void Advance(TimePoint now);

  // When Advance() should next be called: no later than one slot after the first due timer;
  // TimePoint::max() when none is armed.
  TimePoint NextWake() const;

  std::size_t size() const { return size_; }

 private:
  friend class Timer;
  static std::int64_t TickOf(TimePoint at) { return at.time_since_epoch() / kTick; }
  void SweepSlot(std::size_t slot, TimePoint now);

  std::array<Timer*, kSlots> slots_{};
  std::array<std::uint64_t, kSlots / 64> occupied_{};
  std::int64_t swept_;  // Every tick up to this one has been swept.
  std::size_t size_ = 0;
};

}  // namespace penstock::io
