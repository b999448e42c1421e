// The real gateway, server and client on the simulated runtime, between a fake engine and a client.
#include "gateway/gateway.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "gateway/record_testing.h"
#include "http/server.h"
#include "io/sim/sim_loop.h"
#include "io/sim/sim_network.h"
#include "io/task_scope.h"

namespace penstock::gateway {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

constexpr int kTokens = 20;
constexpr const char* kSecret = "psk_test";

// Streams kTokens tokens, one every 10 ms, with usage; answers a plain JSON to what is no stream.
class FakeEngine {
 public:
  FakeEngine(io::Loop& loop, const std::string& address)
      : loop_(loop), server_(loop, [this](http::Exchange& exchange) { return Answer(exchange); }) {
    auto listener = loop.Listen(*io::Address::Parse(address), {});
    EXPECT_TRUE(listener);
    if (listener) server_.Serve(std::move(*listener));
  }

  http::Server& server() { return server_; }
  int started = 0;
  int finished = 0;
  int cancelled = 0;
  int die_after_tokens = kTokens;  // Less than kTokens: the stream is cut there.
  std::string last_body;

 private:
  io::Task<void> Answer(http::Exchange& exchange) {
    const auto body = co_await exchange.ReadBody();
    if (!body) co_return;
    last_body = *body;
    ++started;
    exchange.CancelWhenPeerGone();
    if (last_body.find("\"stream\":true") == std::string::npos) {
      (void)co_await exchange.Respond(
          200, "application/json",
          R"({"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}})");
      ++finished;
      co_return;
    }
    exchange.StartStream(200, "text/event-stream");
    for (int i = 0; i < kTokens; ++i) {
      if (const Status slept = co_await loop_.Sleep(milliseconds(10)); !slept) {
        ++cancelled;
        co_return;
      }
      if (i == die_after_tokens) co_return;  // Returning within a stream cuts the connection.
      const Status sent = co_await exchange.WriteChunk(
          "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t\"}}]}\n\n");
      if (!sent) {
        ++cancelled;
        co_return;
      }
    }
    (void)co_await exchange.WriteChunk(
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":20,"
        "\"total_tokens\":23}}\n\n");
    if (co_await exchange.Finish("data: [DONE]\n\n")) ++finished;
  }

  io::Loop& loop_;
  http::Server server_;
};

struct Answer {
  bool connected = false;
  int status = 0;
  std::string body;
  bool whole = false;
};

// One gateway before two engines, endpoint "chat".
class World {
 public:
  explicit World(const io::SimOptions& options = {})
      : loop(options),
        metrics("test"),
        first(loop, "unix:/engine1"),
        second(loop, "unix:/engine2"),
        gateway(loop, metrics, Control, [] { return true; }),
        server(loop, [this](http::Exchange& exchange) { return gateway.Handle(exchange); }) {
    gateway.SetUsageSink(&usage);
    policy::EndpointRoute route;
    route.name = "chat";
    route.served.resize(1);
    route.served[0].replicas = {{.id = 1, .address = "unix:/engine1"},
                                {.id = 2, .address = "unix:/engine2"}};
    SetRoute(route);
    gateway.SetKeys(std::make_shared<policy::KeyTable>(std::vector<policy::Key>{
        {.hash = policy::HashSecret(kSecret), .name = "k", .role = policy::Role::kUser}}));
    server.Serve(*loop.Listen(*io::Address::Parse("127.0.0.1:80"), {}));
  }

  void SetRoute(const policy::EndpointRoute& route) {
    auto table = std::make_shared<policy::RoutingTable>();
    table->Add(route);
    gateway.SetRoutes(pools.Apply(*table, loop.Now()));
  }

  // Runs one client against the gateway to its end; `leave_after` > 0 lets it vanish by then.
  Answer Ask(const std::string& body, Duration leave_after = {}) {
    Answer answer;
    io::RunBlocking(loop, RunClient(*this, body, leave_after, answer));
    return answer;
  }

  io::SimLoop loop;
  meter::Metrics metrics;
  FakeEngine first;
  FakeEngine second;
  RecordKeeper usage;
  PoolSet pools;
  Gateway gateway;
  http::Server server;

 private:
  static io::Task<Result<ControlAnswer>> Control(ControlRequest) {
    co_return ControlAnswer{200, "{}"};
  }

