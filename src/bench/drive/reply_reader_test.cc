// Every trap that streams set for load tests, as what the record says of it.
#include "bench/drive/reply_reader.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/random.h"

namespace penstock::bench {
namespace {

constexpr std::int64_t kMs = 1'000'000;

// 64 readable bytes lie behind what a socket read brings, and so they do here.
class Bytes {
 public:
  explicit Bytes(std::string_view text) : padded_(text), size_(text.size()) {
    padded_.append(64, ' ');
  }
  std::string_view view() const { return std::string_view(padded_).substr(0, size_); }

 private:
  std::string padded_;
  std::size_t size_;
};

std::string Event(std::string_view delta, std::string_view finish = "null") {
  return fmt::format(
      "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"choices\":[{{"
      "\"index\":0,\"delta\":{},\"finish_reason\":{}}}]}}\n\n",
      delta, finish);
}
std::string Content(std::string_view text) {
  return Event(fmt::format("{{\"content\":\"{}\"}}", text));
}
std::string UsageEvent(int input, int output) {
  return fmt::format(
      "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":{},\"completion_tokens\":{},"
      "\"prompt_tokens_details\":{{\"cached_tokens\":3}}}}}}\n\n",
      input, output);
}
const std::string kRole = Event(R"({"role":"assistant","content":""})");
const std::string kFinish = Event("{}", "\"length\"");
const std::string kDone = "data: [DONE]\n\n";

// What a stream's reads, 10 ms apart from 100 ms on, leave in the record.
RequestRecord ReadStream(const std::vector<std::string>& reads,
                         ErrorKind failure = ErrorKind::kNone,
                         std::string_view type = "text/event-stream; charset=utf-8") {
  RequestRecord record;
  record.output_tokens_wanted = 4;
  ReplyReader reader(record);
  std::int64_t at = 90 * kMs;
  reader.Head(200, type, at);
  for (const std::string& read : reads) {
    at += 10 * kMs;
    const Bytes bytes(read);
    const std::string_view view = bytes.view();
    reader.Read(std::span(&view, 1), at);
  }
  reader.End(at + 10 * kMs, failure, "cut");
  return record;
}

TEST(ReplyReader, TheOpeningChunkIsNoToken) {
  const auto record = ReadStream({kRole, Content("a"), Content("b"), Content("c"), Content("d"),
                                  kFinish, UsageEvent(20, 4), kDone});
  EXPECT_EQ(record.error, ErrorKind::kNone) << record.error_message;
  EXPECT_EQ(record.first_byte_ns, 90 * kMs);
  EXPECT_EQ(record.first_token_ns, 110 * kMs);
  EXPECT_EQ(record.first_answer_ns, 110 * kMs);
  EXPECT_EQ(record.last_token_ns, 140 * kMs);
  EXPECT_EQ(record.end_ns, 180 * kMs);
  EXPECT_EQ(record.chunks, 4);
  EXPECT_EQ(record.gaps_ns, (std::vector<std::int64_t>{10 * kMs, 10 * kMs, 10 * kMs}));
  EXPECT_EQ(record.input_tokens, 20);
  EXPECT_EQ(record.output_tokens, 4);
  EXPECT_EQ(record.cached_tokens, 3);
  EXPECT_EQ(record.first_chunk_tokens, 1);
  EXPECT_EQ(record.finish_reason, "length");
  EXPECT_EQ(record.reads, 8);
  EXPECT_EQ(record.shared_reads, 0);
}

TEST(ReplyReader, ReasoningIsTokensAndTheAnswerIsTimedApart) {
  const auto record = ReadStream({kRole, Event(R"({"reasoning_content":"hm"})"),
                                  Event(R"({"reasoning":"so"})"), Content("42"), kFinish, kDone});
  EXPECT_EQ(record.error, ErrorKind::kNone);
  EXPECT_EQ(record.chunks, 3);
  EXPECT_EQ(record.first_token_ns, 110 * kMs);
  EXPECT_EQ(record.first_answer_ns, 130 * kMs);
}

TEST(ReplyReader, ToolCallsAreTokens) {
  const auto record = ReadStream(
      {kRole, Event(R"({"tool_calls":[{"index":0,"function":{"name":"f","arguments":"{}"}}]})"),
       kFinish, kDone});
  EXPECT_EQ(record.error, ErrorKind::kNone) << record.error_message;
  EXPECT_EQ(record.chunks, 1);
}

TEST(ReplyReader, WithoutUsageChunksAreCounted) {
  const auto record = ReadStream({Content("a"), Content("b"), kFinish, kDone});
  EXPECT_EQ(record.error, ErrorKind::kNone);
  EXPECT_EQ(record.output_tokens, kUnknown);
  EXPECT_EQ(record.OutputTokens(), 2);
}

TEST(ReplyReader, LineEndsSpacesAndCommentsAreReadAsTheStandardSays) {
  const std::string plain =
      kRole + Content("a") + Content("b") + kFinish + UsageEvent(5, 2) + kDone;
  std::string crlf, no_space, pinged;
  for (std::size_t i = 0; i < plain.size(); ++i) {
    crlf += plain[i] == '\n' ? "\r\n" : std::string(1, plain[i]);
  }
  for (std::size_t at = 0; at < plain.size();) {
    const bool field = plain.compare(at, 6, "data: ") == 0;
    no_space += field ? "data:" : std::string(1, plain[at]);
    pinged += field ? ": ping\n\ndata: " : std::string(1, plain[at]);
    at += field ? 6 : 1;
  }
  const auto expected = ReadStream({plain});
  EXPECT_EQ(expected.chunks, 2);
  for (const std::string& variant : {crlf, no_space, pinged}) {
    EXPECT_EQ(ReadStream({variant}), expected);
  }
}

TEST(ReplyReader, AnErrorEventFailsTheRequestAndKeepsItsTokens) {
  const auto record =
      ReadStream({kRole, Content("a"), Content("b"),
                  "data: {\"error\":{\"message\":\"out of memory\",\"code\":500}}\n\n", kDone});
  EXPECT_EQ(record.error, ErrorKind::kStream);
  EXPECT_EQ(record.error_message, "out of memory");
  EXPECT_EQ(record.chunks, 2);
}

TEST(ReplyReader, ACutConnectionFailsTheRequestAndKeepsItsTokens) {
  const auto record = ReadStream({kRole, Content("a"), Content("b")}, ErrorKind::kTruncated);
  EXPECT_EQ(record.error, ErrorKind::kTruncated);
  EXPECT_EQ(record.error_message, "cut");
  EXPECT_EQ(record.chunks, 2);
  EXPECT_EQ(record.last_token_ns, 120 * kMs);
}

TEST(ReplyReader, ACleanEndBeforeTheAnswersEndIsATruncation) {
  EXPECT_EQ(ReadStream({kRole, Content("a")}).error, ErrorKind::kTruncated);
  EXPECT_EQ(ReadStream({kRole, Content("a"), kFinish, "data: {\"cho"}).error,
            ErrorKind::kTruncated);
  // Some servers never send [DONE]: their finish_reason ends the answer.
  EXPECT_EQ(ReadStream({kRole, Content("a"), kFinish}).error, ErrorKind::kNone);
  // And some close rudely after it.
  EXPECT_EQ(ReadStream({Content("a"), kFinish, kDone}, ErrorKind::kTruncated).error,
            ErrorKind::kNone);
}

TEST(ReplyReader, FourTokensInAChunkAreFourTokens) {
  std::vector<std::string> reads{kRole};
  for (int i = 0; i < 8; ++i) reads.push_back(Content("four words of text"));
  reads.insert(reads.end(), {kFinish, UsageEvent(20, 32), kDone});
  const auto record = ReadStream(reads);
  EXPECT_EQ(record.chunks, 8);
  EXPECT_EQ(record.output_tokens, 32);
  EXPECT_EQ(record.first_chunk_tokens, 4);
}

TEST(ReplyReader, ChunksOfOneReadShareItsTimeAndAreFlagged) {
  const auto record =
      ReadStream({kRole, Content("a") + Content("b"), Content("c"), kFinish + kDone});
  EXPECT_EQ(record.chunks, 3);
  EXPECT_EQ(record.shared_reads, 1);
  EXPECT_EQ(record.gaps_ns, (std::vector<std::int64_t>{0, 10 * kMs}));
}

TEST(ReplyReader, AnAnswerWithoutTokensIsAFailure) {
  EXPECT_EQ(ReadStream({kRole, kFinish, kDone}).error, ErrorKind::kEmpty);
  EXPECT_EQ(ReadStream({kDone}).error, ErrorKind::kEmpty);
}

TEST(ReplyReader, AUtilizationIsKeptWhereItIsOne) {
  for (const auto& [text, permille] : {std::pair<std::string_view, int>{"97.5%", 975},
                                       {"0.0%", 0},
                                       {"130%", 1300},
                                       {"97.5", kUnknown},
                                       {"-1%", kUnknown},
                                       {"%", kUnknown},
                                       {"", kUnknown}}) {
    RequestRecord record;
    ReplyReader reader(record);
    reader.Head({.utilization = text});
    EXPECT_EQ(record.utilization_permille, permille) << text;
  }
}

TEST(ReplyReader, WhatIsNotAStreamIsNamed) {
  const auto html = ReadStream({"<html>Bad gateway</html>"}, ErrorKind::kNone, "text/html");
  EXPECT_EQ(html.error, ErrorKind::kNotStream);
  EXPECT_EQ(html.error_message, "a stream was asked for, and text/html came");
  const auto json =
      ReadStream({"{\"choices\":[{\"message\":", "{\"content\":\"all at once\"}}]}\n"});
  EXPECT_EQ(json.error, ErrorKind::kNotStream);
  EXPECT_TRUE(
      json.error_message.starts_with("text/event-stream was announced, and one JSON text "
                                     "came: {\"choices\""))
      << json.error_message;
  const auto refusal = ReadStream({"\n[{}, ", "1]"});
  EXPECT_EQ(refusal.error_message,
            "text/event-stream was announced, and one JSON text came: [{}, 1]");
  const auto said = ReadStream({R"({"error":{"message":"no such deployment"}})"});
  EXPECT_EQ(said.error, ErrorKind::kNotStream);
  EXPECT_TRUE(said.error_message.ends_with("one JSON text came: no such deployment"));
  EXPECT_EQ(ReadStream({"<p>hello\n\n</p>"}).error, ErrorKind::kNotStream);
  // However it is cut, zeros included.
  const std::string zeros("\0a b", 4);
  EXPECT_EQ(ReadStream({zeros.substr(0, 2), zeros.substr(2)}).error_message,
            ReadStream({zeros}).error_message);
  // Events that stop are a stream all the same.
  EXPECT_EQ(ReadStream({": ping\n\n"}).error, ErrorKind::kTruncated);
  EXPECT_EQ(ReadStream({"data: {\"choi"}).error, ErrorKind::kTruncated);
  const auto garbage = ReadStream({"data: hello\n\n", kDone});
  EXPECT_EQ(garbage.error, ErrorKind::kMalformed);
  EXPECT_EQ(garbage.error_message, "an event is not a JSON object: hello");
  const auto endless = ReadStream({"data: " + std::string(2 << 20, 'x')});
  EXPECT_EQ(endless.error, ErrorKind::kMalformed);
}

RequestRecord ReadWhole(int status, std::string_view body, bool streamed) {
  RequestRecord record;
  record.streamed = streamed;
  ReplyReader reader(record);
  reader.Head(status, "application/json", 5 * kMs);
  // In two reads, as large bodies come.
  const Bytes one(body.substr(0, body.size() / 2)), two(body.substr(body.size() / 2));
  const std::string_view views[] = {one.view(), two.view()};
  reader.Read(std::span(views, 1), 6 * kMs);
  reader.Read(std::span(views + 1, 1), 7 * kMs);
  reader.End(8 * kMs, ErrorKind::kNone, "");
  return record;
}

TEST(ReplyReader, RefusalsCarryTheServersWords) {
  const auto limited =
      ReadWhole(429, R"({"error":{"message":"slow\ndown","type":"rate_limit_error"}})", true);
  EXPECT_EQ(limited.error, ErrorKind::kRateLimited);
  EXPECT_EQ(limited.http_status, 429);
  EXPECT_EQ(limited.error_message, "status 429: slow down");
  const auto missing = ReadWhole(404, R"({"error_code":"X","message":"no such endpoint"})", false);
  EXPECT_EQ(missing.error, ErrorKind::kStatus);
  EXPECT_EQ(missing.error_message, "status 404: no such endpoint");
  const auto html = ReadWhole(503, "<h1>busy</h1>" + std::string(1000, 'x'), true);
  EXPECT_EQ(html.error_message.size(), kErrorMessageBytesMax);
}

TEST(ReplyReader, RepliesInOnePieceHaveTokensAndNoTokenTimes) {
  const auto record = ReadWhole(
      200,
      R"({"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],)"
      R"("usage":{"prompt_tokens":7,"completion_tokens":2,"prompt_tokens_details":{"cached_tokens":1}}})",
      false);
  EXPECT_EQ(record.error, ErrorKind::kNone) << record.error_message;
  EXPECT_EQ(record.input_tokens, 7);
  EXPECT_EQ(record.output_tokens, 2);
  EXPECT_EQ(record.cached_tokens, 1);
  EXPECT_EQ(record.finish_reason, "stop");
  EXPECT_EQ(record.first_token_ns, kNever);
  EXPECT_EQ(record.end_ns, 8 * kMs);
}

