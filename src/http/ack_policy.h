// AckPolicy: when the acknowledgement of what a server streams may be put off. Pure.
//
// Reading a small piece sends an acknowledgement at once, and over loopback that is half of what a
// receive costs. Put off, one serves two pieces or more. But a server that leaves Nagle's algorithm
// on sends nothing new until the last piece is acknowledged: it would be held up by 40 ms a token.
// So one fast stream of a server is tried: if the piece after an unacknowledged one comes without
// that wait, the server does not wait, and the others follow; if not, acknowledgements go out at
// once again, and after three such failures the server is not tried any more. One at a time, since
// a machine that stands still for a moment holds up all streams alike: that is one failure, and
// none of a server that has proven itself.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace penstock::http {

// What all streams of one server know of it.
struct AckServer {
  static constexpr std::uint8_t kStrikesMax = 3;  // After so many it is left alone.

  std::uint8_t strikes = 0;  // Streams held up on trial, none having passed since.
  bool on_trial = false;     // One stream is.
  bool proven = false;       // One has passed.

  // `proves`: by a stream whose pieces would tell; one at a time, then, until one has passed.
  bool MayBeTried(bool proves) const {
    return strikes < kStrikesMax && (!proves || proven || !on_trial);
  }
};

// One stream's part. REQUIRES: Leave() before it is gone.
class AckPolicy {
 public:
  // Pieces within kFast of each other that make a stream fast.
  static constexpr std::uint8_t kFastPieces = 16;
  static constexpr Duration kFast = std::chrono::milliseconds(20);
  // Linux puts an acknowledgement off for 40 ms or more.
  static constexpr Duration kHeldUp = std::chrono::milliseconds(30);
  // A larger piece may be acknowledged at once whatever was asked for, and proves nothing.
  static constexpr std::size_t kSmallBytes = 400;

  enum class Act : std::uint8_t { kNothing, kPutOff, kAtOnce };

  // A piece of `bytes` came `gap` after the one before. What to ask of the socket now; kAtOnce
  // counts a failure of `server` where it was one.
  Act Note(Duration gap, std::size_t bytes, AckServer& server) {
    if (state_ == State::kAtOnce) {
      if (gap >= kFast) fast_ = 0;
      fast_ = std::min<std::uint8_t>(fast_ + 1, kFastPieces);
      // Large pieces prove nothing: nobody waits for their trial.
      const bool proves = bytes <= kSmallBytes;
      if (fast_ < kFastPieces || !server.MayBeTried(proves)) return Act::kNothing;
      state_ = State::kFirst;
      tries_ = proves && !server.proven;
      server.on_trial |= tries_;
      return Act::kPutOff;
    }
    if (gap >= kHeldUp) {
      if (state_ == State::kTrial) Strike(server);
      Leave(server);
      state_ = State::kAtOnce;
      fast_ = 0;
      return Act::kAtOnce;
    }
    if (state_ == State::kFirst) {
      // The piece before was acknowledged yet: this is the first that is not.
      if (bytes <= kSmallBytes) {
        state_ = State::kTrial;
      } else {
        Leave(server);  // Nobody else waits for it.
      }
    } else if (state_ == State::kTrial) {
      state_ = State::kProven;
      server.proven = true;
      server.strikes = 0;
      Leave(server);
    }
    return Act::kNothing;
  }

  // The stream ends, or is judged: another one may be tried.
  void Leave(AckServer& server) {
    if (tries_) server.on_trial = false;
    tries_ = false;
  }

  bool puts_off() const { return state_ != State::kAtOnce; }

 private:
  // One that was proven is on trial again when so many were held up, none having passed meanwhile.
  static void Strike(AckServer& server) {
    if (++server.strikes < AckServer::kStrikesMax || !server.proven) return;
    server.proven = false;
    server.strikes = 0;
  }

  enum class State : std::uint8_t {
    kAtOnce,  // As the system does it.
    kFirst,   // Just put off: the next piece is the first without an acknowledgement.
    kTrial,   // It came; would the server have waited, the next one comes late.
    kProven,  // It does not wait.
  };
  State state_ = State::kAtOnce;
  std::uint8_t fast_ = 0;  // Fast pieces in a row.
  bool tries_ = false;     // It is this stream that is on trial for its server.
};

}  // namespace penstock::http
