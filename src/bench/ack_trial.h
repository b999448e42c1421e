// AckTrial: whether the acknowledgements of a fast stream over loopback are put off. Pure.
//
// Reading a small piece sends an acknowledgement at once, and over loopback that is half of what a
// receive costs the load generator. Put off, one serves two pieces. No time that is measured
// changes with it, since the kernel stamps what arrives, unless the server waits for
// acknowledgements (Nagle's algorithm): it would then be held up by 40 ms a piece. So one stream at
// a time is tried, until one has shown that its server does not wait; three that were held up, and
// it is never tried again. What is measured suffers at most three such gaps in a run, at its begin.
//
// The rule is http::AckPolicy's, and so are its figures; but that one takes one piece for a proof, and
// tries a proven server again. Here it takes eight in a row, since what is held up is measured.
#pragma once

#include <algorithm>
#include <cstdint>

#include "base/clock.h"
#include "http/ack_policy.h"

namespace penstock::bench {

// What all streams of one driver know of their server.
struct AckServer {
  static constexpr std::uint8_t kStrikesMax = http::AckServer::kStrikesMax;

  std::uint8_t strikes = 0;  // Trials that were held up.
  bool on_trial = false;     // By one stream.
  bool proven = false;       // It does not wait.

  bool MayBeTried() const { return strikes < kStrikesMax && (proven || !on_trial); }
};

// One stream's part. Outlived by its server.
class AckTrial {
 public:
  static constexpr std::uint8_t kFastPieces = http::AckPolicy::kFastPieces;
  static constexpr Duration kFast = http::AckPolicy::kFast;
  static constexpr Duration kHeldUp = http::AckPolicy::kHeldUp;
  static constexpr std::uint8_t kProofPieces = 8;  // In a row, none of them held up.

  using Act = http::AckPolicy::Act;

  explicit AckTrial(AckServer& server) : server_(server) {}
  ~AckTrial() { Leave(); }
  AckTrial(const AckTrial&) = delete;
  AckTrial& operator=(const AckTrial&) = delete;

  // A piece came `gap` after the one before. What to ask of the socket now.
  Act Note(Duration gap) {
    if (!puts_off_) {
      pieces_ = gap < kFast ? static_cast<std::uint8_t>(std::min(pieces_ + 1, 255)) : 0;
      if (pieces_ < kFastPieces || !server_.MayBeTried()) return Act::kNothing;
      puts_off_ = true;
      on_trial_ = !server_.proven;
      if (on_trial_) server_.on_trial = true;
      pieces_ = 0;
      return Act::kPutOff;
    }
    if (gap >= kHeldUp) {
      if (on_trial_) ++server_.strikes;
      Leave();
      puts_off_ = false;
      pieces_ = 0;
      return Act::kAtOnce;
    }
    if (on_trial_ && ++pieces_ == kProofPieces) {
      server_.proven = true;
      Leave();
    }
    return Act::kNothing;
  }

  bool puts_off() const { return puts_off_; }

 private:
  void Leave() {
    if (on_trial_) server_.on_trial = false;
    on_trial_ = false;
  }

  AckServer& server_;
  std::uint8_t pieces_ = 0;  // Fast ones in a row; once put off, those since.
  bool puts_off_ = false;
  bool on_trial_ = false;
};

}  // namespace penstock::bench
