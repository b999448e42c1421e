// Golden texts of responses, streams and errors, and their way back through the readers.
#include "api/responses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <array>
#include <limits>

#include "api/answers.h"
#include "api/chunk_writer.h"
#include "api/error_body.h"
#include "api/json_text.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;

constexpr ResponseHead kHead{.id = "chatcmpl-1", .model = "m", .created_s = 1700000000};
constexpr Usage kUsage{.prompt_tokens = 7, .completion_tokens = 3, .cached_tokens = 2};

bool IsJson(const std::string& text) {
  simdjson::dom::parser parser;
  return parser.parse(text).error() == simdjson::SUCCESS;
}

TEST(Responses, ChatCompletion) {
  std::string out;
  AppendChatCompletion(out, kHead, std::array{Choice{"Hi\n", FinishReason::kStop}}, kUsage);
  EXPECT_EQ(
      out,
      R"({"id":"chatcmpl-1","object":"chat.completion","created":1700000000,"model":"m",)"
      R"("choices":[{"index":0,"message":{"role":"assistant","content":"Hi\n","refusal":null},)"
      R"("logprobs":null,"finish_reason":"stop"}],)"
      R"("usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,)"
      R"("prompt_tokens_details":{"cached_tokens":2}}})");
  const auto answer = ReadCompletion(PaddedView(out));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->text, "Hi\n");
  EXPECT_EQ(answer->model, "m");
  EXPECT_EQ(answer->finish, FinishReason::kStop);
  EXPECT_EQ(answer->choices, 1u);
  EXPECT_TRUE(answer->has_usage);
  EXPECT_EQ(answer->usage, kUsage);
}

TEST(Responses, Completion) {
  std::string out;
  AppendCompletion(out, kHead,
                   std::array{Choice{"a", FinishReason::kLength}, Choice{"b", FinishReason::kStop}},
                   kUsage);
  EXPECT_EQ(out,
            R"({"id":"chatcmpl-1","object":"text_completion","created":1700000000,"model":"m",)"
            R"("choices":[{"index":0,"text":"a","logprobs":null,"finish_reason":"length"},)"
            R"({"index":1,"text":"b","logprobs":null,"finish_reason":"stop"}],)"
            R"("usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,)"
            R"("prompt_tokens_details":{"cached_tokens":2}}})");
  const auto answer = ReadCompletion(PaddedView(out));
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->text, "a");
  EXPECT_EQ(answer->finish, FinishReason::kLength);
}

TEST(Responses, EmbeddingsAsNumbersAndBase64) {
  const std::vector<std::vector<float>> vectors = {{1, -0.5F, 1e-8F}, {}};
  std::string out;
  AppendEmbeddings(out, kHead, vectors, EncodingFormat::kFloat, {.prompt_tokens = 4});
  EXPECT_EQ(
      out,
      R"({"object":"list","data":[{"object":"embedding","index":0,"embedding":[1,-0.5,1e-08]},)"
      R"({"object":"embedding","index":1,"embedding":[]}],"model":"m",)"
      R"("usage":{"prompt_tokens":4,"total_tokens":4}})");
  EXPECT_EQ(ReadEmbeddings(PaddedView(out))->vectors, vectors);
  out.clear();
  AppendEmbeddings(out, kHead, vectors, EncodingFormat::kBase64, {.prompt_tokens = 4});
  EXPECT_THAT(out, testing::HasSubstr(R"("embedding":"AACAPwAAAL93zCsy")"));
  const auto answer = ReadEmbeddings(PaddedView(out));
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(answer->vectors, vectors);
  EXPECT_EQ(answer->usage.prompt_tokens, 4u);
}

TEST(Responses, NumbersThatAreNotFiniteAreNull) {
  std::string out;
  const std::vector<std::vector<float>> vectors = {{std::numeric_limits<float>::infinity()}};
  AppendEmbeddings(out, kHead, vectors, EncodingFormat::kFloat, {});
  EXPECT_THAT(out, testing::HasSubstr("[null]"));
  EXPECT_TRUE(IsJson(out));
}

TEST(Responses, ModelsAndTokens) {
  std::string out;
  AppendModelList(out, std::array{ModelCard{"a", 5}, ModelCard{"b", 6, "me"}});
  EXPECT_EQ(
      out,
      R"({"object":"list","data":[{"id":"a","object":"model","created":5,"owned_by":"penstock"},)"
      R"({"id":"b","object":"model","created":6,"owned_by":"me"}]})");
  out.clear();
  AppendTokens(out, std::array<TokenId, 2>{1, 22}, 4096);
  EXPECT_EQ(out, R"({"count":2,"max_model_len":4096,"tokens":[1,22]})");
  EXPECT_THAT(*ReadTokens(PaddedView(out)), ElementsAre(1, 22));
  out.clear();
  AppendDetokenized(out, "a\"b");
  EXPECT_EQ(out, R"({"prompt":"a\"b"})");
}

