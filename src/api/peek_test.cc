// The gateway's peek: what it reads, what it refuses, and that a rewritten body reads as intended.
#include "api/peek.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/requests.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

Result<RequestPeek> Peek(std::string body) { return PeekRequest(PaddedView(body)); }

TEST(Peek, ReadsWhatAGatewayNeeds) {
  const auto peek = Peek(
      R"({"model":"m","stream":true,"stream_options":{"include_usage":true},"max_tokens":5,)"
      R"("max_completion_tokens":9,"n":2,"best_of":3,"messages":[{"role":"user","content":"a\nb"}],)"
      R"("temperature":0.5,"metadata":{"deep":[1,"text"]}})");
  ASSERT_TRUE(peek) << peek.error().message;
  EXPECT_EQ(peek->model, "m");
  EXPECT_TRUE(peek->stream && peek->has_stream_options && peek->include_usage);
  EXPECT_EQ(peek->tokens_max, 9);
  EXPECT_EQ(peek->choices, 3);
  EXPECT_EQ(peek->prompt_bytes, 7u);  // "user" and "a\nb"; not the metadata.
  EXPECT_EQ(peek->prompt_token_ids, 0u);
}

TEST(Peek, DefaultsWhereFieldsAreAbsentOrNull) {
  for (const char* body : {"{}", R"({"model":null,"stream":null,"stream_options":null,"n":null,)"
                                 R"("max_tokens":null,"prompt":null})"}) {
    const auto peek = Peek(body);
    ASSERT_TRUE(peek) << peek.error().message;
    EXPECT_EQ(peek->model, "");
    EXPECT_FALSE(peek->stream || peek->has_stream_options || peek->include_usage);
    EXPECT_FALSE(peek->tokens_max);
    EXPECT_EQ(peek->choices, 1);
    EXPECT_EQ(peek->prompt_bytes, 0u);
  }
}

TEST(Peek, MeasuresPromptsOfEveryForm) {
  EXPECT_EQ(Peek(R"({"prompt":["ab","c"]})")->prompt_bytes, 3u);
  EXPECT_EQ(Peek(R"({"prompt":[1,2,3]})")->prompt_token_ids, 3u);
  EXPECT_EQ(Peek(R"({"input":[[1],[2,3]]})")->prompt_token_ids, 3u);
  EXPECT_EQ(Peek(R"({"input":"\u00e9"})")->prompt_bytes, 2u);
  // Characters are code points, escaped or not.
  EXPECT_EQ(Peek(R"({"input":"\u00e9"})")->prompt_characters, 1u);
  EXPECT_EQ(Peek(R"({"input":["\ud83d\ude00é","日本語\n😀"]})")->prompt_characters, 2u + 5u);
  EXPECT_EQ(Peek(R"({"input":["\ud83d\ude00é","日本語\n😀"]})")->prompt_bytes, 6u + 14u);
}

TEST(Peek, ReadsEscapedKeys) {
  EXPECT_EQ(Peek(R"({"\u006dodel":"m"})")->model, "m");
  EXPECT_THAT(Peek(R"({"model":"a","\u006dodel":"b"})").error().message, HasSubstr("given twice"));
}

struct Bad {
  const char* body;
  const char* field;
  const char* message;
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.body; }
class PeekRefuses : public testing::TestWithParam<Bad> {};

