// Heads: what is accepted, what it means, and everything that is refused.
#include "http/head.h"

#include <gtest/gtest.h>

#include <string>

#include "http/head_scanner.h"

namespace penstock::http {
namespace {

Result<RequestHead> Parse(std::string_view bytes, const HeadLimits& limits = {}) {
  RequestHead head;
  if (auto parsed = ParseRequestHead(bytes, limits, head); !parsed) return Fail(parsed.error());
  return head;
}

Result<ResponseHead> ParseResponse(std::string_view bytes, std::string_view method = "GET") {
  ResponseHead head;
  if (auto parsed = ParseResponseHead(bytes, method, {}, head); !parsed) {
    return Fail(parsed.error());
  }
  return head;
}

TEST(RequestHead, TellsWhatWasSent) {
  const std::string bytes =
      "POST /v1/chat/completions?a=1&b HTTP/1.1\r\nHost: penstock:8080\r\n"
      "Content-Type:\tapplication/json \r\ncontent-length: 12\r\nX-Empty:\r\n\r\n";
  const auto head = Parse(bytes);
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->method, "POST");
  EXPECT_EQ(head->target, "/v1/chat/completions?a=1&b");
  EXPECT_EQ(head->path, "/v1/chat/completions");
  EXPECT_EQ(head->query, "a=1&b");
  EXPECT_EQ(head->host, "penstock:8080");
  EXPECT_EQ(head->minor_version, 1);
  EXPECT_EQ(head->fields.size(), 4u);
  EXPECT_EQ(head->fields.Get("CONTENT-type"), "application/json");
  EXPECT_EQ(head->fields.Find("x-empty"), "");
  EXPECT_EQ(head->fields.Find("x-none"), std::nullopt);
  EXPECT_EQ(head->body, BodyKind::kLength);
  EXPECT_EQ(head->content_length, 12u);
  EXPECT_TRUE(head->keep_alive);
  EXPECT_FALSE(head->expect_continue);
  // Views, not copies.
  EXPECT_GE(head->method.data(), bytes.data());
  EXPECT_LT(head->fields.Get("content-type").data(), bytes.data() + bytes.size());
}

TEST(RequestHead, KnowsHowTheConnectionGoesOn) {
  EXPECT_TRUE(Parse("GET / HTTP/1.1\r\nhost: a\r\n\r\n")->keep_alive);
  EXPECT_FALSE(Parse("GET / HTTP/1.1\r\nhost: a\r\nconnection: foo, Close\r\n\r\n")->keep_alive);
  EXPECT_FALSE(Parse("GET / HTTP/1.0\r\n\r\n")->keep_alive);
  EXPECT_TRUE(Parse("GET / HTTP/1.0\r\nconnection: Keep-Alive\r\n\r\n")->keep_alive);
  EXPECT_FALSE(
      Parse("GET / HTTP/1.0\r\nconnection: keep-alive\r\nconnection: close\r\n\r\n")->keep_alive);
}

TEST(RequestHead, KnowsHowTheBodyIsFramed) {
  EXPECT_EQ(Parse("POST / HTTP/1.1\r\nhost: a\r\n\r\n")->body, BodyKind::kNone);
  EXPECT_EQ(Parse("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 0\r\n\r\n")->body,
            BodyKind::kNone);
  EXPECT_EQ(Parse("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: Chunked\r\n\r\n")->body,
            BodyKind::kChunked);
  EXPECT_TRUE(
      Parse("POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\ncontent-length: 1\r\n\r\n")
          ->expect_continue);
  EXPECT_FALSE(Parse("POST / HTTP/1.0\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\n")
                   ->expect_continue);
}

TEST(RequestHead, NormalisesAbsoluteTargets) {
  const auto head = Parse("GET http://a:81/x?y HTTP/1.1\r\nhost: A:81\r\n\r\n");
  ASSERT_TRUE(head) << head.error().message;
  EXPECT_EQ(head->host, "a:81");
  EXPECT_EQ(head->path, "/x");
  EXPECT_EQ(head->query, "y");
  EXPECT_EQ(Parse("GET http://a?q HTTP/1.1\r\nhost: a\r\n\r\n")->path, "/");
  EXPECT_EQ(Parse("GET http://a?q HTTP/1.1\r\nhost: a\r\n\r\n")->query, "q");
  EXPECT_EQ(Parse("OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n")->path, "*");
}

struct Refused {
  std::string bytes;
  std::string names;  // What the message must hold.
  Code code = Code::kInvalidArgument;
};

const std::string kPost = "POST / HTTP/1.1\r\nhost: a\r\n";
const Refused kRefused[] = {
    {kPost + "content-length: 3\r\ntransfer-encoding: chunked\r\n\r\n", "transfer-encoding"},
    {kPost + "transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n", "content-length"},
    {kPost + "content-length: 3\r\ncontent-length: 3\r\n\r\n", "content-length"},
    {kPost + "content-length: 3\r\nContent-Length: 4\r\n\r\n", "content-length"},
    {kPost + "content-length: 3, 3\r\n\r\n", "3, 3"},
    {kPost + "content-length: +3\r\n\r\n", "+3"},
    {kPost + "content-length: -3\r\n\r\n", "-3"},
    {kPost + "content-length: 0x3\r\n\r\n", "0x3"},
    {kPost + "content-length: 3 4\r\n\r\n", "3 4"},
    {kPost + "content-length:\r\n\r\n", "content-length"},
    {kPost + "content-length: 9223372036854775808\r\n\r\n", "9223372036854775808"},
    {kPost + "content-length: 99999999999999999999999\r\n\r\n", "99999999999999999999999"},
    {kPost + "transfer-encoding: gzip, chunked\r\n\r\n", "gzip, chunked"},
    {kPost + "transfer-encoding: chunked, identity\r\n\r\n", "transfer-encoding"},
    {kPost + "transfer-encoding: xchunked\r\n\r\n", "xchunked"},
    {kPost + "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n",
     "transfer-encoding"},
    {kPost + "transfer-encoding: identity\r\n\r\n", "identity"},
    {kPost + "transfer-encoding: \"chunked\"\r\n\r\n", "transfer-encoding"},
    {kPost + "transfer-encoding:\r\n\r\n", "transfer-encoding"},
    {"POST / HTTP/1.0\r\ntransfer-encoding: chunked\r\n\r\n", "HTTP/1.0"},
    {kPost + "content-length : 3\r\n\r\n", "content-length : 3"},
    {kPost + " x: folded\r\n\r\n", "folded"},
    {kPost + "x: a\r\n\tfolded\r\n\r\n", "folded"},
    {kPost + "x:\r\n \r\n\r\n", "folded"},
    {kPost + "x:\r\n content-length: 3\r\n\r\n", "folded"},
    {kPost + "x: \r\n\r\n content-length: 3\r\n\r\n", "not one whole head"},
    {kPost + "x: a\r\n \r\n\r\n", "folded"},
    {"POST / HTTP/1.1\r\n host: a\r\n\r\n", "line 2"},
    {kPost + "no colon\r\n\r\n", "no colon"},
    {kPost + ": no name\r\n\r\n", "line 3"},
    {kPost + "x: a\rb\r\n\r\n", "line 3"},
    {kPost + std::string("x: a\0b\r\n\r\n", 10), "line 3"},
    {kPost + "x: a\x01"
             "b\r\n\r\n",
     "\\x01"},
    {kPost + "x: a\x7f"
             "b\r\n\r\n",
     "\\x7f"},
    {kPost + "x\x80: a\r\n\r\n", "\\x80"},
    {"GET / HTTP/1.1\r\n\r\n", "host"},
    {"GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", "host"},
    {"GET / HTTP/1.1\r\nhost: a, b\r\n\r\n", "a, b"},
    {"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n", "a/b"},
    {"GET http://a/ HTTP/1.1\r\nhost: b\r\n\r\n", "differs"},
    {"GET http:///x HTTP/1.1\r\nhost: b\r\n\r\n", "no host"},
    {"GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n", "ftp://a/"},
    {"GET x HTTP/1.1\r\nhost: a\r\n\r\n", "\"x\""},
    {"GET * HTTP/1.1\r\nhost: a\r\n\r\n", "\"*\""},
    {"GET /a#b HTTP/1.1\r\nhost: a\r\n\r\n", "/a#b"},
    {"GET /\xc3\xa4 HTTP/1.1\r\nhost: a\r\n\r\n", "\\xc3\\xa4"},
    {"GET  / HTTP/1.1\r\nhost: a\r\n\r\n", "line 1"},
    {"GET / HTTP/1.1 \r\nhost: a\r\n\r\n", "line 1"},
    {"GET /\r\nhost: a\r\n\r\n", "line 1"},
    {"G(T / HTTP/1.1\r\nhost: a\r\n\r\n", "line 1"},
    {"GET / HTTP/1.1\nhost: a\r\n\r\n", "line 1"},
    {kPost + "expect: 200-ok\r\ncontent-length: 1\r\n\r\n", "200-ok"},
    {"GET / HTTP/1.1\r\nhost: a\r\n", "not one whole head"},
    {"GET / HTTP/1.1\r\nhost: a\r\n\r\nx", "not one whole head"},
    {"", "not one whole head"},
    {"CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n", "CONNECT", Code::kUnsupported},
    {"GET / HTTP/2.0\r\nhost: a\r\n\r\n", "HTTP/2.0", Code::kUnsupported},
    {"GET / HTTP/1.2\r\nhost: a\r\n\r\n", "HTTP/1.2", Code::kUnsupported},
    {"GET / HTTP/0.9\r\nhost: a\r\n\r\n", "HTTP/0.9", Code::kUnsupported},
};

TEST(RequestHead, RefusesWhateverTwoReadersCouldTakeInTwoWays) {
  for (const Refused& refused : kRefused) {
    SCOPED_TRACE(refused.bytes);
    const auto head = Parse(refused.bytes);
    ASSERT_FALSE(head);
    EXPECT_EQ(head.error().code, refused.code) << head.error().message;
    EXPECT_NE(head.error().message.find(refused.names), std::string::npos) << head.error().message;
  }
}

std::string WithFields(std::size_t fields) {
  std::string bytes = "GET / HTTP/1.1\r\nhost: a\r\n";
  for (std::size_t i = 1; i < fields; ++i) bytes += "f: v\r\n";
  return bytes + "\r\n";
}

TEST(RequestHead, HoldsItsLimitsAtTheLimitAndOneOver) {
  EXPECT_TRUE(Parse(WithFields(128)));
  const auto fields = Parse(WithFields(129));
  ASSERT_FALSE(fields);
  EXPECT_EQ(fields.error().code, Code::kHeadTooLarge);
  EXPECT_NE(fields.error().message.find("128 fields"), std::string::npos);

  const auto target = [](std::size_t bytes) {
    return "GET /" + std::string(bytes - 1, 'x') + " HTTP/1.1\r\nhost: a\r\n\r\n";
  };
  EXPECT_TRUE(Parse(target(100), {.target_bytes_max = 100}));
  const auto longer = Parse(target(101), {.target_bytes_max = 100});
  ASSERT_FALSE(longer);
  EXPECT_EQ(longer.error().code, Code::kHeadTooLarge);
  EXPECT_EQ(longer.error().message, "target: 101 bytes, the limit is 100");

  const std::string whole = WithFields(2);
  EXPECT_TRUE(Parse(whole, {.bytes_max = whole.size()}));
  const auto over = Parse(whole, {.bytes_max = whole.size() - 1});
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Code::kHeadTooLarge);
}

