#include "api/code_points.h"

#include <gtest/gtest.h>

#include <bitset>

#include "base/random.h"

namespace penstock::internal {
namespace {

TEST(CodePoints, JoinsRangesThatTouch) {
  CodePoints points = {{'a', 'c'}, {'e', 'f'}};
  points.Add('d', 'd');
  EXPECT_EQ(points.ranges(), (std::vector<CodePoints::Range>{{'a', 'f'}}));
}

// Histories of additions against a plain table of what was added.
TEST(CodePoints, HoldsWhatWasAddedAndItsComplementTheRest) {
  constexpr std::uint32_t kSize = 300;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    CodePoints points;
    std::bitset<kSize> table;
    for (int i = 0; i < 12; ++i) {
      const auto first = static_cast<std::uint32_t>(random.Next() % kSize);
      const auto last = std::min<std::uint32_t>(
          kSize - 1, first + static_cast<std::uint32_t>(random.Next() % 20));
      points.Add(first, last);
      for (std::uint32_t p = first; p <= last; ++p) table.set(p);
    }
    const CodePoints rest = points.Complement();
    for (std::uint32_t p = 0; p < kSize; ++p) {
      EXPECT_EQ(points.Contains(p), table[p]) << p;
      EXPECT_EQ(rest.Contains(p), !table[p]) << p;
    }
    for (std::size_t i = 1; i < points.ranges().size(); ++i) {
      EXPECT_GT(points.ranges()[i].first, points.ranges()[i - 1].last + 1);
    }
  }
}

TEST(CodePoints, ComplementHasNoSurrogates) {
  const CodePoints all = CodePoints().Complement();
  EXPECT_TRUE(all.Contains(0xD7FF) && all.Contains(0xE000) && all.Contains(kCodePointMax));
  EXPECT_FALSE(all.Contains(0xD800) || all.Contains(0xDFFF));
}

TEST(CodePoints, EscapesWhatJsonEscapes) {
  EXPECT_EQ(CodePoints({{'a', 'c'}}).InJsonString(), "[\\U00000061-\\U00000063]");
  EXPECT_EQ(CodePoints({{'"', '"'}}).InJsonString(), R"("\\\"")");
  EXPECT_EQ(CodePoints({{'!', '#'}}).InJsonString(), R"(([\U00000021\U00000023] | "\\\""))");
  EXPECT_EQ(CodePoints({{1, 1}}).InJsonString(), "");
}

}  // namespace
}  // namespace penstock::internal
