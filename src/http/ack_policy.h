// AckPolicy: when the acknowledgement of what a server streams may be put off. Pure.
//
// Reading a small piece sends an acknowledgement at once, and over loopback that is half of what a
// receive costs. Put off, one serves two pieces or more. But a server that leaves Nagle's algorithm
// on sends nothing new until the last piece is acknowledged: it would be held up by 40 ms a token.
// So a stream whose pieces come fast is tried once: if the piece after an unacknowledged one comes
// without that wait, its server does not wait; if not, acknowledgements go out at once again, and
// after three such failures the server is not tried any more.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace penstock::http {

class AckPolicy {
 public:
  // Failed trials, after which a server is left alone. Counted for all its connections.
  static constexpr std::uint8_t kStrikesMax = 3;
  // Pieces within kFast of each other that make a stream fast.
  static constexpr std::uint8_t kFastPieces = 16;
  static constexpr Duration kFast = std::chrono::milliseconds(20);
  // Linux puts an acknowledgement off for 40 ms or more.
  static constexpr Duration kHeldUp = std::chrono::milliseconds(30);
  // A larger piece may be acknowledged at once whatever was asked for, and proves nothing.
  static constexpr std::size_t kSmallBytes = 400;

  enum class Act : std::uint8_t { kNothing, kPutOff, kAtOnce };

  // A piece of `bytes` came `gap` after the one before. What to ask of the socket now; kAtOnce
  // counts a failure into `strikes` where it was one.
  Act Note(Duration gap, std::size_t bytes, std::uint8_t& strikes) {
    if (state_ == State::kAtOnce) {
      if (gap >= kFast) fast_ = 0;
      if (++fast_ < kFastPieces || strikes >= kStrikesMax) return Act::kNothing;
      state_ = State::kFirst;
      return Act::kPutOff;
    }
    const bool held_up = gap >= kHeldUp;
    if (held_up) {
      if (state_ == State::kTrial) ++strikes;
      state_ = State::kAtOnce;
      fast_ = 0;
      return Act::kAtOnce;
    }
    if (state_ == State::kFirst) {
      // The piece before was acknowledged yet: this is the first that is not.
      if (bytes <= kSmallBytes) state_ = State::kTrial;
    } else if (state_ == State::kTrial) {
      state_ = State::kProven;
    }
    return Act::kNothing;
  }

  bool puts_off() const { return state_ != State::kAtOnce; }

 private:
  enum class State : std::uint8_t {
    kAtOnce,  // As the system does it.
    kFirst,   // Just put off: the next piece is the first without an acknowledgement.
    kTrial,   // It came; would the server have waited, the next one comes late.
    kProven,  // It does not wait.
  };
  State state_ = State::kAtOnce;
  std::uint8_t fast_ = 0;  // Fast pieces in a row.
};

}  // namespace penstock::http