TEST(ChunkWriter, ChatTranscript) {
  std::string out;
  const ChunkWriter writer(ChunkFormat::kChat, {.id = "c", .model = "m", .created_s = 9}, true);
  writer.AppendRole(out);
  writer.AppendText(out, "He\"llo");
  writer.AppendText(out, "x", 2);
  writer.AppendFinish(out, FinishReason::kStop);
  writer.AppendUsage(out, kUsage);
  ChunkWriter::AppendDone(out);
  const std::string head =
      R"(data: {"id":"c","object":"chat.completion.chunk","created":9,"model":"m","choices":[)";
  EXPECT_EQ(
      out,
      head +
          R"({"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"usage":null})"
          "\n\n" +
          head +
          R"({"index":0,"delta":{"content":"He\"llo"},"logprobs":null,"finish_reason":null}],"usage":null})"
          "\n\n" +
          head +
          R"({"index":2,"delta":{"content":"x"},"logprobs":null,"finish_reason":null}],"usage":null})"
          "\n\n" +
          head +
          R"({"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null})"
          "\n\n" +
          head +
          R"(],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10,"prompt_tokens_details":{"cached_tokens":2}}})"
          "\n\ndata: [DONE]\n\n");
}

TEST(ChunkWriter, CompletionTranscriptWithoutUsage) {
  std::string out;
  const ChunkWriter writer(ChunkFormat::kCompletion, {.id = "c", .model = "m", .created_s = 9},
                           false);
  writer.AppendText(out, "a");
  writer.AppendFinish(out, FinishReason::kLength);
  const std::string head =
      R"(data: {"id":"c","object":"text_completion","created":9,"model":"m","choices":[)";
  EXPECT_EQ(out, head +
                     R"({"index":0,"text":"a","logprobs":null,"finish_reason":null}]})"
                     "\n\n" +
                     head +
                     R"({"index":0,"text":"","logprobs":null,"finish_reason":"length"}]})"
                     "\n\n");
}

TEST(ErrorBody, EachDialect) {
  const Error bad{Code::kInvalidArgument, "`n` is \"wrong\"", "n"};
  EXPECT_EQ(ErrorBody(Dialect::kOpenAi, bad),
            R"({"error":{"message":"`n` is \"wrong\"","type":"invalid_request_error","param":"n",)"
            R"("code":"invalid_parameter_value"}})");
  EXPECT_EQ(ErrorBody(Dialect::kDatabricks, bad),
            R"({"error_code":"INVALID_PARAMETER_VALUE","message":"`n` is \"wrong\""})");
  EXPECT_EQ(ErrorBody(Dialect::kAzure, bad),
            R"({"error":{"code":"invalid_parameter_value","message":"`n` is \"wrong\"",)"
            R"("type":"invalid_request_error","param":"n"}})");
  EXPECT_EQ(ErrorBody(Dialect::kAzure, {Code::kRateLimited, "slow down", ""}),
            R"({"error":{"code":"429","message":"slow down"}})");
  EXPECT_EQ(ErrorBody(Dialect::kAzure, {Code::kUnauthenticated, "who", ""}),
            R"({"error":{"code":"401","message":"who"}})");
  EXPECT_EQ(ErrorBody(Dialect::kAzure, {Code::kNotFound, "where", ""}),
            R"({"error":{"code":"DeploymentNotFound","message":"where"}})");
  EXPECT_EQ(
      ErrorBody(Dialect::kOpenAi, {Code::kUnavailable, "no", ""}, "model_loading"),
      R"({"error":{"message":"no","type":"server_error","param":null,"code":"model_loading"}})");
}

TEST(ErrorBody, EveryShapeIsReadBack) {
  for (const Dialect dialect : {Dialect::kOpenAi, Dialect::kDatabricks, Dialect::kAzure}) {
    EXPECT_EQ(ReadErrorMessage(ErrorBody(dialect, {Code::kNotFound, "no such model", ""})),
              "no such model");
  }
  EXPECT_EQ(ReadErrorMessage(R"({"error":"text"})"), "text");
  EXPECT_EQ(ReadErrorMessage(""), "(no body)");
  EXPECT_EQ(ReadErrorMessage("<html>\nBad"), "<html> Bad");
  EXPECT_EQ(ReadErrorMessage(R"({"a":1})"), R"({"a":1})");
  EXPECT_LE(ReadErrorMessage(std::string(10000, 'x')).size(), 512u);
}

