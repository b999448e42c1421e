// ThreadGovernor: how many threads compute, while other work wants the same cores.
//
// ggml's threads wait for each other by spinning, some hundred times a step. Where one of them has
// lost its core to another program, all spin until it comes back: two threads on two busy cores
// were ten times slower than one. The model's own thread tells: it computes or spins all the time,
// so where it got less processor time than time passed, cores are short, and the governor takes a
// thread away. Not before it got less than half: with 60 % of two cores, two threads were still
// twice as fast as one. After a pause it tries again; the pause doubles as long as that fails.
// Pure.
#pragma once

#include <cstdint>

#include "base/clock.h"

namespace penstock::engine {

class ThreadGovernor {
 public:
  static constexpr Duration kWindow = std::chrono::milliseconds(100);  // What one verdict rests on.
  static constexpr Duration kPauseMin = std::chrono::seconds(1);
  static constexpr Duration kPauseMax = std::chrono::seconds(16);
  static constexpr double kShortShare = 0.4;  // Less processor time than this: cores are short.
  static constexpr double kFullShare = 0.9;   // More than this: there may be another one.

  explicit ThreadGovernor(int threads_max) : threads_max_(threads_max), threads_(threads_max) {}

  // A step ended at `now`: it took `wall`, of which its first thread ran for `processor`.
  void Note(TimePoint now, Duration wall, Duration processor);

  int threads() const { return threads_; }
  std::uint64_t reductions() const { return reductions_; }

 private:
  int Less() const { return threads_ > 4 ? threads_ - threads_ / 4 : threads_ - 1; }
  int More() const;

  int threads_max_;
  int threads_;
  Duration wall_{};  // Of the present window.
  Duration processor_{};
  Duration pause_ = kPauseMin;
  TimePoint changed_{};
  std::uint64_t reductions_ = 0;
};

}  // namespace penstock::engine
