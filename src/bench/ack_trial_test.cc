#include "bench/ack_trial.h"

#include <gtest/gtest.h>

#include <iterator>
#include <list>

#include "base/random.h"

namespace penstock::bench {
namespace {

using std::chrono::milliseconds;
using Act = AckTrial::Act;

constexpr Duration kQuick = milliseconds(5);
constexpr Duration kLate = milliseconds(40);

// Pieces until it is put off; 0 where it never is.
int MakeFast(AckTrial& trial) {
  for (int i = 1; i <= 300; ++i) {
    if (trial.Note(kQuick) == Act::kPutOff) return i;
  }
  return 0;
}

TEST(AckTrial, SlowStreamsAreLeftAlone) {
  AckServer server;
  AckTrial trial(server);
  for (int i = 0; i < 300; ++i) EXPECT_EQ(trial.Note(AckTrial::kFast), Act::kNothing);
  for (int i = 1; i < AckTrial::kFastPieces; ++i) EXPECT_EQ(trial.Note(kQuick), Act::kNothing);
  EXPECT_EQ(trial.Note(AckTrial::kFast), Act::kNothing) << "a pause begins the count anew";
  EXPECT_EQ(MakeFast(trial), AckTrial::kFastPieces);
}

TEST(AckTrial, OneStreamProvesTheServerForAll) {
  AckServer server;
  AckTrial first(server);
  AckTrial second(server);
  EXPECT_EQ(MakeFast(first), AckTrial::kFastPieces);
  EXPECT_EQ(MakeFast(second), 0) << "one trial at a time";
  for (int i = 0; i < AckTrial::kProofPieces; ++i) EXPECT_EQ(first.Note(kQuick), Act::kNothing);
  EXPECT_TRUE(server.proven);
  EXPECT_EQ(MakeFast(second), 1);
  // A pause of a proven one is a pause, and no strike.
  EXPECT_EQ(second.Note(kLate), Act::kAtOnce);
  EXPECT_EQ(server.strikes, 0);
  EXPECT_EQ(MakeFast(second), AckTrial::kFastPieces);
}

TEST(AckTrial, AStreamThatEndsOnTrialMakesRoomForAnother) {
  AckServer server;
  {
    AckTrial first(server);
    ASSERT_NE(MakeFast(first), 0);
  }
  AckTrial second(server);
  EXPECT_NE(MakeFast(second), 0);
}

// However many streams a waiting server has, and however they take turns: what it is held up by is
// three pieces, not three for each.
TEST(AckTrial, AServerThatWaitsIsHeldUpThreeTimesInAll) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    Random random(seed);
    AckServer server;
    std::list<AckTrial> trials;
    for (int i = 0; i < 50; ++i) trials.emplace_back(server);
    int held_up = 0;
    for (int turn = 0; turn < 20'000; ++turn) {
      auto trial = trials.begin();
      std::advance(trial, random.Below(50));
      // What follows an unacknowledged piece comes late.
      const bool late = trial->puts_off();
      if (late) ++held_up;
      trial->Note(late ? kLate : kQuick);
    }
    EXPECT_EQ(held_up, AckServer::kStrikesMax) << "seed " << seed;
    EXPECT_FALSE(server.proven);
  }
}

// Whatever comes: what it asks for alternates, and a slow stream is never left put off.
TEST(AckTrial, RandomGaps) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    AckServer server;
    AckTrial trial(server);
    bool off = false;
    for (int i = 0; i < 500; ++i) {
      const auto gap = milliseconds(random.Below(random.Below(10) == 0 ? 100 : 25));
      const Act act = trial.Note(gap);
      if (act != Act::kNothing) {
        EXPECT_NE(off, act == Act::kPutOff) << "seed " << seed;
        off = act == Act::kPutOff;
      }
      EXPECT_EQ(off, trial.puts_off()) << "seed " << seed;
      if (gap >= AckTrial::kHeldUp) EXPECT_FALSE(off) << "seed " << seed;
      EXPECT_LE(server.strikes, AckServer::kStrikesMax) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace penstock::bench
