// Which replica a request gets: PromptHash, PrefixIndex, ReplicaSet.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/random.h"
#include "policy/prefix_index.h"
#include "policy/prompt_hash.h"
#include "policy/replica_set.h"

namespace penstock::policy {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using Fate = ReplicaSet::Fate;

const TimePoint kStart = TimePoint(seconds(1'000'000));

std::string Text(Random& random, std::size_t size) {
  std::string text(size, ' ');
  for (char& c : text) c = static_cast<char>('a' + random.Below(26));
  return text;
}

std::vector<std::uint64_t> Blocks(std::string_view text) {
  std::vector<std::uint64_t> blocks;
  AppendBlockHashes(text, 0, blocks);
  return blocks;
}

TEST(PromptHash, SharesExactlyTheBlocksOfTheSharedPrefix) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const std::string first = Text(random, random.Below(20'000));
    std::string second = first;
    const std::size_t at = random.Below(first.size() + 1);
    if (at < second.size()) second[at] = second[at] == 'a' ? 'b' : 'a';
    const auto a = Blocks(first);
    const auto b = Blocks(second);
    ASSERT_EQ(a.size(), first.size() / kPromptBlockBytes);
    ASSERT_EQ(b.size(), a.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      EXPECT_EQ(a[i] == b[i], at >= (i + 1) * kPromptBlockBytes) << i;
    }
  }
}

TEST(PromptHash, IsBounded) {
  EXPECT_EQ(Blocks(std::string(10'000'000, 'x')).size(), kPromptBlocksMax);
  EXPECT_TRUE(Blocks(std::string(kPromptBlockBytes - 1, 'x')).empty());
}

TEST(PromptHash, TellsSizesAndSeedsApart) {
  EXPECT_NE(HashBytes("", 0), HashBytes(std::string(1, '\0'), 0));
  EXPECT_NE(HashBytes(std::string(63, '\0'), 0), HashBytes(std::string(64, '\0'), 0));
  EXPECT_NE(HashBytes("abc", 0), HashBytes("abc", 1));
}

// Against a map that forgets nothing: it never invents, and forgets little.
TEST(PrefixIndex, FindsTheLongestPrefixOfEachReplica) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    PrefixIndex index;
    std::map<std::uint64_t, std::set<std::size_t>> all;
    std::size_t found = 0;
    std::size_t there = 0;
    std::vector<std::string> texts;
    for (int i = 0; i < 100; ++i) {
      std::string text =
          texts.empty() || random.Below(3) == 0 ? "" : texts[random.Below(texts.size())];
      text.resize(random.Below(text.size() + 1));
      text += Text(random, random.Below(5000));
      const auto blocks = Blocks(text);
      const PrefixIndex::Matches matches = index.Match(blocks);
      for (std::size_t place = 0; place < 8; ++place) {
        std::size_t length = 0;
        while (length < blocks.size() && all[blocks[length]].contains(place)) ++length;
        EXPECT_LE(matches[place], length) << "place " << place;
        found += matches[place];
        there += length;
      }
      const std::size_t place = random.Below(8);
      index.Insert(blocks, place);
      for (const std::uint64_t block : blocks) all[block].insert(place);
      if (random.Below(10) == 0) {
        index.Forget(place);
        for (auto& [block, places] : all) places.erase(place);
      }
      texts.push_back(std::move(text));
    }
    EXPECT_GE(static_cast<double>(found), 0.95 * static_cast<double>(there)) << "of " << there;
  }
}

TEST(PrefixIndex, IsBoundedAndKeepsWhatIsUsed) {
  PrefixIndex index;
  Random random(7);
  const auto kept = Blocks(Text(random, 4096));
  index.Insert(kept, 3);
  for (int i = 0; i < 2000; ++i) {
    std::vector<std::uint64_t> other(100);
    for (auto& hash : other) hash = random.Next();
    (void)index.Match(other);
    index.Insert(other, 1);
    EXPECT_EQ(index.Match(kept)[3], kept.size());
  }
  EXPECT_LE(index.bytes(), std::size_t{2} << 20);
}

std::vector<ReplicaRoute> Replicas(std::vector<std::uint64_t> ids) {
  std::vector<ReplicaRoute> routes;
  for (const std::uint64_t id : ids) routes.push_back({.id = id, .address = "unix:/x"});
  return routes;
}

TEST(ReplicaSet, SpreadsWhatHasNothingInCommon) {
  ReplicaSet set;
  set.Configure(Replicas({1, 2, 3}), {.replica_concurrency = 0});
  std::map<std::uint64_t, int> counts;
  for (int i = 0; i < 30; ++i) {
    const auto id = set.Choose({}, {}, kStart);
    ASSERT_TRUE(id);
    set.Begin(*id, 100, {}, kStart);
    ++counts[*id];
  }
  for (const auto& [id, count] : counts) EXPECT_EQ(count, 10) << id;
}

TEST(ReplicaSet, ReturnsToTheReplicaThatSawThePrompt) {
  ReplicaSet set;
  set.Configure(Replicas({1, 2, 3, 4}), {.replica_concurrency = 4});
  Random random(1);
  const PromptPrefix prompt{.blocks = Blocks(Text(random, 8192))};
  const auto first = set.Choose(prompt, {}, kStart);
  set.Begin(*first, 2000, prompt, kStart);
  set.End(*first, 2000, Fate::kGood, kStart);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(set.Choose(prompt, {}, kStart), first);
  // Overload is each replica's own matter: the full one is left, the prefix or not.
  for (int i = 0; i < 4; ++i) set.Begin(*first, 1, {}, kStart);
  EXPECT_NE(set.Choose(prompt, {}, kStart), first);
}

