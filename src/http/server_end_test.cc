// How a server ends, and how clients leave: drain, stop, a client that vanishes within a stream.
#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "http/http_testing.h"

namespace penstock::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Must;
using testing::Site;

const std::string kGet = "GET /a HTTP/1.1\r\nhost: h\r\n\r\n";

struct Log {
  std::string text;
};

// One chunk a second, ten in all, for as long as somebody listens.
io::Task<void> Ticks(io::Loop& loop, Exchange& exchange, Log& log, bool watch) {
  if (watch) exchange.CancelWhenPeerGone();
  exchange.StartStream(200, "text/plain");
  for (int i = 0; i < 10; ++i) {
    if (auto sent = co_await exchange.WriteChunk("tick"); !sent) {
      log.text += "write failed;";
      co_return;
    }
    if (auto slept = co_await loop.Sleep(seconds(1)); !slept) {
      log.text += "cancelled at " + std::to_string(i) + ";";
      co_return;
    }
  }
  log.text += co_await exchange.Finish() ? "finished;" : "finish failed;";
}

Handler TicksHandler(io::Loop& loop, Log& log, bool watch) {
  return [&loop, &log, watch](Exchange& exchange) { return Ticks(loop, exchange, log, watch); };
}

io::Task<std::string> ReadAll(io::Stream& stream) {
  std::string text;
  std::string piece(4096, '\0');
  for (;;) {
    const auto bytes = co_await stream.Read(piece, Deadline::Never());
    if (!bytes || *bytes == 0) co_return text;
    text.append(piece, 0, *bytes);
  }
}

io::Task<void> VanishTask(io::Loop& loop, bool half_close, Log& log) {
  Site site(loop, TicksHandler(loop, log, true));
  {
    auto stream = Must(co_await loop.Connect(site.address, {}, Deadline::Never()));
    Must(co_await stream->Write(kGet, Deadline::Never()));
    Must(co_await loop.Sleep(milliseconds(2500)));
    if (half_close) {
      stream->ShutdownWrite();
      EXPECT_NE((co_await ReadAll(*stream)).find("tick"), std::string::npos);
    }
  }
  Must(co_await loop.Sleep(milliseconds(100)));
  EXPECT_EQ(log.text, "cancelled at 2;");
  EXPECT_EQ(site.server.counters().connections_open.value(), 0u);
  co_await site.Close();
}

TEST(ServerEnd, NoticesAtOnceThatTheClientVanished) {
  for (const bool half_close : {false, true}) {
    io::SimLoop loop;
    Log log;
    io::RunBlocking(loop, VanishTask(loop, half_close, log));
  }
}

// Without the watch a half-closed client still gets everything.
io::Task<void> HalfClosedTask(io::Loop& loop, Log& log) {
  Site site(loop, TicksHandler(loop, log, false));
  {
    auto stream = Must(co_await loop.Connect(site.address, {}, Deadline::Never()));
    Must(co_await stream->Write(kGet, Deadline::Never()));
    stream->ShutdownWrite();
    EXPECT_TRUE((co_await ReadAll(*stream)).ends_with("4\r\ntick\r\n0\r\n\r\n"));
  }
  EXPECT_EQ(log.text, "finished;");
  co_await site.Close();
}

TEST(ServerEnd, ServesHalfClosedClients) {
  io::SimLoop loop;
  Log log;
  io::RunBlocking(loop, HalfClosedTask(loop, log));
}

// The watch ends with its exchange: a client may close between two requests.
io::Task<void> Watched(Exchange& exchange) {
  exchange.CancelWhenPeerGone();
  return testing::Echo(exchange);
}

TEST(ServerEnd, TheWatchEndsWithTheExchange) {
  EXPECT_TRUE(testing::Ask(Watched, kGet).starts_with("HTTP/1.1 200"));
  const auto told = testing::Converse(Watched, {.pieces = {kGet, kGet}});
  EXPECT_NE(told.answers.find("HTTP/", 5), std::string::npos);
}

