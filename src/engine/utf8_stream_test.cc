#include "engine/utf8_stream.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace penstock::engine {
namespace {

std::string Whole(std::string_view bytes) {
  Utf8Stream stream;
  std::string out;
  stream.Feed(bytes, out);
  stream.Flush(out);
  return out;
}

TEST(Utf8Stream, HoldsBackAnUnfinishedCharacter) {
  Utf8Stream stream;
  std::string out;
  stream.Feed("a\xE2\x82", out);
  EXPECT_EQ(out, "a");
  stream.Feed("\xAC!", out);
  EXPECT_EQ(out, "a\xE2\x82\xAC!");
}

TEST(Utf8Stream, ReplacesWhatIsBroken) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(Whole("a\x80z"), "a" + r + "z");                 // A continuation alone.
  EXPECT_EQ(Whole("\xE2\x82z"), r + "z");                    // Broken off: one replacement.
  EXPECT_EQ(Whole("\xE2\x82"), r);                           // At the end of the stream.
  EXPECT_EQ(Whole("\xC0\xAF"), r + r);                       // Overlong.
  EXPECT_EQ(Whole("\xED\xA0\x80"), r + r + r);               // A surrogate.
  EXPECT_EQ(Whole("\xF4\x90\x80\x80"), r + r + r + r);       // Above U+10FFFF.
  EXPECT_EQ(Whole("\xF0\x9F\x98\x80"), "\xF0\x9F\x98\x80");  // Whole.
}

TEST(Utf8Stream, CutsNeverChangeTheText) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    constexpr std::string_view kBytes =
        "a\x80\xBF\xC3\xA9\xE2\x82\xAC\xED\xA0\xF0\x9F\x98\x80\xF4\x90\xFF";
    std::string bytes;
    for (std::uint64_t i = random.Below(24); i > 0; --i)
      bytes += kBytes[random.Below(kBytes.size())];
    Utf8Stream stream;
    std::string out;
    for (std::size_t at = 0; at < bytes.size();) {
      const std::size_t size = 1 + random.Below(4);
      stream.Feed(std::string_view(bytes).substr(at, size), out);
      at += size;
    }
    stream.Flush(out);
    ASSERT_EQ(out, Whole(bytes));
  }
}

}  // namespace
}  // namespace penstock::engine
