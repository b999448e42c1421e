#include "http_message.h"

#include <gtest/gtest.h>

#include <string>

#include "answers.h"

namespace measure {
namespace {

// The events of `stream` when it is read in two parts, cut after `cut` bytes.
int EventsCutAt(const std::string& stream, std::size_t cut) {
  ResponseReader reader(false);
  int events = 0;
  bool finished = false;
  for (std::string_view part :
       {std::string_view(stream).substr(0, cut), std::string_view(stream).substr(cut)}) {
    while (!part.empty()) {
      const auto progress = reader.Feed(part);
      events += progress.events;
      finished = finished || progress.finished;
      part.remove_prefix(progress.used);
    }
  }
  EXPECT_TRUE(finished) << "cut at " << cut;
  return events;
}

TEST(ResponseReader, CountsEveryEventWhereverTheStreamIsCut) {
  // Role, three tokens, finish reason, usage, [DONE].
  const std::string stream = StreamHead() + TokenEvents(3) + StreamEnd(true, 5, 3);
  for (std::size_t cut = 0; cut <= stream.size(); ++cut) {
    ASSERT_EQ(EventsCutAt(stream, cut), 7) << "cut at " << cut;
  }
}

TEST(ResponseReader, ReadsOneResponseAfterTheOther) {
  const std::string answers = JsonAnswer("200 OK", "{\"a\":1}") + JsonAnswer("404 Not Found", "no");
  ResponseReader reader(true);
  const auto first = reader.Feed(answers);
  EXPECT_TRUE(first.finished);
  EXPECT_EQ(reader.status(), 200);
  EXPECT_EQ(reader.body(), "{\"a\":1}");
  const auto second = reader.Feed(std::string_view(answers).substr(first.used));
  EXPECT_TRUE(second.finished);
  EXPECT_EQ(reader.status(), 404);
  EXPECT_EQ(reader.body(), "no");
  EXPECT_EQ(first.used + second.used, answers.size());
}

TEST(Answers, ATokenEventIsAsLongAsItSays) {
  // Behind the chunk's size line, before its line end.
  const std::string chunk = TokenEvents(1);
  EXPECT_EQ(chunk.size() - std::string_view("c4\r\n").size() - 2, kEventBytes);
  EXPECT_TRUE(chunk.starts_with("c4\r\ndata: {"));
}

TEST(ParseRequest, WaitsForTheWholeBody) {
  const std::string request =
      "POST /v1/completions HTTP/1.1\r\nHost: x\r\ncontent-length: 4\r\nX-Request-Id: "
      "7\r\n\r\nbody";
  EXPECT_FALSE(ParseRequest(request.substr(0, request.size() - 1)));
  const std::string with_next = request + "POST";
  const auto parsed = ParseRequest(with_next);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->method, "POST");
  EXPECT_EQ(parsed->path, "/v1/completions");
  EXPECT_EQ(parsed->body, "body");
  EXPECT_EQ(HeaderValue(parsed->head, "x-request-id"), "7");
  EXPECT_EQ(HeaderValue(parsed->head, "x-request"), "");
  EXPECT_EQ(parsed->size, request.size());
}

TEST(Json, FindsValuesByName) {
  const std::string json = R"({"stream": true,"max_tokens":12,"prompt":"\"max_tokens\":99"})";
  EXPECT_TRUE(JsonTrue(json, "stream"));
  EXPECT_EQ(JsonNumber(json, "max_tokens"), 12);
  EXPECT_FALSE(JsonNumber(json, "n"));
}

}  // namespace
}  // namespace measure
