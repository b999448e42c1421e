#include "http/ack_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "base/random.h"

namespace penstock::http {
namespace {

using std::chrono::milliseconds;
using Act = AckPolicy::Act;

constexpr Duration kQuick = milliseconds(5);
constexpr std::size_t kBytes = 200;

// Until the policy puts acknowledgements off; false where it never does.
bool MakeFast(AckPolicy& policy, AckServer& server) {
  for (int i = 0; i < 100; ++i) {
    if (policy.Note(kQuick, kBytes, server) == Act::kPutOff) return true;
  }
  return false;
}

TEST(AckPolicy, SlowStreamsAreLeftAlone) {
  AckPolicy policy;
  AckServer server;
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(policy.Note(AckPolicy::kFast, kBytes, server), Act::kNothing);
  }
}

TEST(AckPolicy, AFastServerThatDoesNotWaitIsProven) {
  AckPolicy policy;
  AckServer server;
  for (int i = 0; i + 1 < AckPolicy::kFastPieces; ++i) {
    EXPECT_EQ(policy.Note(kQuick, kBytes, server), Act::kNothing);
  }
  EXPECT_EQ(policy.Note(kQuick, kBytes, server), Act::kPutOff);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(policy.Note(kQuick, kBytes, server), Act::kNothing);
    EXPECT_TRUE(policy.puts_off());
  }
  // A pause of a proven one is a pause, not a failure.
  EXPECT_EQ(policy.Note(milliseconds(200), kBytes, server), Act::kAtOnce);
  EXPECT_EQ(server.strikes, 0);
  EXPECT_TRUE(MakeFast(policy, server));
}

// A server with Nagle's algorithm: whatever it sends after an unacknowledged piece comes 40 ms
// late.
TEST(AckPolicy, AServerThatWaitsIsHeldUpThreeTimesAndNeverAgain) {
  AckServer server;
  int held_up = 0;
  for (int connection = 0; connection < 10; ++connection) {
    AckPolicy policy;
    bool unacknowledged = false;  // The piece before.
    for (int i = 0; i < 200; ++i) {
      const bool late = unacknowledged;
      if (late) ++held_up;
      const bool off = policy.puts_off();
      const Act act = policy.Note(late ? milliseconds(40) : kQuick, kBytes, server);
      unacknowledged = off && act != Act::kAtOnce;
    }
  }
  EXPECT_EQ(held_up, AckServer::kStrikesMax);
  EXPECT_EQ(server.strikes, AckServer::kStrikesMax);
}

// A thousand streams that become fast together, and a machine that stands still when the first of
// them is on trial: one failure.
TEST(AckPolicy, OneStreamIsTriedAtATime) {
  AckServer server;
  std::vector<AckPolicy> policies(1000);
  const auto round = [&](Duration gap) {
    for (AckPolicy& policy : policies) policy.Note(gap, kBytes, server);
    return std::ranges::count_if(policies, [](const AckPolicy& one) { return one.puts_off(); });
  };
  for (int i = 0; i + 1 < AckPolicy::kFastPieces; ++i) EXPECT_EQ(round(kQuick), 0);
  EXPECT_EQ(round(kQuick), 1);
  EXPECT_EQ(round(kQuick), 1);
  EXPECT_EQ(round(milliseconds(50)), 0);
  EXPECT_EQ(server.strikes, 1);
  for (int i = 0; i < 2 * AckPolicy::kFastPieces; ++i) round(kQuick);
  EXPECT_EQ(round(kQuick), 1000);
  EXPECT_TRUE(server.proven);
  // All are held up again, and all come back: nobody waits.
  EXPECT_EQ(round(milliseconds(50)), 0);
  for (int i = 0; i < 2 * AckPolicy::kFastPieces; ++i) round(kQuick);
  EXPECT_EQ(round(kQuick), 1000);
}

// A stream that ends while it is on trial makes room for the next.
TEST(AckPolicy, WhoLeavesIsNotOnTrialAnyMore) {
  AckServer server;
  AckPolicy first;
  ASSERT_TRUE(MakeFast(first, server));
  AckPolicy second;
  EXPECT_FALSE(MakeFast(second, server));
  first.Leave(server);
  EXPECT_TRUE(MakeFast(second, server));
}

// Another server at the same place, which waits: it is found out.
TEST(AckPolicy, AProvenServerThatBeginsToWaitIsLeftAlone) {
  AckServer server{.strikes = 0, .on_trial = false, .proven = true};
  int held_up = 0;
  for (int stream = 0; stream < 50; ++stream) {
    AckPolicy policy;
    if (!MakeFast(policy, server)) continue;
    policy.Note(kQuick, kBytes, server);
    ++held_up;
    EXPECT_EQ(policy.Note(milliseconds(40), kBytes, server), Act::kAtOnce);
    policy.Leave(server);
  }
  EXPECT_EQ(held_up, 2 * AckServer::kStrikesMax);
}

// Large pieces are acknowledged at once in any case: they prove nothing.
TEST(AckPolicy, LargePiecesProveNothing) {
  AckPolicy policy;
  AckServer server;
  ASSERT_TRUE(MakeFast(policy, server));
  for (int i = 0; i < 50; ++i) policy.Note(kQuick, AckPolicy::kSmallBytes + 1, server);
  EXPECT_FALSE(server.on_trial);
  policy.Note(kQuick, kBytes, server);  // Small: on trial now.
  EXPECT_EQ(policy.Note(milliseconds(40), kBytes, server), Act::kAtOnce);
  EXPECT_EQ(server.strikes, 1);
}

// So their streams need not wait for each other's trial.
TEST(AckPolicy, StreamsOfLargePiecesBeginTogether) {
  AckServer server;
  std::vector<AckPolicy> policies(100);
  for (int i = 0; i < AckPolicy::kFastPieces; ++i) {
    for (AckPolicy& policy : policies) policy.Note(kQuick, AckPolicy::kSmallBytes + 1, server);
  }
  EXPECT_EQ(std::ranges::count_if(policies, [](const AckPolicy& one) { return one.puts_off(); }),
            100);
  EXPECT_FALSE(server.on_trial);
}

// Whatever comes: what it asks for alternates, and the socket is never left put off by a slow one.
TEST(AckPolicy, RandomGaps) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    AckPolicy policy;
    AckServer server;
    bool off = false;
    for (int i = 0; i < 500; ++i) {
      const auto gap = milliseconds(random.Below(random.Below(10) == 0 ? 100 : 25));
      const Act act = policy.Note(gap, random.Below(800), server);
      if (act != Act::kNothing) {
        EXPECT_NE(off, act == Act::kPutOff) << "seed " << seed;
        off = act == Act::kPutOff;
      }
      EXPECT_EQ(off, policy.puts_off()) << "seed " << seed;
      if (gap >= AckPolicy::kHeldUp) {
        EXPECT_FALSE(off) << "seed " << seed;
      }
      EXPECT_LE(server.strikes, AckServer::kStrikesMax) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace penstock::http
