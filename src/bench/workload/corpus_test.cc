#include "bench/workload/corpus.h"

#include <gtest/gtest.h>
#include <simdjson.h>

#include <set>
#include <string>

namespace penstock::bench {
namespace {

std::string Filled(std::string_view unit) {
  std::string text;
  while (text.size() < kCorpusBytesMin) text += unit;
  return text;
}

TEST(Corpus, TheShippedTextIsLongAndPlain) {
  const std::string_view text = ShippedText();
  EXPECT_GE(text.size(), 60'000u);
  EXPECT_TRUE(simdjson::validate_utf8(text));
  EXPECT_EQ(text.find('\r'), std::string_view::npos);
  EXPECT_EQ(text.find('\0'), std::string_view::npos);
}

// A text that repeats itself would tokenise and cache unlike prose.
TEST(Corpus, TheShippedTextDoesNotRepeatItself) {
  const std::string_view text = ShippedText();
  std::set<std::string_view> seen;
  constexpr std::size_t kSpan = 60;
  for (std::size_t at = 0; at + kSpan <= text.size(); ++at) {
    EXPECT_TRUE(seen.insert(text.substr(at, kSpan)).second)
        << "repeated: " << text.substr(at, kSpan);
    if (HasFailure()) return;
  }
}

TEST(Corpus, CutsAndStartsOverAtTheEnd) {
  const std::string text = Filled("abcdefgh ");
  const auto corpus = Corpus::FromText("letters", text);
  ASSERT_TRUE(corpus);
  EXPECT_EQ(corpus->Cut(0, 12), "abcdefgh abc");
  EXPECT_EQ(corpus->Cut(text.size(), 5), "abcde");
  EXPECT_EQ(corpus->Cut(text.size() - 3, 6), "gh abc");
  EXPECT_EQ(corpus->Cut(5, text.size() * 2).size(), text.size() * 2);
  EXPECT_EQ(corpus->Cut(5, 0), "");
}

TEST(Corpus, NeverCutsACharacter) {
  const auto corpus = Corpus::FromText("mixed", Filled("aé水🎉"));
  ASSERT_TRUE(corpus);
  for (std::size_t offset = 0; offset < 30; ++offset) {
    for (std::size_t bytes = 0; bytes < 40; ++bytes) {
      const std::string cut = corpus->Cut(offset, bytes);
      EXPECT_TRUE(simdjson::validate_utf8(cut)) << offset << " " << bytes;
      EXPECT_LE(cut.size(), bytes);
      EXPECT_GT(cut.size() + 4, bytes);
    }
  }
}

TEST(Corpus, BadTextsAreRefusedWithTheReason) {
  const auto small = Corpus::FromText("tiny.txt", "hello");
  ASSERT_FALSE(small);
  EXPECT_EQ(small.error().code, Code::kInvalidArgument);
  EXPECT_EQ(small.error().message, "corpus tiny.txt has 5 bytes, at least 4096 are needed");

  const std::string clean = Filled("水は");
  for (const std::size_t at :
       {std::size_t{0}, std::size_t{1}, std::size_t{999}, clean.size() - 1}) {
    std::string dirty = clean;
    dirty[at] = static_cast<char>(0xFF);
    const auto bad = Corpus::FromText("dirty.txt", dirty);
    ASSERT_FALSE(bad);
    const std::string& message = bad.error().message;
    ASSERT_TRUE(message.starts_with("corpus dirty.txt is not UTF-8 near byte ")) << message;
    const auto named = static_cast<std::size_t>(std::stoul(message.substr(message.rfind(' '))));
    EXPECT_NEAR(static_cast<double>(named), static_cast<double>(at), 4) << message;
  }
}

TEST(Corpus, FilesThatCannotBeReadAreNamed) {
  const auto missing = Corpus::FromFile("/nowhere/text.txt");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(missing.error().message, "corpus /nowhere/text.txt cannot be read");
  EXPECT_FALSE(Corpus::FromFile("/"));
}

}  // namespace
}  // namespace penstock::bench
