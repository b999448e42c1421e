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

// A stream, or several that get their pieces together, on a clock of their own.
struct Streams {
  explicit Streams(AckServer& its_server, std::size_t count = 1)
      : server(its_server), policies(count) {}

  // A piece of each, `gap` after the one before. What the first one asks for.
  Act Note(Duration gap, std::size_t bytes = kBytes) {
    now += gap;
    const Act act = policies.front().Note(now, gap, bytes, server);
    for (std::size_t i = 1; i < policies.size(); ++i) policies[i].Note(now, gap, bytes, server);
    return act;
  }
  // Until the first puts acknowledgements off; false where it never does.
  bool MakeFast() {
    for (int i = 0; i < 100; ++i) {
      if (Note(kQuick) == Act::kPutOff) return true;
    }
    return false;
  }
  std::ptrdiff_t putting_off() const {
    return std::ranges::count_if(policies, [](const AckPolicy& one) { return one.puts_off(); });
  }

  AckServer& server;
  std::vector<AckPolicy> policies;
  TimePoint now{std::chrono::seconds(1000)};
};

TEST(AckPolicy, SlowStreamsAreLeftAlone) {
  AckServer server;
  Streams stream(server);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(stream.Note(AckPolicy::kFast), Act::kNothing);
}

TEST(AckPolicy, AFastServerThatDoesNotWaitIsProven) {
  AckServer server;
  Streams stream(server);
  for (int i = 0; i + 1 < AckPolicy::kFastPieces; ++i) {
    EXPECT_EQ(stream.Note(kQuick), Act::kNothing);
  }
  EXPECT_EQ(stream.Note(kQuick), Act::kPutOff);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(stream.Note(kQuick), Act::kNothing);
    EXPECT_EQ(stream.putting_off(), 1);
  }
  // A pause of a proven one is a pause, not a failure.
  EXPECT_EQ(stream.Note(milliseconds(200)), Act::kAtOnce);
  EXPECT_EQ(server.strikes(), 0);
  EXPECT_TRUE(stream.MakeFast());
}

// A server with Nagle's algorithm: whatever it sends after an unacknowledged piece comes 40 ms
// late.
TEST(AckPolicy, AServerThatWaitsIsHeldUpThreeTimesAndNeverAgain) {
  AckServer server;
  int held_up = 0;
  for (int connection = 0; connection < 10; ++connection) {
    Streams stream(server);
    bool unacknowledged = false;  // The piece before.
    for (int i = 0; i < 200; ++i) {
      const bool late = unacknowledged;
      if (late) ++held_up;
      const bool off = stream.putting_off() > 0;
      const Act act = stream.Note(late ? milliseconds(40) : kQuick);
      unacknowledged = off && act != Act::kAtOnce;
    }
  }
  EXPECT_EQ(held_up, AckServer::kStrikesMax);
  EXPECT_EQ(server.strikes(), AckServer::kStrikesMax);
}

// A thousand streams that become fast together, and a machine that stands still when the first of
// them is on trial, or when all are: nobody has failed.
TEST(AckPolicy, WhereAllWaitedNobodyHasFailed) {
  AckServer server;
  Streams streams(server, 1000);
  for (int i = 1; i <= 5; ++i) {
    while (streams.putting_off() == 0) streams.Note(kQuick);
    EXPECT_EQ(streams.putting_off(), 1);
    streams.Note(kQuick);
    EXPECT_EQ(streams.putting_off(), 1);
    streams.Note(milliseconds(50));
    EXPECT_EQ(streams.putting_off(), 0);
    EXPECT_EQ(server.strikes(), 0);
    EXPECT_EQ(server.excuses(), i);
  }
  while (streams.putting_off() < 1000) streams.Note(kQuick);
  EXPECT_TRUE(server.proven());
  EXPECT_EQ(server.excuses(), 0);
  streams.Note(kQuick);  // All are on trial now, and all are held up.
  streams.Note(milliseconds(50));
  EXPECT_EQ(streams.putting_off(), 0);
  EXPECT_EQ(server.strikes(), 0);
  for (int i = 0; i < 2 * AckPolicy::kFastPieces; ++i) streams.Note(kQuick);
  EXPECT_EQ(streams.putting_off(), 1000);
}

// The one on trial may hear of the pause's end before the others, after some, or last.
TEST(AckPolicy, APauseIsOneWhoeverHearsOfItsEndFirst) {
  for (const std::size_t place : {0, 5, 9}) {
    AckServer server;
    std::vector<AckPolicy> policies(10);
    TimePoint now{std::chrono::seconds(1000)};
    // The one that is tried comes at `place`.
    const auto round = [&](Duration gap) {
      now += gap;
      for (std::size_t i = 0; i < policies.size(); ++i) {
        policies[(i + policies.size() - place) % policies.size()].Note(now, gap, kBytes, server);
      }
    };
    policies[0].Note(now, kQuick, kBytes, server);  // A piece ahead of the others.
    for (int i = 0; i < AckPolicy::kFastPieces; ++i) round(kQuick);
    ASSERT_TRUE(policies[0].puts_off()) << place;
    round(milliseconds(45));
    EXPECT_FALSE(policies[0].puts_off());
    EXPECT_EQ(server.strikes(), 0) << place;
    EXPECT_EQ(server.excuses(), 1) << place;
  }
}

