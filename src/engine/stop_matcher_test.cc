#include "engine/stop_matcher.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace penstock::engine {
namespace {

struct Outcome {
  std::string text;
  bool stopped = false;
  bool operator==(const Outcome&) const = default;
};

// The definition, byte by byte: the text before the first stop string to be complete.
Outcome Reference(const std::vector<std::string>& stops, const std::string& text) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::size_t longest = 0;
    for (const std::string& stop : stops) {
      if (std::string_view(text).substr(0, end).ends_with(stop))
        longest = std::max(longest, stop.size());
    }
    if (longest > 0) return {text.substr(0, end - longest), true};
  }
  return {text, false};
}

TEST(StopMatcher, FindsAStopAcrossPieces) {
  StopMatcher matcher({"END"});
  std::string out;
  EXPECT_FALSE(matcher.Feed("one E", out));
  EXPECT_EQ(out, "one ");
  EXPECT_FALSE(matcher.Feed("N", out));
  EXPECT_EQ(out, "one ");
  EXPECT_TRUE(matcher.Feed("D two", out));
  EXPECT_EQ(out, "one ");
}

TEST(StopMatcher, LetsGoOfWhatTurnsOutToBeText) {
  StopMatcher matcher({"END"});
  std::string out;
  EXPECT_FALSE(matcher.Feed("EN", out));
  EXPECT_EQ(out, "");
  EXPECT_FALSE(matcher.Feed("O", out));
  EXPECT_EQ(out, "ENO");
  EXPECT_FALSE(matcher.Feed("E", out));
  matcher.Flush(out);
  EXPECT_EQ(out, "ENOE");
}

TEST(StopMatcher, AnyCutGivesWhatTheDefinitionSays) {
  for (std::uint64_t seed = 1; seed <= 5000; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto word = [&random](std::uint64_t length) {
      std::string letters;
      for (; length > 0; --length) letters += static_cast<char>('a' + random.Below(2));
      return letters;
    };
    std::vector<std::string> stops;
    for (std::uint64_t i = random.Below(5); i > 0; --i) stops.push_back(word(1 + random.Below(5)));
    const std::string text = word(random.Below(20));
    StopMatcher matcher(stops);
    Outcome actual;
    for (std::size_t at = 0; at < text.size() && !actual.stopped;) {
      const std::size_t size = 1 + random.Below(5);
      actual.stopped = matcher.Feed(std::string_view(text).substr(at, size), actual.text);
      ASSERT_TRUE(Reference(stops, text).text.starts_with(actual.text))
          << "a part of a stop leaked";
      at += size;
    }
    if (!actual.stopped) matcher.Flush(actual.text);
    ASSERT_EQ(actual, Reference(stops, text));
  }
}

TEST(StopMatcher, LimitsAreNamed) {
  EXPECT_TRUE(ValidateStops(std::vector<std::string>(kStopsMax, "a")).has_value());
  const Status many = ValidateStops(std::vector<std::string>(kStopsMax + 1, "a"));
  ASSERT_FALSE(many.has_value());
  EXPECT_EQ(many.error().message, "stop has 13 strings; at most 12 are allowed");
  EXPECT_EQ(many.error().field, "stop");
  EXPECT_FALSE(ValidateStops({""}).has_value());
  EXPECT_TRUE(ValidateStops({std::string(kStopBytesMax, 'x')}).has_value());
  EXPECT_FALSE(ValidateStops({std::string(kStopBytesMax + 1, 'x')}).has_value());
}

}  // namespace
}  // namespace penstock::engine
