#include "bench/drive/endpoint.h"

#include <gtest/gtest.h>

#include <string>

#include "api/requests.h"

namespace penstock::bench {
namespace {

struct Case {
  std::string url;
  std::string target;
  std::string tokenize;
  Dialect dialect;
};

TEST(Endpoint, PathsAreCompletedOnlyWhereThereIsNone) {
  const Case cases[] = {
      {"http://h:1", "/v1/chat/completions", "/tokenize", Dialect::kChat},
      {"http://h:1/", "/v1/chat/completions", "/tokenize", Dialect::kChat},
      {"http://h:1/v1", "/v1/chat/completions", "/tokenize", Dialect::kChat},
      {"http://h:1/v1/", "/v1/chat/completions", "/tokenize", Dialect::kChat},
      {"http://h:1/openai/v1", "/openai/v1/chat/completions", "/openai/tokenize", Dialect::kChat},
      {"http://h:1/v1/completions", "/v1/completions", "/tokenize", Dialect::kCompletion},
      {"http://h:1/serving-endpoints/e/invocations", "/serving-endpoints/e/invocations", "",
       Dialect::kChat},
      {"http://h:1/openai/deployments/d/chat/completions?api-version=2024-10-21",
       "/openai/deployments/d/chat/completions?api-version=2024-10-21", "", Dialect::kChat},
      {"unix:/run/p.sock", "/v1/chat/completions", "/tokenize", Dialect::kChat},
  };
  for (const Case& expected : cases) {
    SCOPED_TRACE(expected.url);
    const auto endpoint = Endpoint::FromUrl(expected.url);
    ASSERT_TRUE(endpoint) << endpoint.error().message;
    EXPECT_EQ(endpoint->target, expected.target);
    EXPECT_EQ(endpoint->tokenize_target, expected.tokenize);
    EXPECT_EQ(endpoint->dialect, expected.dialect);
  }
}

TEST(Endpoint, TheReportedUrlHasNoQuery) {
  const auto endpoint = Endpoint::FromUrl("http://h:1/a/invocations?sig=secret");
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->url, "http://h:1/a/invocations");
}

TEST(Endpoint, BadUrlsAreRefused) {
  for (const std::string url : {"", "h:1", "ftp://h", "http://", "http://user:pass@h/"}) {
    const auto endpoint = Endpoint::FromUrl(url);
    ASSERT_FALSE(endpoint) << url;
    EXPECT_EQ(endpoint.error().code, Code::kInvalidArgument);
    EXPECT_EQ(endpoint.error().field, "url");
  }
}

// Our own parser must understand what we send.
TEST(Endpoint, BodiesAreWhatTheApiTakes) {
  const std::string chat = RequestBody(Dialect::kChat, {.model = "m\"", .output_tokens = 256},
                                       {{.text = "line one\nline \"two\""}});
  EXPECT_EQ(chat,
            R"({"model":"m\"","messages":[{"role":"user","content":"line one\nline \"two\""}],)"
            R"("max_tokens":256,"temperature":1,"min_tokens":256,"ignore_eos":true,)"
            R"("stream":true,"stream_options":{"include_usage":true}})");
  std::string body = chat;
  const auto request = ParseChatRequest(PaddedView(body));
  ASSERT_TRUE(request) << request.error().message;
  EXPECT_EQ(request->options.tokens_max, 256);
  EXPECT_EQ(request->options.tokens_min, 256);
  EXPECT_TRUE(request->options.ignore_eos);
  EXPECT_TRUE(request->options.include_usage);
  EXPECT_EQ(request->messages[0].content, "line one\nline \"two\"");
}

TEST(Endpoint, WhatAServerDoesNotTakeIsLeftOut) {
  const BodySettings plain{.output_tokens = 8,
                           .streamed = false,
                           .enforcement = {.ignore_end = false, .completion_tokens = true}};
  EXPECT_EQ(RequestBody(Dialect::kCompletion, plain, {{.text = "x"}}),
            R"({"prompt":"x","max_completion_tokens":8,"temperature":1})");
  const BodySettings no_usage{.output_tokens = 8, .enforcement = {.include_usage = false}};
  EXPECT_EQ(RequestBody(Dialect::kCompletion, no_usage, {{.text = "x"}}).find("stream_options"),
            std::string::npos);
}

TEST(Endpoint, TokenCountsInEitherForm) {
  EXPECT_EQ(TokenizeBody("m", "a\"b"), R"({"model":"m","prompt":"a\"b"})");
  EXPECT_EQ(TokenCount(R"({"count":12,"tokens":[1,2]})").value(), 12);
  EXPECT_EQ(TokenCount(R"({"tokens":[1,2,3]})").value(), 3);
  EXPECT_FALSE(TokenCount(R"({"detail":"Not Found"})"));
  EXPECT_FALSE(TokenCount("<html>"));
}

TEST(Endpoint, KnowsAzureAndEmbeddings) {
  const auto azure =
      Endpoint::FromUrl("https://r.example/openai/deployments/d", std::nullopt, "2024-10-21");
  ASSERT_TRUE(azure) << azure.error().message;
  EXPECT_EQ(azure->target, "/openai/deployments/d/chat/completions?api-version=2024-10-21");
  EXPECT_EQ(azure->key_field, KeyField::kApiKey);
  EXPECT_EQ(azure->dialect, Dialect::kChat);
  const auto given = Endpoint::FromUrl("http://h/openai/deployments/d/embeddings?api-version=1",
                                       std::nullopt, "2");
  EXPECT_EQ(given->target, "/openai/deployments/d/embeddings?api-version=1");
  EXPECT_EQ(given->dialect, Dialect::kEmbeddings);
  EXPECT_EQ(Endpoint::FromUrl("http://h:1", Dialect::kEmbeddings)->target, "/v1/embeddings");
  EXPECT_EQ(Endpoint::FromUrl("http://h:1")->key_field, KeyField::kBearer);
  const auto databricks =
      Endpoint::FromUrl("http://h/serving-endpoints/e/invocations", Dialect::kCompletion);
  EXPECT_EQ(databricks->target, "/serving-endpoints/e/invocations");
  EXPECT_EQ(databricks->dialect, Dialect::kCompletion);
}

TEST(RequestBody, CarriesConversationsAndEmbeddings) {
  const Messages talk = {{.role = Message::Role::kSystem, .text = "s"},
                         {.text = "u"},
                         {.role = Message::Role::kAssistant, .text = "a"}};
  const BodySettings settings{.model = "m", .output_tokens = 1, .streamed = false};
  EXPECT_TRUE(RequestBody(Dialect::kChat, settings, talk)
                  .starts_with(R"({"model":"m","messages":[{"role":"system","content":"s"},)"
                               R"({"role":"user","content":"u"},{"role":"assistant",)"
                               R"("content":"a"}],)"));
  EXPECT_TRUE(RequestBody(Dialect::kCompletion, settings, talk)
                  .starts_with(R"({"model":"m","prompt":"s\n\nu\n\na",)"));
  EXPECT_EQ(RequestBody(Dialect::kEmbeddings, settings, {{.text = "x"}}),
            R"({"model":"m","input":"x"})");
}

}  // namespace
}  // namespace penstock::bench