TEST(Answers, SayWhatIsMissing) {
  const auto read = [](std::string body) { return ReadCompletion(PaddedView(body)); };
  EXPECT_EQ(read("{}").error().field, "choices");
  EXPECT_EQ(read("[]").error().code, Code::kUpstream);
  EXPECT_EQ(read(R"({"choices":[{}]})").error().field, "choices[0]");
  EXPECT_EQ(read(R"({"choices":[]})")->choices, 0u);
  EXPECT_FALSE(read(R"({"choices":[{"message":{"content":null}}]})")->has_usage);
  EXPECT_EQ(read(R"({"choices":[{"message":{"content":[{"type":"text","text":"a"}]}}]})")->text,
            "a");
  std::string bad = R"({"data":[{"embedding":"!!!!"}]})";
  EXPECT_EQ(ReadEmbeddings(PaddedView(bad)).error().code, Code::kUpstream);
  bad = R"({"data":[{"embedding":["a"]}]})";
  EXPECT_EQ(ReadEmbeddings(PaddedView(bad)).error().code, Code::kUpstream);
  bad = R"({"tokens":[-1]})";
  EXPECT_EQ(ReadTokens(PaddedView(bad)).error().code, Code::kUpstream);
}

std::string Escaped(std::string_view text) {
  std::string out;
  AppendJsonEscaped(out, text);
  return out;
}

TEST(JsonText, EscapesWhatMustBeAndNothingElse) {
  EXPECT_EQ(Escaped("plain text, longer than eight bytes/"),
            "plain text, longer than eight bytes/");
  EXPECT_EQ(Escaped("\"\\\n\r\t\b\f\x01\x1f\x7f"), "\\\"\\\\\\n\\r\\t\\b\\f\\u0001\\u001f\x7f");
  EXPECT_EQ(Escaped(std::string_view("\0", 1)), "\\u0000");
  EXPECT_EQ(Escaped("é😀 and \"q\""), "é😀 and \\\"q\\\"");
}

TEST(JsonText, ReplacesWhatIsNotUtf8) {
  const char* const kBad = "\xEF\xBF\xBD";
  EXPECT_EQ(Escaped("a\xff"
                    "b"),
            std::string("a") + kBad + "b");
  EXPECT_EQ(Escaped("\xc3"), kBad);
  EXPECT_EQ(Escaped("é\xc3(é"), std::string("é") + kBad + "(é");
  EXPECT_EQ(Escaped("\xed\xa0\x80"), std::string(kBad) + kBad + kBad);  // A surrogate.
  EXPECT_EQ(Escaped("\xc0\xaf"), std::string(kBad) + kBad);             // Overlong.
}

TEST(JsonText, EachByteAtEachPlaceSurvivesAParse) {
  simdjson::dom::parser parser;
  for (int byte = 0; byte < 0x80; ++byte) {
    for (std::size_t place = 0; place < 18; ++place) {
      std::string text(18, 'x');
      text[place] = static_cast<char>(byte);
      std::string json;
      AppendJsonString(json, text);
      std::string_view back;
      ASSERT_EQ(parser.parse(json).get_string().get(back), simdjson::SUCCESS) << byte << json;
      ASSERT_EQ(back, text);
    }
  }
}

TEST(JsonText, Base64) {
  const auto encode = [](std::string_view text) {
    std::string out;
    AppendBase64(out, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    return out;
  };
  EXPECT_EQ(encode(""), "");
  EXPECT_EQ(encode("f"), "Zg==");
  EXPECT_EQ(encode("fo"), "Zm8=");
  EXPECT_EQ(encode("foo"), "Zm9v");
  EXPECT_EQ(encode("foobar"), "Zm9vYmFy");
  EXPECT_EQ(encode("\xfb\xff"), "+/8=");
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(DecodeBase64(encode(bytes)), bytes);
    bytes.push_back(static_cast<char>(i * 7));
  }
  for (const char* bad : {"Z", "Zg", "Zg=", "Z===", "Zm8=Zm8=", "Zh==", "Z!==",
                          "Zg=="
                          "\n"}) {
    EXPECT_FALSE(DecodeBase64(bad)) << bad;
  }
}

}  // namespace
}  // namespace penstock
