#include "gateway/output_bound.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace penstock::gateway {
namespace {

StreamCount Deltas(std::uint64_t events, std::uint64_t bytes = 0) {
  StreamCount count;
  count.text_events = events;
  count.text_bytes = bytes;
  return count;
}

TEST(OutputBound, IsTwiceTheLimitAndAFew) {
  const OutputBound bound({.tokens_max = 10}, 0, 2);
  EXPECT_EQ(bound.deltas_max(), 84u);
  EXPECT_FALSE(bound.Exceeded(Deltas(84)));
  EXPECT_TRUE(bound.Exceeded(Deltas(85)));
}

TEST(OutputBound, HoldsServersThatPutManyTokensIntoADelta) {
  const OutputBound bound({.tokens_max = 10}, 0, 2);
  EXPECT_FALSE(bound.Exceeded(Deltas(1, 84 * 64)));
  EXPECT_TRUE(bound.Exceeded(Deltas(1, 84 * 64 + 1)));
}

TEST(OutputBound, CountsEachChoice) {
  EXPECT_EQ(OutputBound({.tokens_max = 10, .choices = 128}, 0, 2).deltas_max(), 2624u);
}

TEST(OutputBound, IsNoneWhereThereIsNoLimit) {
  EXPECT_EQ(OutputBound().deltas_max(), 0u);
  EXPECT_EQ(OutputBound({}, 0, 2).deltas_max(), 0u);
  EXPECT_EQ(OutputBound({.tokens_max = 10}, 4096, 0).deltas_max(), 0u);
  EXPECT_FALSE(OutputBound({}, 0, 2).Exceeded(Deltas(~std::uint64_t{0}, ~std::uint64_t{0})));
}

// Where the request names no limit, or one beyond what the model can hold.
TEST(OutputBound, IsTheModelsContextAtMost) {
  EXPECT_EQ(OutputBound({}, 4096, 2).deltas_max(), 2u * 4096 + 64);
  EXPECT_EQ(OutputBound({.choices = 3}, 4096, 2).deltas_max(), 6u * 4096 + 64);
  EXPECT_EQ(OutputBound({.tokens_max = 1 << 30}, 4096, 2).deltas_max(), 2u * 4096 + 64);
  EXPECT_EQ(OutputBound({.tokens_max = 10}, 4096, 2).deltas_max(), 84u);
}

// Never less than a server may send that keeps to the limit, whatever the figures.
TEST(OutputBound, NeverCutsWhatKeepsToTheLimit) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    for (int i = 0; i < 1000; ++i) {
      const auto tokens =
          static_cast<std::int64_t>(random.Below(std::uint64_t{1} << (random.Below(62) + 1)));
      const auto choices = static_cast<std::int64_t>(1 + random.Below(128));
      const auto factor = static_cast<std::uint32_t>(1 + random.Below(100));
      const OutputBound bound({.tokens_max = tokens, .choices = choices}, 0, factor);
      if (bound.deltas_max() == 0) continue;
      const std::uint64_t all =
          static_cast<std::uint64_t>(tokens) * static_cast<std::uint64_t>(choices);
      ASSERT_FALSE(bound.Exceeded(Deltas(all, all * 16)));
      ASSERT_TRUE(bound.Exceeded(Deltas(factor * all + OutputBound::kDeltasMore + 1)));
    }
  }
}

}  // namespace
}  // namespace penstock::gateway