TEST_P(PeekRefuses, NamesTheFault) {
  const auto peek = Peek(GetParam().body);
  ASSERT_FALSE(peek) << GetParam().body;
  EXPECT_EQ(peek.error().code, Code::kInvalidArgument);
  EXPECT_EQ(peek.error().field, GetParam().field);
  EXPECT_THAT(peek.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Bodies, PeekRefuses,
    testing::Values(
        Bad{"", "", "empty"}, Bad{" ", "", "empty"}, Bad{"[]", "", "not a JSON object"},
        Bad{"null", "", "not a JSON object"}, Bad{"{", "", "not valid JSON"},
        Bad{"{\"a\":1}}", "", "not valid JSON"}, Bad{"{\"a\":1} x", "", "not valid JSON"},
        Bad{"{\"a\":1,}", "", "not valid JSON"}, Bad{"{\"a\" 1}", "", "not valid JSON"},
        Bad{"{\"a\":[1 2]}", "", "not valid JSON"}, Bad{"{\"a\":tru}", "", "not valid JSON"},
        Bad{"{\"a\":\"b\":1}", "", "not valid JSON"}, Bad{"{\"a\":nul}", "", "not valid JSON"},
        Bad{"{\"a\":1e999}", "", "number"}, Bad{"{\"a\":\"\\q\"}", "", "escape"},
        Bad{"{\"a\":\"\n\"}", "", "control character"}, Bad{"{\"a\":\"", "", "no end"},
        Bad{"{\"a\":\"\xff\"}", "", "UTF-8"},
        Bad{R"({"model":5})", "model", "`model` must be a string, not 5"},
        Bad{R"({"model":{"a":1}})", "model", "a string"},
        Bad{R"({"stream":"yes"})", "stream", "true or false, not \"yes\""},
        Bad{R"({"stream":1})", "stream", "true or false"},
        Bad{R"({"stream_options":true})", "stream_options", "an object"},
        Bad{R"({"stream_options":{"include_usage":1}})", "stream_options.include_usage",
            "true or false, not 1"},
        Bad{R"({"stream_options":{"include_usage":true,"include_usage":false}})",
            "stream_options.include_usage", "given twice"},
        Bad{R"({"max_tokens":0})", "max_tokens", "[1, 2147483647], not 0"},
        Bad{R"({"max_tokens":-1})", "max_tokens", "not -1"},
        Bad{R"({"max_tokens":1.5})", "max_tokens", "not 1.5"},
        Bad{R"({"max_tokens":"5"})", "max_tokens", "an integer, not \"5\""},
        Bad{R"({"max_completion_tokens":3000000000})", "max_completion_tokens", "2147483647"},
        Bad{R"({"n":0})", "n", "[1, 128]"}, Bad{R"({"n":129})", "n", "[1, 128]"},
        Bad{R"({"stream":true,"stream":false})", "stream", "given twice"}));

TEST(Peek, RefusesDepthBombs) {
  for (const std::size_t depth : {63u, 64u, 100000u}) {
    const std::string bomb = "{\"a\":" + std::string(depth, '[') + std::string(depth, ']') + "}";
    EXPECT_EQ(Peek(bomb).has_value(), depth == 63) << depth;
  }
  EXPECT_FALSE(Peek("{\"a\":" + std::string(100000, '[')));
}

// Each body, with the usage that it must ask for afterwards.
TEST(Rewrite, AsksForUsageInEveryForm) {
  for (const char* rest : {R"({"stream":true})", R"({"stream_options":null,"stream":true})",
                           R"( { "stream" : true , "stream_options" : { } } )",
                           R"({"stream_options":{"x":[1]},"stream":true})",
                           R"({"stream_options":{"include_usage":false},"stream":true})",
                           R"({"stream_options":{"x":1,"include_usage": null },"stream":true})",
                           R"({"stream_options":{"include_usage":true},"stream":true})"}) {
    const std::string body = rest;
    const auto peek = Peek(body);
    ASSERT_TRUE(peek) << body << peek.error().message;
    const std::string rewritten = WithUsageRequested(body, *peek);
    const auto again = Peek(rewritten);
    ASSERT_TRUE(again) << rewritten << again.error().message;
    EXPECT_TRUE(again->include_usage) << rewritten;
    EXPECT_TRUE(again->stream);
    if (peek->include_usage) EXPECT_EQ(rewritten, body);
  }
}

TEST(Rewrite, ChangesNoOtherByte) {
  const std::string body = R"({"stream" : true, "model":"old" ,"x":[1, 2]})";
  EXPECT_EQ(
      WithUsageRequested(body, *Peek(body)),
      R"({"stream_options":{"include_usage":true},"stream" : true, "model":"old" ,"x":[1, 2]})");
  EXPECT_EQ(WithModel(body, *Peek(body), "a\"b"),
            R"({"stream" : true, "model":"a\"b" ,"x":[1, 2]})");
}

TEST(Rewrite, ReplacesOrAddsTheModel) {
  for (const char* text : {"{}", " { } ", R"({"model":null})", R"({"model":"x","prompt":"p"})",
                           R"({"prompt":"p"})", R"({"\u006dodel":"x"})"}) {
    const std::string body = text;
    const auto peek = Peek(body);
    const std::string rewritten = WithModel(body, *peek, "new\n");
    const auto again = Peek(rewritten);
    ASSERT_TRUE(again) << rewritten << again.error().message;
    EXPECT_EQ(again->model, "new\n");
    EXPECT_EQ(again->prompt_bytes, peek->prompt_bytes);
  }
}

TEST(Rewrite, DoesBothAtOnce) {
  for (const char* text : {"{}", R"({"stream":true})", R"({"model":"x","stream_options":{}})",
                           R"({"stream_options":{"a":1},"model":"x"})"}) {
    const std::string body = text;
    const std::string rewritten =
        RewriteRequest(body, *Peek(body), {.request_usage = true, .model = "new"});
    const auto again = Peek(rewritten);
    ASSERT_TRUE(again) << rewritten << again.error().message;
    EXPECT_EQ(again->model, "new");
    EXPECT_TRUE(again->include_usage);
  }
}

TEST(Rewrite, WithNothingToDoCopies) {
  const std::string body = R"({"model":"m"})";
  EXPECT_EQ(RewriteRequest(body, *Peek(body), {}), body);
}

}  // namespace
}  // namespace penstock
