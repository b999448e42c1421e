// The short ways through JSON: they take what is usual, and never disagree with the full parser.
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "api/chunk_reader.h"
#include "api/quick_chunk.h"
#include "api/quick_json.h"
#include "api/quick_peek.h"
#include "base/random.h"

namespace penstock::internal {
namespace {

constexpr std::string_view kRequest =
    R"({"model":"m","messages":[{"role":"user","content":"Say \"a\"\n b"}],"max_tokens":16,)"
    R"("temperature":0.7,"stream":false,"n":2,"user":"u-1","stop":["x",null],"seed":-3})";
constexpr std::string_view kAnswer =
    R"({"id":"c-7","object":"chat.completion","created":1760000000,"model":"m","choices":[{"index":)"
    R"(0,"message":{"role":"assistant","content":"It \"flows\".","refusal":null},"logprobs":null,)"
    R"("finish_reason":"stop"}],"usage":{"prompt_tokens":12,"completion_tokens":4,"total_tokens":16,)"
    R"("prompt_tokens_details":{"cached_tokens":8,"audio_tokens":0}}})";

void ExpectNoDisagreement(std::string text) {
  SCOPED_TRACE(text);
  const PaddedView padded(text);  // May move it.
  RequestPeek quick;
  if (QuickPeek(text, quick)) {
    const auto full = PeekInFull(padded);
    ASSERT_TRUE(full.has_value()) << full.error().message;
    EXPECT_EQ(*full, quick);
    EXPECT_EQ(full->prompt_text.data(), quick.prompt_text.data());
  }
  EXPECT_EQ(ReadChunk(text), ReadChunkInFull(text));
}

TEST(QuickPeek, TakesWhatIsUsual) {
  RequestPeek peek;
  ASSERT_TRUE(QuickPeek(kRequest, peek));
  EXPECT_EQ(peek.model, "m");
  EXPECT_EQ(peek.tokens_max, 16);
  EXPECT_EQ(peek.choices, 2);
  EXPECT_EQ(peek.prompt_bytes, 4u + 10u);
  EXPECT_TRUE(peek.has_messages);
  ExpectNoDisagreement(std::string(kRequest));
  ExpectNoDisagreement(R"({"model":"m","prompt":"once upon" , "input":["a","b"],"best_of":2})");
}

TEST(QuickPeek, LeavesToTheFullParserWhatIsRareOrWrong) {
  for (const char* body : {"",
                           "{",
                           "[]",
                           R"({"model":"m","model":"m"})",
                           R"({"model":"\u0041"})",
                           R"({"model":null})",
                           R"({"model":"\xc3\xa9"})",
                           R"({"max_tokens":0})",
                           R"({"max_tokens":2147483648})",
                           R"({"max_tokens":1.5})",
                           R"({"n":129})",
                           R"({"stream":1})",
                           R"({"stream":truer})",
                           R"({"stream_options":{}})",
                           R"({"tools":[]})",
                           R"({"usage_context":{}})",
                           R"({"a":01})",
                           R"({"a":1e3})",
                           R"({"a":"\x01"})",
                           R"({"a":1} x)",
                           R"({"a":tru})",
                           R"({"a":1,})",
                           R"({"a" 1})",
                           R"({"a":"\q"})",
                           R"({"a":1234567890123456789})",
                           R"({"\u006d":1})"}) {
    RequestPeek peek;
    EXPECT_FALSE(QuickPeek(body, peek)) << body;
  }
  RequestPeek peek;
  EXPECT_FALSE(QuickPeek(R"({"a":")" + std::string(QuickJson::kBytesMax, 'x') + R"("})", peek));
  EXPECT_FALSE(QuickPeek(R"({"a":)" + std::string(20, '[') + std::string(20, ']') + "}", peek));
}

TEST(QuickChunk, TakesWhatIsUsual) {
  ChunkFindings found;
  ASSERT_TRUE(QuickReadChunk(kAnswer, found));
  EXPECT_EQ(found.chunk.usage,
            (Usage{.prompt_tokens = 12, .completion_tokens = 4, .cached_tokens = 8}));
  EXPECT_EQ(found.chunk.finish, FinishReason::kStop);
  EXPECT_EQ(found.content_bytes, 11u);
  ExpectNoDisagreement(std::string(kAnswer));
}

// Whatever is done to a body that both know, they read the same or the short way says no.
TEST(Quick, NeverDisagreesWithTheFullParser) {
  const std::vector<std::string_view> pieces = {
      "\"",         "\\",          ",",           ":",          "{",       "}",        "[",
      "]",          "null",        "true",        "false",      "-0",      "1.",       "0.5",
      "12",         " ",           "\n",          "\\n",        "\\u00e9", "\xc3\xa9", "\x7f",
      "\"model\":", "\"usage\":{", "\"text\":\"", "1e9",        "\x80",    "\"n\":",   "\"error\":",
      "\"delta\":", "\"prompt\":", "\"input\":[", "\"stream\":"};
  const std::uint64_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  Random random(seed);
  int quick = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text(random.Below(2) == 0 ? kRequest : kAnswer);
    for (std::uint64_t n = random.Below(4); n > 0; --n) {
      const std::size_t at = random.Below(text.size() + 1);
      const std::size_t cut = random.Below(3) == 0 ? random.Below(6) : 0;
      const std::string_view piece =
          random.Below(3) == 0 ? std::string_view() : pieces[random.Below(pieces.size())];
      text.replace(at, std::min(cut, text.size() - at), piece);
    }
    RequestPeek peek;
    quick += QuickPeek(text, peek) ? 1 : 0;
    ExpectNoDisagreement(text);
    if (HasFailure()) return;
  }
  EXPECT_GT(quick, 2000);  // It is the short way that is tested.
}

}  // namespace
}  // namespace penstock::internal
