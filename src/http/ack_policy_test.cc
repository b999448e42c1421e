#include "http/ack_policy.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace penstock::http {
namespace {

using std::chrono::milliseconds;
using Act = AckPolicy::Act;

constexpr Duration kQuick = milliseconds(5);
constexpr std::size_t kBytes = 200;

// Until the policy puts acknowledgements off; false where it never does.
bool MakeFast(AckPolicy& policy, std::uint8_t& strikes) {
  for (int i = 0; i < 100; ++i) {
    if (policy.Note(kQuick, kBytes, strikes) == Act::kPutOff) return true;
  }
  return false;
}

TEST(AckPolicy, SlowStreamsAreLeftAlone) {
  AckPolicy policy;
  std::uint8_t strikes = 0;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(policy.Note(AckPolicy::kFast, kBytes, strikes), Act::kNothing);
  }
}

TEST(AckPolicy, AFastServerThatDoesNotWaitIsProven) {
  AckPolicy policy;
  std::uint8_t strikes = 0;
  for (int i = 0; i + 1 < AckPolicy::kFastPieces; ++i) {
    EXPECT_EQ(policy.Note(kQuick, kBytes, strikes), Act::kNothing);
  }
  EXPECT_EQ(policy.Note(kQuick, kBytes, strikes), Act::kPutOff);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(policy.Note(kQuick, kBytes, strikes), Act::kNothing);
    EXPECT_TRUE(policy.puts_off());
  }
  // A pause of a proven one is a pause, not a failure.
  EXPECT_EQ(policy.Note(milliseconds(200), kBytes, strikes), Act::kAtOnce);
  EXPECT_EQ(strikes, 0);
  EXPECT_TRUE(MakeFast(policy, strikes));
}

// A server with Nagle's algorithm: whatever it sends after an unacknowledged piece comes 40 ms
// late.
TEST(AckPolicy, AServerThatWaitsIsHeldUpThreeTimesAndNeverAgain) {
  std::uint8_t strikes = 0;
  int held_up = 0;
  for (int connection = 0; connection < 10; ++connection) {
    AckPolicy policy;
    bool unacknowledged = false;  // The piece before.
    for (int i = 0; i < 200; ++i) {
      const bool late = unacknowledged;
      if (late) ++held_up;
      const bool off = policy.puts_off();
      const Act act = policy.Note(late ? milliseconds(40) : kQuick, kBytes, strikes);
      unacknowledged = off && act != Act::kAtOnce;
    }
  }
  EXPECT_EQ(held_up, AckPolicy::kStrikesMax);
  EXPECT_EQ(strikes, AckPolicy::kStrikesMax);
}

// Large pieces are acknowledged at once in any case: they prove nothing.
TEST(AckPolicy, LargePiecesProveNothing) {
  AckPolicy policy;
  std::uint8_t strikes = 0;
  ASSERT_TRUE(MakeFast(policy, strikes));
  for (int i = 0; i < 50; ++i) policy.Note(kQuick, AckPolicy::kSmallBytes + 1, strikes);
  policy.Note(kQuick, kBytes, strikes);  // Small: on trial now.
  EXPECT_EQ(policy.Note(milliseconds(40), kBytes, strikes), Act::kAtOnce);
  EXPECT_EQ(strikes, 1);
}

// Whatever comes: what it asks for alternates, and the socket is never left put off by a slow one.
TEST(AckPolicy, RandomGaps) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    AckPolicy policy;
    std::uint8_t strikes = 0;
    bool off = false;
    for (int i = 0; i < 500; ++i) {
      const auto gap = milliseconds(random.Below(random.Below(10) == 0 ? 100 : 25));
      const Act act = policy.Note(gap, random.Below(800), strikes);
      if (act != Act::kNothing) {
        EXPECT_NE(off, act == Act::kPutOff) << "seed " << seed;
        off = act == Act::kPutOff;
      }
      EXPECT_EQ(off, policy.puts_off()) << "seed " << seed;
      if (gap >= AckPolicy::kHeldUp) {
        EXPECT_FALSE(off) << "seed " << seed;
      }
      EXPECT_LE(strikes, AckPolicy::kStrikesMax) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace penstock::http