  static io::Task<void> Request(World& world, std::string body, Answer& answer) {
    http::Client client(world.loop);
    auto origin = http::Origin::From(*http::Url::Parse("http://127.0.0.1:80/"));
    const std::string bearer = std::string("Bearer ") + kSecret;
    const http::Field field{"authorization", bearer};
    const Deadline deadline = Deadline::After(world.loop.Now(), seconds(60));
    auto response = co_await client.Send(*origin,
                                         {.method = "POST",
                                          .target = "/v1/chat/completions",
                                          .content_type = "application/json",
                                          .body = body,
                                          .fields = std::span(&field, 1)},
                                         deadline);
    if (!response) co_return;
    answer.connected = true;
    answer.status = (*response)->status();
    for (;;) {
      auto piece = co_await (*response)->Next(deadline);
      if (!piece) co_return;
      for (const std::string_view part : piece->payload) answer.body += part;
      if (piece->ended) break;
    }
    answer.whole = true;
  }

  static io::Task<void> RunClient(World& world, std::string body, Duration leave_after,
                                  Answer& answer) {
    io::TaskScope scope(world.loop);
    scope.Spawn("client", Request(world, std::move(body), answer));
    if (leave_after > Duration{}) {
      (void)co_await world.loop.Sleep(leave_after);
      scope.Stop();
    }
    co_await scope.Join();
    (void)co_await world.loop.Sleep(seconds(1));  // Lets what was set off come to its end.
    world.server.Stop();
    co_await world.server.Join();
    world.first.server().Stop();
    co_await world.first.server().Join();
    world.second.server().Stop();
    co_await world.second.server().Join();
  }
};

constexpr const char* kStream = R"({"model":"chat","stream":true,"messages":[]})";
constexpr const char* kStreamWithUsage =
    R"({"model":"chat","stream":true,"stream_options":{"include_usage":true},"messages":[]})";

std::size_t CountOf(const std::string& text, const std::string& what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
    ++count;
  }
  return count;
}

TEST(GatewaySim, RelaysAStreamAndKeepsUsageToItself) {
  World world;
  const Answer answer = world.Ask(kStream);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(CountOf(answer.body, "\"content\":\"t\""), static_cast<std::size_t>(kTokens));
  EXPECT_THAT(answer.body, Not(HasSubstr("usage")));
  EXPECT_THAT(answer.body, HasSubstr("[DONE]"));
  EXPECT_THAT(world.metrics.Expose(),
              HasSubstr("penstock_tokens_total{endpoint=\"chat\",kind=\"output\"} 20"));
}

TEST(GatewaySim, RelaysUsageToThoseWhoAsked) {
  World world;
  const Answer answer = world.Ask(kStreamWithUsage);
  EXPECT_TRUE(answer.whole);
  EXPECT_THAT(answer.body, HasSubstr("\"completion_tokens\":20"));
}

TEST(GatewaySim, MetersAnAnswerThatIsNoStream) {
  World world;
  const Answer answer = world.Ask(R"({"model":"chat","messages":[]})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_THAT(answer.body, HasSubstr("\"total_tokens\":7"));
  EXPECT_THAT(world.metrics.Expose(),
              HasSubstr("penstock_tokens_total{endpoint=\"chat\",kind=\"input\"} 3"));
}

TEST(GatewaySim, SendsARequestToAnotherReplicaWhereNothingWasSent) {
  World world;
  policy::EndpointRoute route;
  route.name = "chat";
  route.served.resize(1);
  route.served[0].replicas = {{.id = 7, .address = "unix:/nobody"},
                              {.id = 8, .address = "unix:/no-one"},
                              {.id = 2, .address = "unix:/engine2"}};
  world.SetRoute(route);
  const Answer answer = world.Ask(kStream);
  EXPECT_EQ(answer.status, 200);
  EXPECT_TRUE(answer.whole);
  EXPECT_EQ(world.second.finished, 1);
}

TEST(GatewaySim, SaysSoWhenNoReplicaIsLeft) {
  World world;
  policy::EndpointRoute route;
  route.name = "chat";
  route.served.resize(1);
  world.SetRoute(route);
  const Answer answer = world.Ask(kStream);
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("no replica that is ready"));
}

