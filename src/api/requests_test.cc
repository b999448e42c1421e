// Every field of every request: what is read, and how each mistake is named.
#include "api/requests.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

Result<ChatRequest> Chat(std::string fields) {
  std::string body = R"({"messages":[{"role":"user","content":"hi"}])";
  if (!fields.empty()) body += "," + fields;
  body += "}";
  return ParseChatRequest(PaddedView(body));
}
Result<CompletionRequest> Complete(std::string body) {
  return ParseCompletionRequest(PaddedView(body));
}

TEST(ChatRequest, ReadsEveryField) {
  const auto request =
      Chat(R"("model":"m","temperature":0.5,"top_p":0.9,"top_k":40,"min_p":0.05,"seed":-7,)"
           R"("presence_penalty":1,"frequency_penalty":-2,"repetition_penalty":1.1,"max_tokens":8,)"
           R"("min_tokens":2,"stop":["a","b"],"ignore_eos":true,"n":3,"stream":true,)"
           R"("stream_options":{"include_usage":true},"logit_bias":{"5":-100,"2":1.5},"user":"u",)"
           R"("unknown":{"a":[1]})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->model, "m");
  const GenerationOptions& options = request->options;
  EXPECT_EQ(options.sampling.temperature, 0.5);
  EXPECT_EQ(options.sampling.top_p, 0.9);
  EXPECT_EQ(options.sampling.top_k, 40);
  EXPECT_EQ(options.sampling.min_p, 0.05);
  EXPECT_EQ(options.sampling.seed, -7);
  EXPECT_EQ(options.sampling.presence_penalty, 1);
  EXPECT_EQ(options.sampling.frequency_penalty, -2);
  EXPECT_EQ(options.sampling.repetition_penalty, 1.1);
  EXPECT_THAT(options.sampling.logit_bias, ElementsAre(Pair(2, 1.5), Pair(5, -100.0)));
  EXPECT_EQ(options.tokens_max, 8);
  EXPECT_EQ(options.tokens_min, 2);
  EXPECT_THAT(options.stop, ElementsAre("a", "b"));
  EXPECT_TRUE(options.ignore_eos && options.stream && options.include_usage);
  EXPECT_EQ(options.n, 3);
  EXPECT_EQ(options.user, "u");
}

TEST(ChatRequest, NullIsAbsent) {
  const auto request =
      Chat(R"("model":null,"temperature":null,"top_p":null,"top_k":null,"min_p":null,"seed":null,)"
           R"("presence_penalty":null,"frequency_penalty":null,"repetition_penalty":null,)"
           R"("max_tokens":null,"max_completion_tokens":null,"min_tokens":null,"stop":null,)"
           R"("ignore_eos":null,"n":null,"stream":null,"stream_options":null,"logit_bias":null,)"
           R"("user":null,"tools":null,"response_format":null,"logprobs":null)");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->options.sampling.temperature, 1);
  EXPECT_EQ(request->options.sampling.top_p, 1);
  EXPECT_FALSE(request->options.tokens_max || request->options.sampling.seed);
  EXPECT_EQ(request->options.n, 1);
}

TEST(ChatRequest, TheLowerTokenLimitHolds) {
  EXPECT_EQ(Chat(R"("max_tokens":5)")->options.tokens_max, 5);
  EXPECT_EQ(Chat(R"("max_completion_tokens":6)")->options.tokens_max, 6);
  EXPECT_EQ(Chat(R"("max_tokens":5,"max_completion_tokens":6)")->options.tokens_max, 5);
  EXPECT_EQ(Chat(R"("max_tokens":7,"max_completion_tokens":6)")->options.tokens_max, 6);
}

TEST(ChatRequest, AcceptsTheEndsOfEachRange) {
  EXPECT_TRUE(Chat(R"("temperature":0,"presence_penalty":-2,"frequency_penalty":2,"min_p":1)"));
  EXPECT_TRUE(Chat(R"("temperature":2,"top_p":1,"top_k":0,"repetition_penalty":10,"n":128)"));
  EXPECT_EQ(Chat(R"("top_k":-1)")->options.sampling.top_k, 0);
  EXPECT_TRUE(Chat(R"("stop":[],"logit_bias":{},"tools":[],"logprobs":false,"best_of":1)"));
  EXPECT_TRUE(Chat(R"("response_format":{"type":"text"},"stop":["a","b","c","d"])"));
  EXPECT_THAT(Chat(R"("stop":"x")")->options.stop, ElementsAre("x"));
}

struct Bad {
  const char* fields;
  const char* field;
  const char* message;
};
void PrintTo(const Bad& bad, std::ostream* out) { *out << bad.fields; }
class ChatRefuses : public testing::TestWithParam<Bad> {};

