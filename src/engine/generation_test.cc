#include "engine/generation.h"

#include <gtest/gtest.h>

namespace penstock::engine {
namespace {

TEST(Generation, EndsAtItsLimit) {
  Generation generation({.output_tokens_max = 2}, {});
  std::string out;
  EXPECT_EQ(generation.Accept("a", false, out), std::nullopt);
  EXPECT_EQ(generation.Accept("b", false, out), FinishReason::kLength);
  EXPECT_EQ(out, "ab");
  EXPECT_EQ(generation.tokens(), 2);
}

TEST(Generation, EndsAtTheEndTokenAndFlushesWhatWasHeld) {
  Generation generation({.output_tokens_max = 9}, {"xyz"});
  std::string out;
  EXPECT_EQ(generation.Accept("axy", false, out), std::nullopt);
  EXPECT_EQ(out, "a");
  EXPECT_EQ(generation.Accept("", true, out), FinishReason::kStop);
  EXPECT_EQ(out, "axy");
  EXPECT_EQ(generation.tokens(), 2);
}

TEST(Generation, AStopStringWinsOverTheLimitAndIsNotShown) {
  Generation generation({.output_tokens_max = 2}, {"yz"});
  std::string out;
  EXPECT_EQ(generation.Accept("xy", false, out), std::nullopt);
  EXPECT_EQ(generation.Accept("z", false, out), FinishReason::kStop);
  EXPECT_EQ(out, "x");
}

TEST(Generation, NeverCutsACharacterAndReplacesOneThatNeverEnds) {
  Generation generation({.output_tokens_max = 3}, {});
  std::string out;
  generation.Accept("\xE2\x82", false, out);
  EXPECT_EQ(out, "");
  generation.Accept("\xAC", false, out);
  EXPECT_EQ(out, "\xE2\x82\xAC");
  EXPECT_EQ(generation.Accept("\xF0\x9F", false, out), FinishReason::kLength);
  EXPECT_EQ(out, "\xE2\x82\xAC\xEF\xBF\xBD");
}

TEST(Generation, MustContinueUntilItsMinimum) {
  Generation generation({.output_tokens_max = 9, .output_tokens_min = 1}, {});
  EXPECT_TRUE(generation.MustContinue());
  std::string out;
  generation.Accept("a", false, out);
  EXPECT_FALSE(generation.MustContinue());
  const Generation ignoring({.output_tokens_max = 9, .ignore_end_of_generation = true}, {});
  EXPECT_TRUE(ignoring.MustContinue());
}

TEST(OutputLimit, NamesPromptAndContext) {
  EXPECT_EQ(OutputLimit(10, 5, 100).value(), 5);
  EXPECT_EQ(OutputLimit(10, 0, 100).value(), 90);
  EXPECT_EQ(OutputLimit(10, 90, 100).value(), 90);
  const Result<int> over = OutputLimit(10, 91, 100);
  ASSERT_FALSE(over.has_value());
  EXPECT_EQ(
      over.error().message,
      "the prompt has 10 tokens and max_tokens is 91; together they must not be more than the "
      "context holds: 100");
  EXPECT_EQ(OutputLimit(99, 0, 100).value(), 1);
  const Result<int> full = OutputLimit(100, 1, 100);
  ASSERT_FALSE(full.has_value());
  EXPECT_EQ(full.error().code, Code::kInvalidArgument);
  EXPECT_EQ(
      full.error().message,
      "the prompt has 100 tokens; the context holds 100, of which at least 1 is needed for the "
      "output");
  EXPECT_FALSE(OutputLimit(0, 1, 100).has_value());
  EXPECT_FALSE(OutputLimit(1, -1, 100).has_value());
}

}  // namespace
}  // namespace penstock::engine