TEST(ResponseHead, KnowsHowTheBodyIsFramed) {
  EXPECT_EQ(ParseResponse("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n")->content_length, 5u);
  EXPECT_EQ(ParseResponse("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")->body,
            BodyKind::kChunked);
  const auto open = ParseResponse("HTTP/1.1 200 OK\r\n\r\n");
  EXPECT_EQ(open->body, BodyKind::kUntilClose);
  EXPECT_FALSE(open->keep_alive);
  EXPECT_EQ(ParseResponse("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", "HEAD")->body,
            BodyKind::kNone);
  EXPECT_EQ(ParseResponse("HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n")->body,
            BodyKind::kNone);
  const auto announced = ParseResponse("HTTP/1.1 204 No Content\r\ncontent-length: 5\r\n\r\n");
  EXPECT_EQ(announced->body, BodyKind::kNone);
  EXPECT_FALSE(announced->keep_alive);
  const auto plain = ParseResponse("HTTP/1.1 503 \r\ncontent-length: 0\r\n\r\n");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->status, 503);
  EXPECT_EQ(plain->reason, "");
}

TEST(ResponseHead, RefusesAmbiguity) {
  for (const char* bytes : {
           "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n",
           "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n",
           "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
           "HTTP/1.1 2000 OK\r\n\r\n",
           "HTTP/1.1 20 OK\r\n\r\n",
           "HTTP/2 200 OK\r\n\r\n",
           "HTTP/1.1 200 OK\r\nx : y\r\n\r\n",
           "ICY 200 OK\r\n\r\n",
       }) {
    const auto head = ParseResponse(bytes);
    ASSERT_FALSE(head) << bytes;
    EXPECT_EQ(head.error().code, Code::kUpstream) << bytes;
  }
}

