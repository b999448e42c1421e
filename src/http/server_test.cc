// The server's conversation: answers, streams, relays, keep-alive, pipelining, bodies.
#include "http/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "http/http_testing.h"

namespace penstock::http {
namespace {

using testing::Ask;
using testing::Converse;
using testing::Echo;
using ::testing::EndsWith;
using testing::Must;

constexpr std::string_view kGet = "GET /a HTTP/1.1\r\nhost: h\r\n\r\n";
std::string Post(std::string_view body) {
  return "POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string(body);
}
std::string Ok(std::string_view body) {
  return "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: " +
         std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

TEST(Server, AnswersAndKeepsTheConnection) {
  const auto told = Converse(Echo, {.pieces = {std::string(kGet), Post("hello"), Post("")}});
  EXPECT_EQ(told.answers, Ok("GET /a ") + Ok("POST /p hello") + Ok("POST /p "));
  EXPECT_TRUE(told.refusals.empty());
}

TEST(Server, AnswersPipelinedRequestsInOrder) {
  EXPECT_EQ(Ask(Echo, Post("1") + std::string(kGet) + Post("2") + "\r\n" + Post("3")),
            Ok("POST /p 1") + Ok("GET /a ") + Ok("POST /p 2") + Ok("POST /p 3"));
}

// Whose handler was told to end while it streamed, and ended its answer whole.
io::Task<void> CancelledButWhole(Exchange& exchange) {
  if (exchange.head().path != "/a") {
    co_await Echo(exchange);
    co_return;
  }
  exchange.StartStream(200, "text/plain");
  EXPECT_TRUE(co_await exchange.WriteChunk("first words"));
  exchange.CancelHandler();
  const io::Shield shield = exchange.ShieldHandler();
  EXPECT_TRUE(co_await exchange.Finish("last words"));
}

TEST(Server, AConnectionOutlivesAHandlerThatWasCancelledAndEndedItsAnswer) {
  const auto told = Converse(CancelledButWhole, {.pieces = {std::string(kGet), Post("hello")}});
  EXPECT_THAT(told.answers, EndsWith("last words\r\n0\r\n\r\n" + Ok("POST /p hello")));
}

TEST(Server, ReadsChunkedBodies) {
  const std::string request =
      "POST /p HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nx-trailer: 1\r\n\r\n";
  EXPECT_EQ(Ask(Echo, request + std::string(kGet)), Ok("POST /p hello world") + Ok("GET /a "));
}

// Any request, cut at any byte, gives the same answers.
TEST(Server, IsBlindToCuts) {
  const std::string conversations[] = {
      Post("hello") + std::string(kGet),
      "POST /p HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n0\r\nx: y\r\n\r\n" +
          std::string(kGet),
      "\r\n" + std::string(kGet) + "\r\n" + Post("x"),
      "POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: 5, 5\r\n\r\nhello",
      "POST /p HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhelloX",
      "GET /a HTTP/1.1\nhost: h\r\n\r\n",
      "GET /a HTTP/1.0\r\n\r\n" + std::string(kGet),
  };
  for (const std::string& bytes : conversations) {
    const std::string whole = Ask(Echo, bytes);
    EXPECT_FALSE(whole.empty());
    for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
      const auto told = Converse(Echo, {.pieces = {bytes.substr(0, cut), bytes.substr(cut)}});
      EXPECT_EQ(told.answers, whole) << bytes << " cut at " << cut;
    }
    std::vector<std::string> single;
    for (const char byte : bytes) single.emplace_back(1, byte);
    EXPECT_EQ(Converse(Echo, {.pieces = single}).answers, whole) << bytes;
  }
}

TEST(Server, ClosesAsTheClientAsks) {
  const auto told = Converse(
      Echo,
      {.pieces = {"GET /a HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"}, .half_close = false});
  EXPECT_EQ(told.answers,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 7\r\n"
            "connection: close\r\n\r\nGET /a ");
}

TEST(Server, SpeaksHttp10) {
  EXPECT_EQ(Ask(Echo, "GET /a HTTP/1.0\r\n\r\n" + std::string(kGet)),
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 7\r\n"
            "connection: close\r\n\r\nGET /a ");
  const std::string kept =
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 7\r\n"
      "connection: keep-alive\r\n\r\nGET /a ";
  const std::string request = "GET /a HTTP/1.0\r\nconnection: keep-alive\r\n\r\n";
  EXPECT_EQ(Ask(Echo, request + request), kept + kept);
}

TEST(Server, AnswersHeadWithoutABody) {
  EXPECT_EQ(
      Ask(Echo, "HEAD /a HTTP/1.1\r\nhost: h\r\n\r\n" + std::string(kGet)),
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 8\r\n\r\n" + Ok("GET /a "));
}

io::Task<void> Status204(Exchange& exchange) {
  Must(co_await exchange.Respond(204, "", "ignored", {{"x-a", "1\r\nx-b: 2"}}));
}

TEST(Server, SendsNoBodyWhereNoneMayBeAndNoForeignLines) {
  EXPECT_EQ(Ask(Status204, std::string(kGet)), "HTTP/1.1 204 No Content\r\nx-a: 1  x-b: 2\r\n\r\n");
}

io::Task<void> Stream(Exchange& exchange) {
  exchange.StartStream(200, "text/event-stream", {{"x-id", "7"}});
  EXPECT_FALSE(exchange.head_sent());
  Must(co_await exchange.WriteChunk("data: 1\n\n"));
  EXPECT_TRUE(exchange.head_sent());
  Must(co_await exchange.WriteChunk(""));
  Must(co_await exchange.WriteChunk(std::string(300, 'x')));
  Must(co_await exchange.Finish());
  EXPECT_TRUE(exchange.finished());
}

TEST(Server, Streams) {
  const std::string head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n";
  const std::string chunks =
      "9\r\ndata: 1\n\n\r\n12c\r\n" + std::string(300, 'x') + "\r\n0\r\n\r\n";
  const std::string whole = head + "transfer-encoding: chunked\r\nx-id: 7\r\n\r\n" + chunks;
  EXPECT_EQ(Ask(Stream, std::string(kGet) + std::string(kGet)), whole + whole);
  EXPECT_EQ(Ask(Stream, "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"),
            head + "connection: close\r\nx-id: 7\r\n\r\ndata: 1\n\n" + std::string(300, 'x'));
  EXPECT_EQ(Ask(Stream, "HEAD / HTTP/1.1\r\nhost: h\r\n\r\n"),
            head + "transfer-encoding: chunked\r\nx-id: 7\r\n\r\n");
}

io::Task<void> EmptyStream(Exchange& exchange) {
  exchange.StartStream(200, "text/plain");
  Must(co_await exchange.Finish("last"));
}

TEST(Server, SendsAShortStreamInOneWrite) {
  EXPECT_EQ(Ask(EmptyStream, std::string(kGet)),
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
            "4\r\nlast\r\n0\r\n\r\n");
}

io::Task<void> ChangeOfMind(Exchange& exchange) {
  exchange.StartStream(200, "text/event-stream");
  Must(co_await exchange.RespondError({Code::kUnavailable, "no \"replica\"\n", "model"}));
}

TEST(Server, MayReplaceAnAnswerThatIsHeldBack) {
  const std::string body =
      R"({"error":{"message":"no \"replica\"\n","type":"server_error","param":"model",)"
      R"("code":"temporarily_unavailable"}})";
  EXPECT_EQ(Ask(ChangeOfMind, std::string(kGet)),
            "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
            "content-length: " +
                std::to_string(body.size()) + "\r\n\r\n" + body);
}

io::Task<void> Relay(Exchange& exchange) {
  EXPECT_TRUE(exchange.CanRelayChunked());
  exchange.StartRaw({.status = 200, .content_type = "text/event-stream"});
  exchange.ReleaseRequest();
  EXPECT_TRUE(exchange.head().fields.empty());
  Must(co_await exchange.WriteRaw("3;e\r\nab"));
  Must(co_await exchange.WriteRaw("c\r\n0\r\n"));
  Must(co_await exchange.FinishRaw("\r\n"));
}

io::Task<void> RelayLength(Exchange& exchange) {
  exchange.StartRaw(
      {.status = 201, .content_type = "", .body = BodyKind::kLength, .content_length = 3});
  Must(co_await exchange.WriteRaw("abc"));
  Must(co_await exchange.FinishRaw());
}

TEST(Server, RelaysVerbatim) {
  const std::string relayed =
      "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
      "3;e\r\nabc\r\n0\r\n\r\n";
  // Pipelined requests survive the release of the first one's memory.
  EXPECT_EQ(Ask(Relay, Post("body") + std::string(kGet)), relayed + relayed);
  EXPECT_EQ(Ask(RelayLength, std::string(kGet)),
            "HTTP/1.1 201 Created\r\ncontent-length: 3\r\n\r\nabc");
}

TEST(Server, SaysContinueToThoseWhoWaitForIt) {
  const std::string head =
      "POST /p HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
  const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(Converse(Echo, {.pieces = {head, "hello"}}).answers, go_on + Ok("POST /p hello"));
  // Who sends at once needs no word.
  EXPECT_EQ(Ask(Echo, head + "hello"), Ok("POST /p hello"));
}

io::Task<void> Ignore(Exchange& exchange) {
  Must(co_await exchange.Respond(200, "text/plain", "no"));
}

TEST(Server, DrainsABodyThatNobodyWanted) {
  const auto told =
      Converse(Ignore, {.pieces = {Post("hello").substr(0, 50), Post("hello").substr(50),
                                   "POST / HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n"
                                   "\r\n3\r\nabc\r\n",
                                   "0\r\n\r\n" + std::string(kGet)}});
  EXPECT_EQ(told.answers, Ok("no") + Ok("no") + Ok("no"));
}

TEST(Server, ClosesWhereTheClientWasNotToldToContinue) {
  const std::string head =
      "POST /p HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n";
  EXPECT_EQ(Converse(Ignore, {.pieces = {head, "hello", std::string(kGet)}}).answers,
            "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n"
            "connection: close\r\n\r\nno");
}

io::Task<void> Throw(Exchange& exchange) {
  static_cast<void>(co_await exchange.ReadBody());
  throw std::runtime_error("on purpose");
}
io::Task<void> Silent(Exchange&) { co_return; }
io::Task<void> Half(Exchange& exchange) {
  exchange.StartStream(200, "text/plain");
  Must(co_await exchange.WriteChunk("abc"));
}
io::Task<void> HalfThenThrow(Exchange& exchange) {
  co_await Half(exchange);
  throw std::runtime_error("on purpose");
}
io::Task<void> Twice(Exchange& exchange) {
  Must(co_await exchange.Respond(200, "text/plain", "one"));
  const auto second = co_await exchange.Respond(200, "text/plain", "two");
  EXPECT_EQ(second.error().code, Code::kInternal);
}

// What a handler leaves behind for its answer, and what is gone by then.
struct Gone {
  explicit Gone(bool& flag) : gone(flag) {}
  ~Gone() { gone = true; }
  Gone(const Gone&) = delete;
  Gone& operator=(const Gone&) = delete;
  bool& gone;
};

io::Task<void> AnswerAfter(Exchange& exchange, const bool& gone, int more) {
  if (more > 0) {
    exchange.GoOnWith(AnswerAfter(exchange, gone, more - 1));
    co_return;
  }
  if (exchange.head().path == "/throw") throw std::runtime_error("on purpose");
  static_cast<void>(co_await exchange.Respond(200, "text/plain", gone ? "alone" : "not alone"));
}

io::Task<void> Leave(Exchange& exchange, bool& gone) {
  gone = false;
  const Gone frame(gone);
  static_cast<void>(co_await exchange.ReadBody());
  exchange.GoOnWith(AnswerAfter(exchange, gone, 2));
}

TEST(Server, GoesOnWithTheRestOnceTheHandlerIsGone) {
  bool gone = false;
  const auto handler = [&gone](Exchange& exchange) { return Leave(exchange, gone); };
  EXPECT_EQ(Ask(handler, std::string(kGet) + std::string(kGet)), Ok("alone") + Ok("alone"));
  EXPECT_TRUE(Ask(handler, "GET /throw HTTP/1.1\r\nhost: x\r\n\r\n").starts_with("HTTP/1.1 500"));
}

TEST(Server, SurvivesItsHandlers) {
  for (const Handler& handler : {Handler(Throw), Handler(Silent)}) {
    const auto told = Converse(handler, {.pieces = {std::string(kGet), std::string(kGet)}});
    EXPECT_TRUE(told.answers.starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
    EXPECT_EQ(told.answers.find("HTTP", 8), std::string::npos) << "it must close behind a 500";
    EXPECT_EQ(told.handler_failures, 1u);
  }
  const std::string half =
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n";
  EXPECT_EQ(Ask(Half, std::string(kGet)), half);
  EXPECT_EQ(Ask(HalfThenThrow, std::string(kGet)), half);
  EXPECT_EQ(Ask(Twice, std::string(kGet) + std::string(kGet)), Ok("one"));
}

}  // namespace
}  // namespace penstock::http
