#include "engine/prefix_store.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace penstock::engine {
namespace {

constexpr std::size_t kCellBytes = 4;
constexpr int kBlock = PrefixStore::kBlockTokens;

// Cells that can be recognised: a cell says what its token was and how many came before.
std::vector<std::uint8_t> CellsOf(const std::vector<TokenId>& tokens, int first) {
  std::vector<std::uint8_t> cells;
  for (std::size_t i = static_cast<std::size_t>(first); i < tokens.size(); ++i) {
    cells.push_back(static_cast<std::uint8_t>(tokens[i]));
    cells.push_back(static_cast<std::uint8_t>(i));
    cells.push_back(static_cast<std::uint8_t>(i >> 8));
    cells.push_back(7);
  }
  return cells;
}

void Insert(PrefixStore& store, const std::vector<TokenId>& tokens) {
  store.Insert(tokens, CellsOf(tokens, store.Match(tokens)));
}

// A text of blocks that random texts share: few kinds of block, so that many begin alike.
std::vector<TokenId> RandomText(Random& random) {
  std::vector<TokenId> tokens;
  for (std::uint64_t i = 0; i <= random.Below(6); ++i) {
    tokens.insert(tokens.end(), kBlock, static_cast<TokenId>(random.Below(3)));
  }
  tokens.resize(tokens.size() - random.Below(kBlock));
  return tokens;
}

TEST(PrefixStore, FindsTheBlocksThatTextsShare) {
  PrefixStore store(1 << 20, kCellBytes);
  std::vector<TokenId> first(3 * kBlock + 5, 1);
  Insert(store, first);
  EXPECT_EQ(store.blocks(), 3u);
  EXPECT_EQ(store.Match(first), 3 * kBlock);
  std::vector<TokenId> second = first;
  second[2 * kBlock] = 2;
  EXPECT_EQ(store.Match(second), 2 * kBlock);
  Insert(store, second);
  EXPECT_EQ(store.blocks(), 4u) << "two are shared";
  EXPECT_EQ(store.Match(std::vector<TokenId>(kBlock - 1, 1)), 0);
}

TEST(PrefixStore, ZeroBytesStoreNothing) {
  PrefixStore store(0, kCellBytes);
  Insert(store, std::vector<TokenId>(kBlock, 1));
  EXPECT_EQ(store.blocks(), 0u);
  EXPECT_EQ(PrefixStore(1 << 20, 0).blocks_max(), 0u) << "nor do cells of no size";
}

TEST(PrefixStore, LetsTheLeastRecentlyUsedGoFromTheirEnds) {
  PrefixStore store(4 * kCellBytes * kBlock, kCellBytes);
  const std::vector<TokenId> old(2 * kBlock, 1), young(2 * kBlock, 2), third(kBlock, 3);
  Insert(store, old);
  Insert(store, young);
  store.Find(old, 2 * kBlock);
  Insert(store, third);
  EXPECT_EQ(store.blocks(), 4u);
  EXPECT_EQ(store.Match(old), 2 * kBlock);
  EXPECT_EQ(store.Match(young), kBlock) << "its end went first";
  EXPECT_EQ(store.Match(third), kBlock);
  EXPECT_EQ(store.blocks_dropped(), 1u);
}

TEST(PrefixStore, GivesBackTheCellsOfTheseTokensWhateverHappened) {
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const std::size_t blocks = random.Below(20);
    PrefixStore store(blocks * kCellBytes * kBlock + random.Below(kCellBytes * kBlock), kCellBytes);
    for (int i = 0; i < 200; ++i) {
      const std::vector<TokenId> text = RandomText(random);
      if (random.Below(2) == 0) Insert(store, text);
      ASSERT_LE(store.blocks(), blocks);
      const int length = store.Match(text);
      ASSERT_LE(length, std::ssize(text));
      std::vector<std::uint8_t> found;
      for (const auto block : store.Find(text, length)) {
        found.insert(found.end(), block.begin(), block.end());
      }
      std::vector<std::uint8_t> expected = CellsOf(text, 0);
      expected.resize(static_cast<std::size_t>(length) * kCellBytes);
      ASSERT_EQ(found, expected);
    }
  }
}

}  // namespace
}  // namespace penstock::engine
