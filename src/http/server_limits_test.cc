// Every limit of the server: kept at the limit, refused one over, and counted by name.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "http/http_testing.h"

namespace penstock::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Converse;
using testing::Echo;
using testing::Must;
using testing::Told;
using Refusals = std::map<std::string, std::uint64_t>;

const std::string kGet = "GET /a HTTP/1.1\r\nhost: h\r\n\r\n";

// The only answer is `status` and it closes.
void ExpectRefused(const Told& told, const std::string& status, const std::string& message,
                   const Refusals& refusals) {
  EXPECT_TRUE(told.answers.starts_with("HTTP/1.1 " + status)) << told.answers;
  EXPECT_NE(told.answers.find("connection: close\r\n"), std::string::npos) << told.answers;
  EXPECT_NE(told.answers.find(R"({"error":{"message":")"), std::string::npos) << told.answers;
  EXPECT_NE(told.answers.find(message), std::string::npos) << told.answers;
  EXPECT_TRUE(told.answers.ends_with("}")) << told.answers;
  EXPECT_EQ(told.answers.find("\r\n\r\n"), told.answers.rfind("\r\n\r\n")) << told.answers;
  EXPECT_EQ(told.refusals, refusals);
}

TEST(ServerLimits, HeadBytes) {
  ServerLimits limits{.head = {.bytes_max = kGet.size()}};
  EXPECT_TRUE(Converse(Echo, {.pieces = {kGet}, .limits = limits}).refusals.empty());
  limits.head.bytes_max -= 1;
  ExpectRefused(Converse(Echo, {.pieces = {kGet}, .half_close = false, .limits = limits}), "431",
                "head: longer than 27 bytes", {{"head_too_large", 1}});
  // A head without an end is refused as soon as it is too long.
  const auto told =
      Converse(Echo, {.pieces = {"GET /" + std::string(40'000, 'x')}, .half_close = false});
  ExpectRefused(told, "431", "32768", {{"head_too_large", 1}});
  EXPECT_LT(told.took, seconds(3));
}

TEST(ServerLimits, FieldsAndTarget) {
  const ServerLimits limits{.head = {.fields_max = 1, .target_bytes_max = 2}};
  EXPECT_TRUE(Converse(Echo, {.pieces = {kGet}, .limits = limits}).refusals.empty());
  ExpectRefused(
      Converse(Echo, {.pieces = {"GET /a HTTP/1.1\r\nhost: h\r\nx: y\r\n\r\n"}, .limits = limits}),
      "431", "more than 1 fields", {{"head_too_large", 1}});
  ExpectRefused(
      Converse(Echo, {.pieces = {"GET /ab HTTP/1.1\r\nhost: h\r\n\r\n"}, .limits = limits}), "431",
      "target: 3 bytes, the limit is 2", {{"head_too_large", 1}});
}

TEST(ServerLimits, MalformedHeads) {
  ExpectRefused(Converse(Echo, {.pieces = {"\x16\x03\x01\x02"}, .half_close = false}), "400",
                "first byte", {{"malformed", 1}});
  ExpectRefused(Converse(Echo, {.pieces = {"GET /a HT"}}), "400", "the connection ended within it",
                {{"malformed", 1}});
  ExpectRefused(Converse(Echo, {.pieces = {"GET / HTTP/3.0\r\nhost: h\r\n\r\n" + kGet}}), "501",
                "HTTP/3.0", {{"malformed", 1}});
}

std::string PostLength(std::size_t length, const std::string& body) {
  return "POST /p HTTP/1.1\r\nhost: h\r\ncontent-length: " + std::to_string(length) + "\r\n\r\n" +
         body;
}
std::string PostChunked(const std::string& body) {
  return "POST /p HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n" + body;
}

TEST(ServerLimits, BodyBytes) {
  const ServerLimits limits{.body_bytes_max = 5};
  const auto at = [&](std::string request) {
    return Converse(Echo, {.pieces = {std::move(request)},
                           .half_close = false,
                           .limits = limits,
                           .end = "GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n"});
  };
  EXPECT_TRUE(at(PostLength(5, "hello")).refusals.empty());
  EXPECT_TRUE(at(PostChunked("5\r\nhello\r\n0\r\n\r\n")).refusals.empty());
  ExpectRefused(at(PostLength(6, "hello")), "413", "body: 6 bytes, the limit is 5",
                {{"body_too_large", 1}});
  ExpectRefused(at(PostLength(99'999'999'999, "")), "413", "99999999999 bytes, the limit is 5",
                {{"body_too_large", 1}});
  ExpectRefused(at(PostChunked("5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n")), "413",
                "over the limit of 5 bytes", {{"body_too_large", 1}});
  ExpectRefused(at(PostChunked("FFFFFFFFFFFFFFFF\r\nhello!")), "413", "over the limit of 5 bytes",
                {{"body_too_large", 1}});
}

io::Task<void> EchoThree(Exchange& exchange) {
  const auto body = co_await exchange.ReadBody(3);
  if (!body) {
    static_cast<void>(co_await exchange.RespondError(body.error()));
    co_return;
  }
  Must(co_await exchange.Respond(200, "", *body));
}

TEST(ServerLimits, BodyBytesOfAHandler) {
  EXPECT_TRUE(Converse(EchoThree, {.pieces = {PostLength(3, "abc")}}).refusals.empty());
  ExpectRefused(Converse(EchoThree, {.pieces = {PostLength(4, "abcd")}}), "413",
                "body: 4 bytes, the limit is 3", {{"body_too_large", 1}});
}

TEST(ServerLimits, MalformedBodies) {
  ExpectRefused(Converse(Echo, {.pieces = {PostChunked("5\r\nhelloX")}, .half_close = false}),
                "400", "chunked body: behind a chunk", {{"body_malformed", 1}});
  ExpectRefused(Converse(Echo, {.pieces = {PostLength(5, "hell")}}), "400",
                "ended within it, after 4 bytes", {{"body_malformed", 1}});
  ExpectRefused(Converse(Echo, {.pieces = {PostChunked("5\r\nhel")}}), "400", "ended within it",
                {{"body_malformed", 1}});
}

// A client that sends one byte a second never gets past its head.
TEST(ServerLimits, HeadWait) {
  std::vector<std::string> slow;
  for (const char byte : kGet) slow.emplace_back(1, byte);
  const auto told = Converse(Echo, {.pieces = slow, .pause = seconds(1), .half_close = false});
  ExpectRefused(told, "408", "head: not complete after 10000 ms", {{"head_wait", 1}});
  EXPECT_GE(told.took, seconds(10));
  EXPECT_LT(told.took, seconds(13));
  // Just fast enough.
  const auto fast = Converse(Echo, {.pieces = slow, .pause = milliseconds(350)});
  EXPECT_TRUE(fast.refusals.empty());
  EXPECT_TRUE(fast.answers.starts_with("HTTP/1.1 200"));
}

TEST(ServerLimits, Idle) {
  const auto told = Converse(Echo, {.pieces = {kGet}, .half_close = false});
  EXPECT_TRUE(told.answers.starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(told.refusals.empty());
  EXPECT_GE(told.took, seconds(75));
  EXPECT_LT(told.took, seconds(76));
  const auto silent = Converse(Echo, {.pieces = {}, .half_close = false});
  EXPECT_EQ(silent.answers, "");
  EXPECT_GE(silent.took, seconds(75));
  const auto kept = Converse(Echo, {.pieces = {kGet, kGet}, .pause = seconds(74)});
  EXPECT_NE(kept.answers.find("HTTP/", 5), std::string::npos);
}

TEST(ServerLimits, BodyProgress) {
  const auto told = Converse(
      Echo, {.pieces = {PostLength(9000, ""), "a"}, .pause = seconds(20), .half_close = false});
  ExpectRefused(told, "408", "body: too slow after 1 bytes, the limit is 4096 bytes in 30000 ms",
                {{"body_wait", 1}});
  EXPECT_LT(told.took, seconds(33));
  // 4 KiB in each window are enough, and so is what is left.
  const std::string part(4096, 'x');
  const auto steady = Converse(
      Echo,
      {.pieces = {PostLength(4096 * 3 + 1, ""), part, part, part, "x"}, .pause = seconds(29)});
  EXPECT_TRUE(steady.refusals.empty());
  EXPECT_TRUE(steady.answers.starts_with("HTTP/1.1 200"));
}

TEST(ServerLimits, RequestsPerConnection) {
  const ServerLimits limits{.requests_per_connection_max = 2};
  const auto told =
      Converse(Echo, {.pieces = {kGet + kGet + kGet}, .half_close = false, .limits = limits});
  const std::string first =
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 7\r\n\r\nGET /a ";
  const std::string last =
      "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 7\r\n"
      "connection: close\r\n\r\nGET /a ";
  EXPECT_EQ(told.answers, first + last);
}

TEST(ServerLimits, PipelinedBytes) {
  const ServerLimits limits{.pipelined_bytes_max = kGet.size() * 2};
  const auto kept = Converse(Echo, {.pieces = {kGet + kGet + kGet}, .limits = limits});
  EXPECT_TRUE(kept.refusals.empty());
  const auto over = Converse(Echo, {.pieces = {kGet + kGet + kGet + "G"}, .limits = limits});
  EXPECT_EQ(over.refusals, (Refusals{{"pipelined_bytes", 1}}));
  EXPECT_NE(over.answers.find("57 bytes came before their turn, the limit is 56"),
            std::string::npos)
      << over.answers;
}

io::Task<void> Ignore(Exchange& exchange) {
  Must(co_await exchange.Respond(200, "text/plain", "no"));
}

TEST(ServerLimits, UnreadBody) {
  const ServerLimits limits{.unread_body_bytes_max = 10};
  const auto answers = [&](std::size_t length) {
    return Converse(Ignore, {.pieces = {PostLength(length, ""), std::string(length, 'x') + kGet},
                             .limits = limits})
        .answers;
  };
  const std::string kept = answers(10);
  EXPECT_NE(kept.find("HTTP/", 5), std::string::npos) << kept;
  EXPECT_EQ(kept.find("connection: close"), std::string::npos) << kept;
  const std::string closed = answers(11);
  EXPECT_EQ(closed.find("HTTP/", 5), std::string::npos) << closed;
  EXPECT_NE(closed.find("connection: close"), std::string::npos) << closed;
}

io::Task<void> Flood(Exchange& exchange) {
  exchange.StartStream(200, "text/plain");
  for (;;) {
    const auto sent = co_await exchange.WriteChunk(std::string(10'000, 'x'));
    if (sent) continue;
    EXPECT_EQ(sent.error().code, Code::kDeadline);
    co_return;
  }
}

// A client that does not read holds its connection only so long.
io::Task<void> DoNotRead(io::Loop& loop, Duration& took, std::uint64_t& stalls) {
  testing::Site site(loop, Flood);
  const TimePoint start = loop.Now();
  auto stream = Must(co_await loop.Connect(site.address, {}, Deadline::Never()));
  Must(co_await stream->Write(kGet, Deadline::Never()));
  while (site.server.counters().connections_total.value() == 0 ||
         site.server.counters().connections_open.value() > 0) {
    Must(co_await loop.Sleep(milliseconds(10)));
  }
  took = loop.Now() - start;
  stalls = site.server.counters().refusals[static_cast<std::size_t>(Refusal::kWriteStall)].value();
  co_await site.Close();
}

TEST(ServerLimits, WriteStall) {
  io::SimLoop loop;
  Duration took{};
  std::uint64_t stalls = 0;
  io::RunBlocking(loop, DoNotRead(loop, took, stalls));
  EXPECT_EQ(stalls, 1u);
  EXPECT_GE(took, seconds(30));
  EXPECT_LT(took, seconds(31));
}

io::Task<std::string> ReadOnce(io::Loop& loop, io::Address address) {
  auto stream = Must(co_await loop.Connect(address, {}, Deadline::Never()));
  Must(co_await stream->Write(kGet, Deadline::Never()));
  std::string answer(4096, '\0');
  const std::size_t bytes = Must(co_await stream->Read(answer, Deadline::Never()));
  answer.resize(bytes);
  co_return answer;
}

io::Task<void> CrowdTask(io::Loop& loop) {
  testing::Site site(loop, Echo, {.connections_max = 2});
  {
    auto one = Must(co_await loop.Connect(site.address, {}, Deadline::Never()));
    auto two = Must(co_await loop.Connect(site.address, {}, Deadline::Never()));
    Must(co_await two->Write(kGet, Deadline::Never()));
    std::string answer(4096, '\0');
    EXPECT_GT(Must(co_await two->Read(answer, Deadline::Never())), 0u);
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200"));
    const std::string refused = co_await ReadOnce(loop, site.address);
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 503")) << refused;
    EXPECT_NE(refused.find("connections: the limit of 2 is reached"), std::string::npos);
  }
  Must(co_await loop.Sleep(seconds(5)));
  const std::string again = co_await ReadOnce(loop, site.address);
  EXPECT_TRUE(again.starts_with("HTTP/1.1 200")) << again;
  EXPECT_EQ(
      site.server.counters().refusals[static_cast<std::size_t>(Refusal::kConnections)].value(), 1u);
  co_await site.Close();
}

TEST(ServerLimits, Connections) {
  io::SimLoop loop;
  io::RunBlocking(loop, CrowdTask(loop));
}

}  // namespace
}  // namespace penstock::http
