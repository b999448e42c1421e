// Server and client together: on the real loop and on harsh networks, and with every single
// operation failing in turn.
#include <gtest/gtest.h>

#include <string>

#include "http/client.h"
#include "http/http_testing.h"
#include "io/epoll/epoll_loop.h"
#include "io/io_testing.h"
#include "io/sim/sim_network.h"
#include "io/test_certificate.h"
#include "io/tls.h"

namespace penstock::http {
namespace {

using testing::Must;
using testing::Site;

// What a gateway does: relays a stream of one server through another.
io::Task<void> Produce(io::Loop& loop, Exchange& exchange) {
  const auto body = co_await exchange.ReadBody();
  if (!body) {
    static_cast<void>(co_await exchange.RespondError(body.error()));
    co_return;
  }
  exchange.CancelWhenPeerGone();
  exchange.StartStream(200, "text/event-stream");
  for (int i = 0; i < 5; ++i) {
    const std::string event = "data: " + std::to_string(i) + " " + std::string(*body) + "\n\n";
    if (!co_await exchange.WriteChunk(event)) co_return;
    if (!co_await loop.Sleep(std::chrono::milliseconds(1))) co_return;
  }
  static_cast<void>(co_await exchange.Finish());
}

io::Task<void> RelayPieces(Exchange& exchange, ClientResponse& response) {
  exchange.StartRaw({.status = response.status(), .content_type = "text/event-stream"});
  exchange.ReleaseRequest();
  response.ReleaseHead();
  for (;;) {
    const auto piece = co_await response.Next(Deadline::Never());
    if (!piece) co_return;  // Cuts the client off: it must see that this is not whole.
    const auto sent = piece->ended ? co_await exchange.FinishRaw(piece->raw)
                                   : co_await exchange.WriteRaw(piece->raw);
    if (!sent || piece->ended) co_return;
  }
}

io::Task<void> Relay(Client& client, const Origin& origin, Exchange& exchange) {
  const auto body = co_await exchange.ReadBody();
  if (!body) {
    static_cast<void>(co_await exchange.RespondError(body.error()));
    co_return;
  }
  exchange.CancelWhenPeerGone();
  auto response = co_await client.Send(
      origin, {.method = "POST", .target = exchange.head().target, .body = *body},
      Deadline::Never());
  if (!response) {
    static_cast<void>(co_await exchange.RespondError(response.error()));
    co_return;
  }
  co_await RelayPieces(exchange, **response);
}

struct Outcome {
  int good = 0;
  int failed = 0;
  std::uint64_t connects = 0;  // From the relay to the producer.
  std::string strange;         // An answer that claims to be whole, but is not.
};

io::Task<void> Ask(Client& client, const Origin& origin, std::string body, Outcome& outcome) {
  std::string expected;
  for (int i = 0; i < 5; ++i) expected += "data: " + std::to_string(i) + " " + body + "\n\n";
  auto response = co_await client.Send(origin, {.method = "POST", .target = "/v1", .body = body},
                                       Deadline::Never());
  if (!response) {
    ++outcome.failed;
    co_return;
  }
  const auto text = co_await (*response)->ReadAll(1 << 20, Deadline::Never());
  if (!text || (*response)->status() != 200) {
    ++outcome.failed;
    co_return;
  }
  if (*text == expected) {
    ++outcome.good;
  } else {
    outcome.strange = *text;
  }
}

// What lies between the relay and the producer.
struct Wire {
  io::ListenOptions listen = {};
  io::ConnectOptions connect = {};
  io::Address where = {.host = "127.0.0.1", .port = 0};
};

// Two requests on one connection through a relay; everything ends and nothing leaks.
io::Task<void> Chain(io::Loop& loop, Outcome& outcome, std::size_t body_bytes, Wire wire = {}) {
  Site producer(
      loop, [&loop](Exchange& exchange) { return Produce(loop, exchange); }, {}, wire.listen,
      wire.where);
  const Origin upstream{.address = producer.address, .connect = wire.connect, .host = "up"};
  {
    Client upstream_client(loop);
    Site relay(loop,
               [&](Exchange& exchange) { return Relay(upstream_client, upstream, exchange); });
    const Origin origin{.address = relay.address, .connect = {}, .host = "relay"};
    {
      Client client(loop);
      co_await Ask(client, origin, std::string(body_bytes, 'a'), outcome);
      co_await Ask(client, origin, std::string(body_bytes, 'b'), outcome);
    }
    const std::size_t cut =
        co_await relay.server.Drain(Deadline::After(loop.Now(), std::chrono::seconds(100)));
    EXPECT_EQ(cut, 0u);
    outcome.connects = upstream_client.connects();
  }
  co_await producer.Close();
}

TEST(Chain, RunsOnTheRealLoop) {
  for (const std::size_t bytes : {0, 10, 200'000}) {
    io::EpollLoop loop;
    Outcome outcome;
    io::RunBlocking(loop, Chain(loop, outcome, bytes));
    EXPECT_EQ(outcome.good, 2) << bytes;
    EXPECT_EQ(outcome.connects, 1u);
  }
}

TEST(Chain, RunsOverUnixSocketsAndTls) {
  const io::testing::TestCertificate certificate("DNS:up.test");
  const Wire wires[] = {
      {.where = io::testing::AnyUnix()},
      {.listen = {.tls = Must(io::TlsContext::ForServer(certificate.certificate_file(),
                                                        certificate.key_file()))},
       .connect = {.tls =
                       Must(io::TlsContext::ForClient({.ca_file = certificate.certificate_file()})),
                   .tls_server_name = "up.test"}},
  };
  for (const Wire& wire : wires) {
    io::EpollLoop loop;
    Outcome outcome;
    io::RunBlocking(loop, Chain(loop, outcome, 100'000, wire));
    EXPECT_EQ(outcome.good, 2);
    EXPECT_EQ(outcome.connects, 1u);
  }
}

TEST(Chain, RunsOnHarshNetworks) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    io::SimLoop loop({.seed = seed,
                      .buffer_size = 1000,
                      .segment_size_max = 300,
                      .short_read = 0.5,
                      .short_write = 0.5,
                      .coalesce = 0.5});
    Outcome outcome;
    io::RunBlocking(loop, Chain(loop, outcome, seed * 100));
    EXPECT_EQ(outcome.good, 2);
  }
}

// A whole-looking answer is whole, whichever operation fails; and then the next one works again.
TEST(Chain, SurvivesTheFailureOfEveryOperation) {
  std::uint64_t operation = 1;
  int failed = 0;
  for (;; ++operation) {
    SCOPED_TRACE(::testing::Message() << "operation=" << operation);
    io::SimLoop loop;
    loop.network().FailOperation(operation);
    Outcome outcome;
    io::RunBlocking(loop, Chain(loop, outcome, 100));
    EXPECT_EQ(outcome.strange, "");
    EXPECT_EQ(outcome.good + outcome.failed, 2);
    failed += outcome.failed;
    if (HasFailure() || loop.network().operations() < operation) break;
  }
  EXPECT_GT(operation, 40u);
  EXPECT_GT(failed, 5);
}

// Connections that are reset at random, many at once.
io::Task<void> Crowd(io::Loop& loop, Outcome& outcome) {
  Site producer(loop, [&loop](Exchange& exchange) { return Produce(loop, exchange); });
  const Origin origin{.address = producer.address, .connect = {}, .host = "up"};
  {
    Client client(loop);
    io::TaskScope asking(loop);
    for (int i = 0; i < 50; ++i) {
      asking.Spawn(
          "ask", Ask(client, origin, std::string(static_cast<std::size_t>(i * 20), 'c'), outcome));
    }
    co_await asking.Join();
  }
  co_await producer.Close();
}

TEST(Chain, SurvivesRandomCuts) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    io::SimLoop loop({.seed = seed, .segment_size_max = 100, .short_read = 0.3, .cut = 0.01});
    Outcome outcome;
    io::RunBlocking(loop, Crowd(loop, outcome));
    EXPECT_EQ(outcome.strange, "");
    EXPECT_EQ(outcome.good + outcome.failed, 50);
    EXPECT_GT(outcome.good, 0);
    EXPECT_GT(outcome.failed, 0);
  }
}

}  // namespace
}  // namespace penstock::http