TEST(ReplicaSet, LoadOutweighsASmallSaving) {
  ReplicaSet set;
  set.Configure(Replicas({1, 2}), {.replica_concurrency = 0});
  Random random(2);
  const PromptPrefix prompt{.blocks = Blocks(Text(random, 1024))};  // 256 tokens.
  const auto first = set.Choose(prompt, {}, kStart);
  set.Begin(*first, 1000, prompt, kStart);
  EXPECT_EQ(set.Choose(prompt, {}, kStart), first) << "150 of penalty against 256 saved";
  set.Begin(*first, 1000, prompt, kStart);
  EXPECT_NE(set.Choose(prompt, {}, kStart), first);
}

TEST(ReplicaSet, KeepsASessionTogether) {
  ReplicaSet set;
  set.Configure(Replicas({1, 2, 3}), {.replica_concurrency = 0});
  const PromptPrefix session{.session = 77};
  const auto first = set.Choose(session, {}, kStart);
  set.Begin(*first, 500, session, kStart);
  for (int i = 0; i < 10; ++i) EXPECT_EQ(set.Choose(session, {}, kStart), first);
}

TEST(ReplicaSet, LeavesOutTriedDrainingAndFullOnes) {
  ReplicaSet set;
  auto routes = Replicas({1, 2, 3});
  routes[2].state = ReplicaState::kDraining;
  set.Configure(routes, {.replica_concurrency = 1});
  const std::vector<std::uint64_t> tried = {1};
  EXPECT_EQ(set.Choose({}, tried, kStart), 2u);
  set.Begin(2, 1, {}, kStart);
  EXPECT_EQ(set.Choose({}, tried, kStart), std::nullopt);
  EXPECT_TRUE(set.HasRoom(kStart));
  set.Begin(1, 1, {}, kStart);
  EXPECT_FALSE(set.HasRoom(kStart));
  EXPECT_EQ(set.Saturation(), 1);
}

TEST(ReplicaSet, ForgetsAReplicaOnlyWhenItsLastRequestHasEnded) {
  ReplicaSet set;
  set.Configure(Replicas({1, 2}), {.replica_concurrency = 0});
  set.Begin(1, 5, {}, kStart);
  set.Configure(Replicas({2}), {.replica_concurrency = 0});
  EXPECT_EQ(set.Choose({}, {}, kStart), 2u);
  set.End(1, 5, Fate::kGood, kStart);
  EXPECT_EQ(set.in_flight(), 0u);
  set.Configure(Replicas({2, 3}), {.replica_concurrency = 0});
  const std::vector<std::uint64_t> tried = {2};
  EXPECT_EQ(set.Choose({}, tried, kStart), 3u);
}

TEST(ReplicaSet, RestsAFailingReplicaAndProbesIt) {
  ReplicaSet set;
  set.Configure(Replicas({1, 2}), {.replica_concurrency = 0});
  for (int i = 0; i < ReplicaSet::kFailuresMax; ++i) {
    set.Begin(1, 1, {}, kStart);
    set.End(1, 1, Fate::kFailed, kStart);
  }
  EXPECT_EQ(set.circuits_opened(), 1u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(set.Choose({}, {}, kStart), 2u);
  // Half open: one request at a time.
  const TimePoint later = kStart + ReplicaSet::kRestMin;
  set.Begin(2, 1000, {}, later);
  EXPECT_EQ(set.Choose({}, {}, later), 1u);
  set.Begin(1, 1, {}, later);
  EXPECT_EQ(set.Choose({}, {}, later), 2u);
  set.End(1, 1, Fate::kFailed, later);
  EXPECT_EQ(set.Choose({}, {}, later + ReplicaSet::kRestMin), 2u) << "the rest doubles";
  const TimePoint back = later + 2 * ReplicaSet::kRestMin;
  EXPECT_EQ(set.Choose({}, {}, back), 1u);
  set.Begin(1, 1, {}, back);
  set.End(1, 1, Fate::kGood, back);
  EXPECT_EQ(set.circuits_open(back), 0u);
  EXPECT_EQ(set.Choose({}, {}, back), 1u);
}

// Whatever failed, somebody is asked as long as a ready replica has room.
TEST(ReplicaSet, NeverClosesTheLastLane) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    ReplicaSet set;
    std::vector<std::uint64_t> ids(1 + random.Below(4));
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = i + 1;
    set.Configure(Replicas(ids), {.replica_concurrency = 0});
    TimePoint now = kStart;
    for (int i = 0; i < 200; ++i) {
      now += milliseconds(random.Below(500));
      const auto id = set.Choose({}, {}, now);
      ASSERT_TRUE(id);
      set.Begin(*id, 1, {}, now);
      set.End(*id, 1, random.Below(10) == 0 ? Fate::kGood : Fate::kFailed, now);
    }
  }
}

// An upstream's own 429 is no failure: it lives.
TEST(ReplicaSet, BusyIsNotFailing) {
  ReplicaSet set;
  set.Configure(Replicas({1}), {.replica_concurrency = 0});
  for (int i = 0; i < 100; ++i) {
    set.Begin(1, 1, {}, kStart);
    set.End(1, 1, Fate::kBusy, kStart);
  }
  EXPECT_EQ(set.circuits_opened(), 0u);
}

}  // namespace
}  // namespace penstock::policy