TEST(ReplyReader, BadRepliesInOnePieceAreFailures) {
  EXPECT_EQ(ReadWhole(200, "{", false).error, ErrorKind::kMalformed);
  EXPECT_EQ(ReadWhole(200, "{\"choices\":[]}", false).error, ErrorKind::kMalformed);
  EXPECT_EQ(ReadWhole(200, "{\"error\":{\"message\":\"no\"}}", false).error, ErrorKind::kStream);
  EXPECT_EQ(ReadWhole(200, R"({"choices":[{}],"usage":{"completion_tokens":0}})", false).error,
            ErrorKind::kEmpty);
}

// However a stream is cut into reads, the same tokens are counted and the same verdict is reached.
TEST(ReplyReader, TheCutsOfAStreamDoNotMatter) {
  const std::string streams[] = {
      kRole + Content("a") + ": ping\n\n" + Content("ü\\n") + kFinish + UsageEvent(9, 2) + kDone,
      kRole + Content("a") + "data: {\"error\":{\"message\":\"x\"}}\n\n",
      kRole + Content("a") + Content("b")};
  for (const std::string& stream : streams) {
    const auto whole = ReadStream({stream});
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
      SCOPED_TRACE(::testing::Message() << "seed=" << seed);
      Random random(seed);
      std::vector<std::string> reads;
      for (std::size_t at = 0; at < stream.size();) {
        const std::size_t size = 1 + random.Below(80);
        reads.push_back(stream.substr(at, size));
        at += size;
      }
      const auto cut = ReadStream(reads);
      EXPECT_EQ(cut.chunks, whole.chunks);
      EXPECT_EQ(cut.error, whole.error);
      EXPECT_EQ(cut.error_message, whole.error_message);
      EXPECT_EQ(cut.output_tokens, whole.output_tokens);
      EXPECT_EQ(cut.finish_reason, whole.finish_reason);
    }
  }
}

}  // namespace
}  // namespace penstock::bench
