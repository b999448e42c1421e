// Prompts, inputs and token ids: the forms that requests other than chat may take.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/requests.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<CompletionRequest> Complete(std::string body) {
  return ParseCompletionRequest(PaddedView(body));
}
Result<EmbeddingRequest> Embed(std::string body) { return ParseEmbeddingRequest(PaddedView(body)); }
Result<TokenizeRequest> Tokenize(std::string body) {
  return ParseTokenizeRequest(PaddedView(body));
}
Result<DetokenizeRequest> Detokenize(std::string body) {
  return ParseDetokenizeRequest(PaddedView(body));
}

TEST(CompletionRequest, ReadsPromptsOfEveryForm) {
  EXPECT_EQ(Complete(R"({"prompt":"a","echo":true})")->prompts, (std::vector<Prompt>{"a"}));
  EXPECT_TRUE(Complete(R"({"prompt":"a","echo":true})")->echo);
  EXPECT_EQ(Complete(R"({"prompt":""})")->prompts, (std::vector<Prompt>{""}));
  EXPECT_EQ(Complete(R"({"prompt":["a","b"]})")->prompts, (std::vector<Prompt>{"a", "b"}));
  EXPECT_EQ(Complete(R"({"prompt":[1,2]})")->prompts,
            (std::vector<Prompt>{std::vector<TokenId>{1, 2}}));
  EXPECT_EQ(Complete(R"({"prompt":[[1],[2,3]]})")->prompts,
            (std::vector<Prompt>{std::vector<TokenId>{1}, std::vector<TokenId>{2, 3}}));
}

TEST(CompletionRequest, NamesWhatIsWrongWithAPrompt) {
  const std::pair<const char*, const char*> kBodies[] = {
      {R"({})", "prompt"},
      {R"({"prompt":null})", "prompt"},
      {R"({"prompt":5})", "prompt"},
      {R"({"prompt":[]})", "prompt"},
      {R"({"prompt":["a",5]})", "prompt[1]"},
      {R"({"prompt":[1,"a"]})", "prompt[1]"},
      {R"({"prompt":[-1]})", "prompt[0]"},
      {R"({"prompt":[1,2147483648]})", "prompt[1]"},
      {R"({"prompt":[[1],[]]})", "prompt[1]"},
      {R"({"prompt":[[1],[1.5]]})", "prompt[1][0]"},
  };
  for (const auto& [body, field] : kBodies) {
    const auto request = Complete(body);
    ASSERT_FALSE(request) << body;
    EXPECT_EQ(request.error().field, field) << body;
  }
}

TEST(CompletionRequest, BoundsTheNumberOfPrompts) {
  std::string list = "\"a\"";
  for (std::size_t i = 1; i < kInputsMax; ++i) list += ",\"a\"";
  EXPECT_EQ(Complete("{\"prompt\":[" + list + "]}")->prompts.size(), kInputsMax);
  EXPECT_THAT(Complete("{\"prompt\":[" + list + ",\"a\"]}").error().message,
              HasSubstr("1 to 2048 items, not 2049"));
}

TEST(EmbeddingRequest, ReadsAndRefuses) {
  const auto request =
      Embed(R"({"model":"m","input":["a","b"],"encoding_format":"base64","dimensions":64})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->inputs, (std::vector<Prompt>{"a", "b"}));
  EXPECT_EQ(request->encoding_format, EncodingFormat::kBase64);
  EXPECT_EQ(request->dimensions, 64);
  EXPECT_EQ(Embed(R"({"input":"a"})")->encoding_format, EncodingFormat::kFloat);
  EXPECT_EQ(Embed(R"({"input":""})").error().field, "input");
  EXPECT_EQ(Embed(R"({"input":["a",""]})").error().field, "input[1]");
  EXPECT_EQ(Embed(R"({"input":"a","encoding_format":"hex"})").error().field, "encoding_format");
  EXPECT_EQ(Embed(R"({"input":"a","dimensions":0})").error().field, "dimensions");
}

TEST(EmbeddingRequest, AnInstructionStandsBeforeEachText) {
  const auto request = Embed(R"({"input":["a","b"],"instruction":"Find:"})");
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->inputs, (std::vector<Prompt>{"Find: a", "Find: b"}));
  EXPECT_EQ(Embed(R"({"input":"a","instruction":"Find: "})")->inputs,
            (std::vector<Prompt>{"Find: a"}));
  EXPECT_EQ(Embed(R"({"input":"a","instruction":""})")->inputs, (std::vector<Prompt>{"a"}));
  EXPECT_EQ(Embed(R"({"input":[1,2],"instruction":"Find:"})").error().field, "instruction");
  EXPECT_EQ(Embed(R"({"input":"a","instruction":5})").error().field, "instruction");
}

// OpenAI's reference: completions generate 16 tokens where no limit is given; chats have none.
TEST(CompletionRequest, WithoutALimitGeneratesSixteenTokens) {
  EXPECT_EQ(Complete(R"({"prompt":"a"})")->options.tokens_max, 16);
  EXPECT_EQ(Complete(R"({"prompt":"a","max_tokens":40})")->options.tokens_max, 40);
  EXPECT_EQ(Complete(R"({"prompt":"a","min_tokens":20})")->options.tokens_max, 20);
}

TEST(TokenizeRequest, ReadsPromptOrMessages) {
  EXPECT_EQ(Tokenize(R"({"prompt":"a"})")->prompt, "a");
  EXPECT_TRUE(Tokenize(R"({"prompt":"a"})")->add_special_tokens);
  EXPECT_FALSE(Tokenize(R"({"prompt":"a","add_special_tokens":false})")->add_special_tokens);
  EXPECT_EQ(Tokenize(R"({"messages":[{"role":"user","content":"a"}]})")->messages.size(), 1u);
  EXPECT_EQ(Tokenize(R"({})").error().field, "prompt");
  EXPECT_EQ(Tokenize(R"({"prompt":5})").error().field, "prompt");
  EXPECT_THAT(
      Tokenize(R"({"prompt":"a","messages":[{"role":"user","content":"a"}]})").error().message,
      HasSubstr("not both"));
}

TEST(DetokenizeRequest, ReadsTokens) {
  EXPECT_THAT(Detokenize(R"({"tokens":[1,2]})")->tokens, ElementsAre(1, 2));
  EXPECT_TRUE(Detokenize(R"({"tokens":[]})")->tokens.empty());
  EXPECT_EQ(Detokenize(R"({})").error().field, "tokens");
  EXPECT_EQ(Detokenize(R"({"tokens":"a"})").error().field, "tokens");
  EXPECT_EQ(Detokenize(R"({"tokens":[1,"a"]})").error().field, "tokens[1]");
}

}  // namespace
}  // namespace penstock