struct DrainCase {
  Duration patience;
  std::size_t cut;
  std::string log;
  Duration took;
};

io::Task<void> DrainTask(io::Loop& loop, const DrainCase& expected, Log& log) {
  Site site(loop, TicksHandler(loop, log, false));
  auto idle = Must(co_await loop.Connect(site.address, {}, Deadline::Never()));
  auto busy = Must(co_await loop.Connect(site.address, {}, Deadline::Never()));
  Must(co_await busy->Write(kGet, Deadline::Never()));
  Must(co_await loop.Sleep(milliseconds(2500)));
  EXPECT_EQ(site.server.counters().connections_idle.value(), 1u);
  const TimePoint start = loop.Now();
  const std::size_t cut =
      co_await site.server.Drain(Deadline::After(loop.Now(), expected.patience));
  EXPECT_EQ(cut, expected.cut);
  EXPECT_GE(loop.Now() - start, expected.took);
  EXPECT_LT(loop.Now() - start, expected.took + milliseconds(100));
  EXPECT_EQ(log.text, expected.log);
  EXPECT_EQ(co_await ReadAll(*idle), "");
  EXPECT_EQ((co_await ReadAll(*busy)).ends_with("0\r\n\r\n"), expected.cut == 0);
  const auto late =
      co_await loop.Connect(site.address, {}, Deadline::After(loop.Now(), seconds(1)));
  EXPECT_FALSE(late);
}

TEST(ServerEnd, Drains) {
  const DrainCase cases[] = {
      {.patience = seconds(60), .cut = 0, .log = "finished;", .took = milliseconds(7500)},
      {.patience = seconds(2), .cut = 1, .log = "cancelled at 4;", .took = seconds(2)},
  };
  for (const DrainCase& drain : cases) {
    io::SimLoop loop;
    Log log;
    io::RunBlocking(loop, DrainTask(loop, drain, log));
  }
}

io::Task<void> SlowEcho(io::Loop& loop, Exchange& exchange) {
  Must(co_await loop.Sleep(seconds(1)));
  co_await testing::Echo(exchange);
}

io::Task<void> DrainTellsTask(io::Loop& loop) {
  Site site(loop, [&loop](Exchange& exchange) { return SlowEcho(loop, exchange); });
  auto stream = Must(co_await loop.Connect(site.address, {}, Deadline::Never()));
  Must(co_await stream->Write(kGet + kGet, Deadline::Never()));
  Must(co_await loop.Sleep(milliseconds(500)));
  EXPECT_EQ(co_await site.server.Drain(Deadline::Never()), 0u);
  // The running request is answered and told; the one behind it is not begun.
  const std::string answers = co_await ReadAll(*stream);
  EXPECT_NE(answers.find("connection: close\r\n"), std::string::npos) << answers;
  EXPECT_EQ(answers.find("HTTP/", 5), std::string::npos) << answers;
}

TEST(ServerEnd, TellsRunningExchangesThatItDrains) {
  io::SimLoop loop;
  io::RunBlocking(loop, DrainTellsTask(loop));
}

io::Task<void> StopTask(io::Loop& loop, Log& log) {
  Site site(loop, TicksHandler(loop, log, false));
  auto stream = Must(co_await loop.Connect(site.address, {}, Deadline::Never()));
  Must(co_await stream->Write(kGet, Deadline::Never()));
  Must(co_await loop.Sleep(milliseconds(1500)));
  const TimePoint start = loop.Now();
  co_await site.Close();
  EXPECT_EQ(loop.Now(), start);
  EXPECT_EQ(log.text, "cancelled at 1;");
}

TEST(ServerEnd, StopsAtOnce) {
  io::SimLoop loop;
  Log log;
  io::RunBlocking(loop, StopTask(loop, log));
}

}  // namespace
}  // namespace penstock::http
