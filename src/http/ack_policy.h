// AckPolicy: when the acknowledgement of what a server streams may be put off. Pure.
//
// Reading a small piece sends an acknowledgement at once, and over loopback that is half of what a
// receive costs. Put off, one serves two pieces or more. But a server that leaves Nagle's algorithm
// on sends nothing new until the last piece is acknowledged: it would be held up by 40 ms a token.
// So one fast stream of a server is tried: if the piece after an unacknowledged one comes without
// that wait, the server does not wait, and the others follow; if not, acknowledgements go out at
// once again, and after three such failures the server is not tried any more. One at a time; and a
// machine that stands still for a moment, or an engine that reads a long prompt, holds up all
// streams alike: where all were silent, nobody has failed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace penstock::http {

// What all streams of one server know of it.
class AckServer {
 public:
  static constexpr int kStrikesMax = 3;   // After so many it is left alone.
  static constexpr int kExcusesMax = 20;  // So often all may have been silent, in a row.
  // Linux puts an acknowledgement off for 40 ms or more.
  static constexpr Duration kHeldUp = std::chrono::milliseconds(30);

  int strikes() const { return strikes_; }
  int excuses() const { return excuses_; }
  bool on_trial() const { return on_trial_; }
  bool proven() const { return proven_; }

 private:
  friend class AckPolicy;

  // `proves`: by a stream whose pieces would tell; one at a time, then, until one has passed.
  bool MayBeTried(bool proves) const {
    return strikes_ < kStrikesMax && (!proves || proven_ || !on_trial_);
  }

  void NotePiece(TimePoint now) {
    if (now - piece_at_ >= kHeldUp) silent_to_ = now;
    piece_at_ = now;
  }

  void Pass() {
    proven_ = true;
    strikes_ = excuses_ = 0;
  }

  // A stream waited from `begin` until now. One that was proven is on trial again when so many were
  // held up, none having passed meanwhile.
  void Fail(TimePoint begin, TimePoint now) {
    if (now - failed_at_ < kHeldUp) return;  // It is the same moment for all.
    failed_at_ = now;
    const bool all_waited = streams_ > 1 && silent_to_ > begin;
    if (all_waited && excuses_ < kExcusesMax) {
      ++excuses_;
      return;
    }
    if (++strikes_ < kStrikesMax || !proven_) return;
    proven_ = false;
    strikes_ = 0;
  }

  std::uint8_t strikes_ = 0;   // Streams held up on trial, none having passed since.
  std::uint8_t excuses_ = 0;   // The same together with all others.
  bool on_trial_ = false;      // One stream is.
  bool proven_ = false;        // One has passed.
  std::uint32_t streams_ = 0;  // That have been fast, and go on.
  TimePoint piece_at_{};       // The last one, of any.
  TimePoint silent_to_{};      // The last that came after kHeldUp without any.
  TimePoint failed_at_{};
};

// One stream's part. REQUIRES: Leave() before it is gone.
class AckPolicy {
 public:
  // Pieces within kFast of each other that make a stream fast.
  static constexpr std::uint8_t kFastPieces = 16;
  static constexpr Duration kFast = std::chrono::milliseconds(20);
  static constexpr Duration kHeldUp = AckServer::kHeldUp;
  // A larger piece may be acknowledged at once whatever was asked for, and proves nothing.
  static constexpr std::size_t kSmallBytes = 400;

  enum class Act : std::uint8_t { kNothing, kPutOff, kAtOnce };

  // A piece of `bytes` came at `now`, `gap` after the one before. What to ask of the socket now;
  // kAtOnce counts a failure of `server` where it was one.
  Act Note(TimePoint now, Duration gap, std::size_t bytes, AckServer& server) {
    server.NotePiece(now);
    if (state_ == State::kAtOnce) return NoteAtOnce(gap, bytes, server);
    if (gap >= kHeldUp) {
      if (state_ == State::kTrial) server.Fail(now - gap, now);
      EndTrial(server);
      state_ = State::kAtOnce;
      fast_ = 0;
      return Act::kAtOnce;
    }
    if (state_ == State::kFirst) {
      // The piece before was acknowledged yet: this is the first that is not.
      if (bytes <= kSmallBytes) {
        state_ = State::kTrial;
      } else {
        EndTrial(server);  // Nobody else waits for it.
      }
    } else if (state_ == State::kTrial) {
      state_ = State::kProven;
      server.Pass();
      EndTrial(server);
    }
    return Act::kNothing;
  }

  // The stream ends: another one may be tried.
  void Leave(AckServer& server) {
    EndTrial(server);
    if (counts_) --server.streams_;
    counts_ = false;
  }

  bool puts_off() const { return state_ != State::kAtOnce; }

 private:
  Act NoteAtOnce(Duration gap, std::size_t bytes, AckServer& server) {
    if (gap >= kFast) fast_ = 0;
    fast_ = std::min<std::uint8_t>(fast_ + 1, kFastPieces);
    if (fast_ < kFastPieces) return Act::kNothing;
    if (!counts_) ++server.streams_;
    counts_ = true;
    // Large pieces prove nothing: nobody waits for their trial.
    const bool proves = bytes <= kSmallBytes;
    if (!server.MayBeTried(proves)) return Act::kNothing;
    state_ = State::kFirst;
    tries_ = proves && !server.proven_;
    server.on_trial_ |= tries_;
    return Act::kPutOff;
  }

  void EndTrial(AckServer& server) {
    if (tries_) server.on_trial_ = false;
    tries_ = false;
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
  bool counts_ = false;    // Among the server's streams.
};

}  // namespace penstock::http
