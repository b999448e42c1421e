#include "gateway/packed_texts.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

#include "base/random.h"

namespace penstock::gateway {
namespace {

TEST(PackedTexts, TakesOnePointersPlace) {
  EXPECT_EQ(sizeof(PackedTexts<3>), sizeof(void*));
  EXPECT_EQ(PackedTexts<3>()[2], "");
}

// Any history of changes: each text is what it was last set to.
TEST(PackedTexts, AnswersAsStringsWould) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    std::array<std::string, 3> expected;
    PackedTexts<3> texts;
    for (int i = 0; i < 200; ++i) {
      const std::size_t index = random.Below(3);
      const std::size_t other = random.Below(3);
      if (random.Below(4) == 0) {  // From within.
        expected[index] = expected[other];
        texts.Set(index, texts[other]);
      } else {
        expected[index].assign(random.Below(40), static_cast<char>('a' + random.Below(26)));
        texts.Set(index, expected[index]);
      }
      if (random.Below(8) == 0) {
        texts = PackedTexts<3>({expected[0], expected[1], expected[2]});
      }
      for (std::size_t k = 0; k < 3; ++k) ASSERT_EQ(texts[k], expected[k]);
    }
  }
}

}  // namespace
}  // namespace penstock::gateway