TEST(GatewaySim, TellsTheClientThatItsStreamBroke) {
  World world;
  world.first.die_after_tokens = 5;
  world.second.die_after_tokens = 5;
  const Answer answer = world.Ask(kStream);
  EXPECT_EQ(CountOf(answer.body, "\"content\":\"t\""), 5u);
  EXPECT_THAT(answer.body, HasSubstr("\"error\""));
  EXPECT_THAT(answer.body, Not(HasSubstr("[DONE]")));
  EXPECT_EQ(world.first.started + world.second.started, 1) << "a begun stream is never repeated";
  EXPECT_THAT(world.metrics.Expose(), HasSubstr("end=\"server_error\",endpoint=\"chat\"} 1"));
}

TEST(GatewaySim, CutsAVerbatimStreamThatBroke) {
  World world;
  world.first.die_after_tokens = 5;
  world.second.die_after_tokens = 5;
  const Answer answer = world.Ask(kStreamWithUsage);
  EXPECT_TRUE(answer.connected);
  EXPECT_FALSE(answer.whole);
}

TEST(GatewaySim, AVanishedClientEndsTheUpstreamAtOnce) {
  World world;
  world.Ask(kStream, milliseconds(55));
  EXPECT_EQ(world.first.cancelled + world.second.cancelled, 1);
  EXPECT_EQ(world.first.finished + world.second.finished, 0);
  EXPECT_THAT(world.metrics.Expose(), HasSubstr("end=\"disconnected\",endpoint=\"chat\"} 1"));
  EXPECT_THAT(world.metrics.Expose(), HasSubstr("penstock_requests_running{endpoint=\"chat\"} 0"));
}

TEST(GatewaySim, RefusesAnUnknownModelAndMalformedBodies) {
  EXPECT_EQ(World().Ask(R"({"model":"other","messages":[]})").status, 404);
  EXPECT_EQ(World().Ask(R"({"messages":[]})").status, 400);
  EXPECT_EQ(World().Ask(R"({"model":"chat")").status, 400);
  EXPECT_EQ(World().Ask("").status, 400);
}