TEST(ListContains, FindsWholeTokens) {
  EXPECT_TRUE(ListContains("close", "close"));
  EXPECT_TRUE(ListContains(" a ,\tClose , b", "close"));
  EXPECT_FALSE(ListContains("closed, not-close", "close"));
  EXPECT_FALSE(ListContains(",, ,", "close"));
  EXPECT_FALSE(ListContains("", "close"));
}

// However the bytes are cut, the scanner answers the same.
TEST(HeadScanner, IsBlindToCuts) {
  const HeadLimits limits{.bytes_max = 60};
  const std::string inputs[] = {
      "GET / HTTP/1.1\r\nhost: a\r\n\r\nrest",
      "GET / HTTP/1.1\nhost: a\r\n\r\n",
      "GET / HTTP/1.1\r\nhost: a\n\r\n",
      "GET / HTTP/1.1\r\nhost: a\r\n\n",
      "\x16\x03\x01 GET",
      "GET / HTTP/1.1\r\nx: " + std::string(100, 'x') + "\r\n\r\n",
      "GET / HTTP/1.1\r\nx: " + std::string(60 - 23, 'x') + "\r\n\r\n",
      "GET / HTTP/1.1\r\nx: " + std::string(61 - 23, 'x') + "\r\n\r\n",
  };
  for (const std::string& input : inputs) {
    HeadScanner whole;
    const auto expected = whole.Scan(input, limits);
    for (std::size_t cut = 0; cut < input.size(); ++cut) {
      HeadScanner scanner;
      auto found = scanner.Scan(std::string_view(input).substr(0, cut), limits);
      if (found && *found == 0) found = scanner.Scan(input, limits);
      ASSERT_EQ(found.has_value(), expected.has_value()) << input << " cut at " << cut;
      if (expected) {
        EXPECT_EQ(*found, *expected);
      } else {
        EXPECT_EQ(found.error().code, expected.error().code);
        EXPECT_EQ(found.error().message, expected.error().message);
      }
    }
  }
}

TEST(HeadScanner, HoldsItsLimitAtTheLimitAndOneOver) {
  const std::string head = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
  HeadScanner scanner;
  EXPECT_EQ(scanner.Scan(head, {.bytes_max = head.size()}), head.size());
  scanner.Reset();
  const auto over = scanner.Scan(head, {.bytes_max = head.size() - 1});
  ASSERT_FALSE(over);
  EXPECT_EQ(over.error().code, Code::kHeadTooLarge);
}

}  // namespace
}  // namespace penstock::http