TEST_P(ChatRefuses, NamesFieldValueAndLimit) {
  const auto request = Chat(GetParam().fields);
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, Code::kInvalidArgument);
  EXPECT_EQ(request.error().field, GetParam().field);
  EXPECT_THAT(request.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Fields, ChatRefuses,
    testing::Values(
        Bad{R"("temperature":2.1)", "temperature", "`temperature` must be in [0, 2], not 2.1"},
        Bad{R"("temperature":-0.1)", "temperature", "[0, 2], not -0.1"},
        Bad{R"("temperature":"hot")", "temperature", "a number in [0, 2], not \"hot\""},
        Bad{R"("top_p":0)", "top_p", "(0, 1], not 0"}, Bad{R"("top_p":1.01)", "top_p", "(0, 1]"},
        Bad{R"("top_k":-2)", "top_k", "[-1, 2147483647], not -2"},
        Bad{R"("top_k":1.5)", "top_k", "an integer"},
        Bad{R"("min_p":-1)", "min_p", "[0, 1], not -1"}, Bad{R"("min_p":2)", "min_p", "[0, 1]"},
        Bad{R"("seed":"a")", "seed", "an integer"},
        Bad{R"("seed":9223372036854775808)", "seed", "not 9223372036854775808"},
        Bad{R"("presence_penalty":3)", "presence_penalty", "[-2, 2], not 3"},
        Bad{R"("frequency_penalty":-3)", "frequency_penalty", "[-2, 2], not -3"},
        Bad{R"("repetition_penalty":0)", "repetition_penalty", "(0, 10], not 0"},
        Bad{R"("max_tokens":0)", "max_tokens", "[1, 2147483647], not 0"},
        Bad{R"("max_completion_tokens":-5)", "max_completion_tokens", "not -5"},
        Bad{R"("max_tokens":4294967297)", "max_tokens", "not 4294967297"},
        Bad{R"("max_tokens":4,"min_tokens":5)", "min_tokens", "[0, 4], not 5"},
        Bad{R"("min_tokens":-1)", "min_tokens", "not -1"},
        Bad{R"("stop":5)", "stop", "a string or a list of strings, not 5"},
        Bad{R"("stop":"")", "stop", "must not be empty"},
        Bad{R"("stop":["a",""])", "stop[1]", "must not be empty"},
        Bad{R"("stop":["a",7])", "stop[1]", "a string, not 7"},
        Bad{R"("stop":["a","b","c","d","e"])", "stop", "at most 4 strings, not 5"},
        Bad{R"("ignore_eos":1)", "ignore_eos", "true or false, not 1"},
        Bad{R"("n":0)", "n", "[1, 128], not 0"}, Bad{R"("n":129)", "n", "[1, 128], not 129"},
        Bad{R"("n":3,"best_of":2)", "best_of", "must be at least `n` (3), not 2"},
        Bad{R"("n":2,"best_of":3,"stream":true)", "best_of", "cannot be streamed"},
        Bad{R"("stream":"true")", "stream", "true or false, not \"true\""},
        Bad{R"("stream_options":{})", "stream_options", "only allowed with `stream`"},
        Bad{R"("stream":true,"stream_options":[])", "stream_options", "an object, not a list"},
        Bad{R"("stream":true,"stream_options":{"include_usage":2})", "stream_options.include_usage",
            "true or false, not 2"},
        Bad{R"("logit_bias":[])", "logit_bias", "an object"},
        Bad{R"("logit_bias":{"x":1})", "logit_bias", "a token id, not \"x\""},
        Bad{R"("logit_bias":{"-1":1})", "logit_bias", "a token id"},
        Bad{R"("logit_bias":{"1":101})", "logit_bias.1", "[-100, 100], not 101"},
        Bad{R"("logit_bias":{"1":1,"01":2})", "logit_bias", "token 1 twice"},
        Bad{R"("user":5)", "user", "a string, not 5"},
        Bad{R"("model":5)", "model", "a string, not 5"}, Bad{R"("logprobs":21)", "logprobs", "20"},
        Bad{R"("logprobs":"yes")", "logprobs", "integer"},
        Bad{R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "20"},
        Bad{R"("top_logprobs":2)", "top_logprobs", "only allowed with"},
        Bad{R"("n":1,"n":1)", "n", "`n` is given twice"},
        Bad{R"("n":1,"\u006e":1)", "n", "`n` is given twice"},
        Bad{R"("temperature":1e999)", "", "out of range"}));

struct BadMessages {
  const char* messages;
  const char* field;
  const char* message;
};
void PrintTo(const BadMessages& bad, std::ostream* out) { *out << bad.messages; }
class MessagesRefuse : public testing::TestWithParam<BadMessages> {};