TEST(GatewaySim, WritesWhatAStreamUsed) {
  World world;
  world.Ask(R"({"model":"chat","stream":true,"messages":[{"role":"user","content":"hello"}],)"
            R"("client_request_id":"mine","usage_context": {"team":"a", "n":[1,{}]} , "n":1})");
  ASSERT_EQ(world.usage.records.size(), 1u);
  const meter::UsageRecord& record = world.usage.records[0];
  EXPECT_EQ(record.endpoint, "chat");
  EXPECT_EQ(record.requester, "k");
  EXPECT_EQ(record.client_request_id, "mine");
  EXPECT_EQ(record.usage_context, R"({"team":"a", "n":[1,{}]})");
  EXPECT_EQ(record.operation, meter::Operation::kChat);
  EXPECT_EQ(record.end, meter::RequestEnd::kCompleted);
  EXPECT_EQ(record.source, meter::UsageSource::kUpstream);
  EXPECT_TRUE(record.stream);
  EXPECT_EQ(record.status, 200);
  EXPECT_EQ(record.input_tokens, 3u);
  EXPECT_EQ(record.output_tokens, 20u);
  EXPECT_EQ(record.output_bytes, 20u);
  EXPECT_GE(record.duration_us, 200'000u);
  ASSERT_TRUE(record.ttft_us && record.tpot_ns);
  EXPECT_NEAR(static_cast<double>(*record.tpot_ns), 10e6, 1e6);
}

TEST(GatewaySim, WritesTheRecordBeforeTheLastChunk) {
  // The client leaves at a moment; where it has seen the end, the record is there.
  for (int ms = 1; ms < 260; ++ms) {
    World world;
    const Answer answer = world.Ask(kStreamWithUsage, milliseconds(ms));
    const bool seen = answer.body.find("[DONE]") != std::string::npos;
    ASSERT_LE(world.usage.records.size(), 1u);
    if (seen) {
      ASSERT_EQ(world.usage.records.size(), 1u) << ms;
      EXPECT_EQ(world.usage.records[0].end, meter::RequestEnd::kCompleted);
      EXPECT_EQ(world.usage.records[0].output_tokens, 20u);
    }
  }
}

TEST(GatewaySim, BillsWhatAVanishedClientHadMade) {
  World world;
  world.Ask(kStream, milliseconds(55));
  ASSERT_EQ(world.usage.records.size(), 1u);
  const meter::UsageRecord& record = world.usage.records[0];
  EXPECT_EQ(record.end, meter::RequestEnd::kDisconnected);
  EXPECT_EQ(record.source, meter::UsageSource::kCounted);
  EXPECT_GE(record.output_tokens, 4u);
  EXPECT_LE(record.output_tokens, 6u);
}

TEST(GatewaySim, BillsWhatABrokenStreamHadMade) {
  World world;
  world.first.die_after_tokens = 5;
  world.second.die_after_tokens = 5;
  world.Ask(kStream);
  ASSERT_EQ(world.usage.records.size(), 1u);
  EXPECT_EQ(world.usage.records[0].end, meter::RequestEnd::kServerError);
  EXPECT_EQ(world.usage.records[0].output_tokens, 5u);
}

TEST(GatewaySim, WritesARecordForWhatIsNoStream) {
  World world;
  world.Ask(R"({"model":"chat","messages":[]})");
  ASSERT_EQ(world.usage.records.size(), 1u);
  EXPECT_EQ(world.usage.records[0].input_tokens, 3u);
  EXPECT_EQ(world.usage.records[0].output_tokens, 4u);
  EXPECT_FALSE(world.usage.records[0].stream);
}

TEST(GatewaySim, WritesARecordForWhatItRefused) {
  World world;
  world.Ask(R"({"model":"other","messages":[]})");
  ASSERT_EQ(world.usage.records.size(), 1u);
  EXPECT_EQ(world.usage.records[0].status, 404);
  EXPECT_EQ(world.usage.records[0].end, meter::RequestEnd::kClientError);
  EXPECT_EQ(world.usage.records[0].source, meter::UsageSource::kNone);
}

// A client that says it wants no usage would else be served for nothing.
TEST(GatewaySim, AsksTheReplicaForUsageWhateverTheClientSays) {
  for (const std::string options : {R"("include_usage":false)", R"("include_usage":null)", ""}) {
    World world;
    const Answer answer = world.Ask(R"({"model":"chat","stream":true,"stream_options":{)" +
                                    options + R"(},"messages":[]})");
    EXPECT_THAT(world.first.last_body + world.second.last_body,
                HasSubstr(R"("include_usage":true)"));
    EXPECT_THAT(world.first.last_body + world.second.last_body, Not(HasSubstr("false")));
    EXPECT_THAT(answer.body, Not(HasSubstr("usage")));
    ASSERT_EQ(world.usage.records.size(), 1u);
    EXPECT_EQ(world.usage.records[0].source, meter::UsageSource::kUpstream);
  }
}

// Whatever operation fails: the client gets a whole answer, a clean error or a cut, everything
// ends, and a request that began is noted exactly once.
TEST(GatewaySim, SurvivesTheFailureOfAnyOperation) {
  for (const char* body : {kStream, kStreamWithUsage, R"({"model":"chat","messages":[]})"}) {
    for (std::uint64_t number = 1;; ++number) {
      SCOPED_TRACE(testing::Message() << body << " operation " << number);
      World world;
      world.loop.network().FailOperation(number);
      const Answer answer = world.Ask(body);
      if (answer.whole && answer.status == 200 && answer.body.find("error") == std::string::npos) {
        EXPECT_THAT(answer.body, HasSubstr(body == std::string(kStream) ? "[DONE]" : "usage"));
      }
      EXPECT_LE(world.usage.records.size(), 1u);
      if (answer.whole) EXPECT_EQ(world.usage.records.size(), 1u);
      EXPECT_EQ(CountOf(world.metrics.Expose(), "penstock_requests_running{endpoint=\"chat\"} 1"),
                0u);
      if (world.loop.network().operations() < number) break;
    }
  }
}

TEST(GatewaySim, SurvivesABadNetwork) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    World world({.seed = seed,
                 .short_read = 0.3,
                 .short_write = 0.3,
                 .coalesce = 0.5,
                 .cut = seed % 2 == 0 ? 0.01 : 0});
    const Answer answer = world.Ask(seed % 3 == 0 ? kStreamWithUsage : kStream);
    if (seed % 2 != 0) {
      EXPECT_TRUE(answer.whole);
      EXPECT_EQ(CountOf(answer.body, "\"content\":\"t\""), static_cast<std::size_t>(kTokens));
    }
  }
}

}  // namespace
}  // namespace penstock::gateway