// Others go on while one waits: it was held up alone.
TEST(AckPolicy, WhoWaitsAloneHasFailed) {
  AckServer server;
  Streams tried(server);
  ASSERT_TRUE(tried.MakeFast());
  Streams other(server);
  other.now = tried.now;
  EXPECT_FALSE(other.MakeFast());
  tried.now = other.now;
  tried.Note(kQuick);
  for (int i = 0; i < 8; ++i) other.Note(kQuick);
  tried.Note(milliseconds(40));
  EXPECT_EQ(server.strikes(), 1);
}

// A server that holds up all of its streams, always: nobody is excused for ever.
TEST(AckPolicy, ExcusesEnd) {
  AckServer server;
  Streams streams(server, 2);
  int held_up = 0;
  for (int i = 0; i < 100; ++i) {
    for (int j = 0; j < AckPolicy::kFastPieces && streams.putting_off() == 0; ++j) {
      streams.Note(kQuick);
    }
    if (streams.putting_off() == 0) break;
    streams.Note(kQuick);
    streams.Note(milliseconds(40));
    ++held_up;
  }
  EXPECT_EQ(held_up, AckServer::kExcusesMax + AckServer::kStrikesMax);
  EXPECT_EQ(server.strikes(), AckServer::kStrikesMax);
}

// A stream that ends while it is on trial makes room for the next.
TEST(AckPolicy, WhoLeavesIsNotOnTrialAnyMore) {
  AckServer server;
  Streams first(server);
  ASSERT_TRUE(first.MakeFast());
  Streams second(server);
  EXPECT_FALSE(second.MakeFast());
  first.policies.front().Leave(server);
  EXPECT_TRUE(second.MakeFast());
}

// Another server at the same place, which waits: it is found out.
TEST(AckPolicy, AProvenServerThatBeginsToWaitIsLeftAlone) {
  AckServer server;
  Streams first(server);
  while (!server.proven()) first.Note(kQuick);
  first.policies.front().Leave(server);
  int held_up = 0;
  for (int i = 0; i < 50; ++i) {
    Streams stream(server);
    stream.now += std::chrono::seconds(i + 1);
    if (!stream.MakeFast()) continue;
    stream.Note(kQuick);
    ++held_up;
    EXPECT_EQ(stream.Note(milliseconds(40)), Act::kAtOnce);
    stream.policies.front().Leave(server);
  }
  EXPECT_EQ(held_up, 2 * AckServer::kStrikesMax);
}

// Large pieces are acknowledged at once in any case: they prove nothing.
TEST(AckPolicy, LargePiecesProveNothing) {
  AckServer server;
  Streams stream(server);
  ASSERT_TRUE(stream.MakeFast());
  for (int i = 0; i < 50; ++i) stream.Note(kQuick, AckPolicy::kSmallBytes + 1);
  EXPECT_FALSE(server.on_trial());
  stream.Note(kQuick);  // Small: on trial now.
  EXPECT_EQ(stream.Note(milliseconds(40)), Act::kAtOnce);
  EXPECT_EQ(server.strikes(), 1);
}

// So their streams need not wait for each other's trial.
TEST(AckPolicy, StreamsOfLargePiecesBeginTogether) {
  AckServer server;
  Streams streams(server, 100);
  for (int i = 0; i < AckPolicy::kFastPieces; ++i) streams.Note(kQuick, AckPolicy::kSmallBytes + 1);
  EXPECT_EQ(streams.putting_off(), 100);
  EXPECT_FALSE(server.on_trial());
}

// Whatever comes: what it asks for alternates, and the socket is never left put off by a slow one.
TEST(AckPolicy, RandomGaps) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Random random(seed);
    AckPolicy policy;
    AckServer server;
    bool off = false;
    TimePoint now{std::chrono::seconds(1000)};
    for (int i = 0; i < 500; ++i) {
      const auto gap = milliseconds(random.Below(random.Below(10) == 0 ? 100 : 25));
      now += gap;
      const Act act = policy.Note(now, gap, random.Below(800), server);
      if (act != Act::kNothing) {
        EXPECT_NE(off, act == Act::kPutOff) << "seed " << seed;
        off = act == Act::kPutOff;
      }
      EXPECT_EQ(off, policy.puts_off()) << "seed " << seed;
      if (gap >= AckPolicy::kHeldUp) {
        EXPECT_FALSE(off) << "seed " << seed;
      }
      EXPECT_LE(server.strikes(), AckServer::kStrikesMax) << "seed " << seed;
    }
  }
}

}  // namespace
}  // namespace penstock::http