TEST_P(MessagesRefuse, NamesThePath) {
  std::string body = fmt::format(R"({{"messages":{}}})", GetParam().messages);
  const auto request = ParseChatRequest(PaddedView(body));
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().field, GetParam().field);
  EXPECT_THAT(request.error().message, HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Messages, MessagesRefuse,
    testing::Values(
        BadMessages{"null", "messages", "missing"}, BadMessages{"[]", "messages", "not be empty"},
        BadMessages{"\"hi\"", "messages", "a list of messages, not \"hi\""},
        BadMessages{"[1]", "messages[0]", "an object, not 1"},
        BadMessages{"[{}]", "messages[0].role", "missing"},
        BadMessages{R"([{"role":"king","content":"a"}])", "messages[0].role",
                    "one of system, developer, user, assistant, tool, function, not \"king\""},
        BadMessages{R"([{"role":"user","content":"a"},{"role":"user"}])", "messages[1].content",
                    "missing"},
        BadMessages{R"([{"role":"user","content":5}])", "messages[0].content", "text parts, not 5"},
        BadMessages{R"([{"role":"user","content":"a","content":"b"}])", "messages[0].content",
                    "given twice"},
        BadMessages{R"([{"role":"user","content":"a","name":1}])", "messages[0].name", "a string"},
        BadMessages{R"([{"role":"user","content":[{"type":"text","text":"a"},)"
                    R"({"type":"image_url","image_url":{"url":"x"}}]}])",
                    "messages[0].content[1].type", "not \"image_url\": only text is supported"},
        BadMessages{R"([{"role":"user","content":[5]}])", "messages[0].content[0]", "an object"},
        BadMessages{R"([{"role":"user","content":[{"text":"a"}]}])", "messages[0].content[0].type",
                    "not absent"},
        BadMessages{R"([{"role":"user","content":[{"type":"text","text":5}]}])",
                    "messages[0].content[0].text", "a string"}));

TEST(ChatRequest, ReadsMessages) {
  std::string body =
      R"({"messages":[{"role":"system","content":"be brief"},)"
      R"({"role":"user","name":"ann","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},)"
      R"({"role":"assistant","content":null,"tool_calls":[]},{"role":"user","content":""}]})";
  const auto request = ParseChatRequest(PaddedView(body));
  ASSERT_TRUE(request) << request.error().message;
  ASSERT_EQ(request->messages.size(), 4u);
  EXPECT_EQ(request->messages[0].content, "be brief");
  EXPECT_EQ(request->messages[1].content, "ab");
  EXPECT_EQ(request->messages[1].name, "ann");
  EXPECT_EQ(request->messages[2].role, "assistant");
  EXPECT_EQ(request->messages[2].content, "");
}

TEST(Bodies, ThatAreNoJsonObjectAreRefusedInWords) {
  const std::pair<std::string, const char*> kBodies[] = {
      {"", "empty"},
      {"[]", "not a JSON object"},
      {"\"a\"", "not a JSON object"},
      {"{", "not valid JSON"},
      {R"({"prompt":"a"}})", "not valid JSON"},
      {R"({"prompt":"a"} {"prompt":"b"})", "not valid JSON"},
      {R"({"prompt":"a",})", "not valid JSON"},
      {"{\"prompt\":\"\xc3\"}", "not valid UTF-8"},
      {"{\"prompt\":\"\xed\xa0\x80\"}", "not valid UTF-8"},
      {R"({"prompt":"\ud800"})", "bad escape"},
      {"{\"prompt\":\"a\nb\"}", "control character"},
      {std::string(100000, '['), "not valid JSON"},
      {"{\"a\":" + std::string(70, '[') + std::string(70, ']') + "}", "deeper than 64"},
  };
  for (const auto& [body, message] : kBodies) {
    const auto request = Complete(body);
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().code, Code::kInvalidArgument);
    EXPECT_THAT(request.error().message, testing::AnyOf(HasSubstr(message), HasSubstr("deeper")))
        << body.substr(0, 80);
  }
}

TEST(Bodies, WithTooManyFieldsAreRefused) {
  std::string body = R"({"prompt":"a")";
  for (int i = 0; i < 256; ++i) body += fmt::format(R"(,"f{}":1)", i);
  EXPECT_THAT(Complete(body + "}").error().message, HasSubstr("more than 256 fields"));
}

TEST(Bodies, MessagesShowAtMostTheStartOfAValue) {
  const auto request = Complete(R"({"prompt":"a","stream":")" + std::string(5000, 'x') + "\"}");
  ASSERT_FALSE(request);
  EXPECT_LT(request.error().message.size(), 200u);
}

}  // namespace
}  // namespace penstock
