// A whole gateway on the simulated runtime, for tests of contracts: several clients, engines that
// do as they are told, a virtual clock.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "api/replica_headers.h"
#include "gateway/gateway.h"
#include "gateway/live_table.h"
#include "gateway/record_testing.h"
#include "http/server.h"
#include "io/sim/sim_loop.h"
#include "io/sim/sim_network.h"
#include "io/task_scope.h"

namespace penstock::gateway {

// Generates as many tokens as `max_tokens` says, one every 10 ms. Counts what runs at once.
class Engine {
 public:
  Engine(io::Loop& loop, const std::string& address)
      : loop_(loop), server_(loop, [this](http::Exchange& exchange) { return Answer(exchange); }) {
    server_.Serve(*loop.Listen(*io::Address::Parse(address), {}));
  }
  io::Task<void> Stop() {
    server_.Stop();
    co_await server_.Join();
  }

  int status = 200;  // Other than 200: answered at once, with `body`.
  std::string body = R"({"error":{"message":"no"}})";
  std::string retry_after;
  std::string retry_after_ms;
  bool answers_body = false;  // `body`, with 200.
  int tokens_instead = 0;     // Other than 0: generates so many, whatever was asked for;
  int silent_after = -1;      // falls silent after so many, for ever.
  std::optional<std::uint64_t> claimed_tokens;  // What usage claims, in place of the truth.
  std::uint64_t produced = 0;                   // Tokens, whoever still wanted them.
  // Of each request, as it came: who it is for, and until when; "": not told.
  std::vector<std::pair<std::string, std::string>> told;
  int started = 0;
  int running = 0;
  int running_max = 0;

 private:
  struct Counted {
    explicit Counted(Engine& owner) : engine(owner) {
      ++engine.started;
      engine.running_max = std::max(engine.running_max, ++engine.running);
    }
    ~Counted() { --engine.running; }
    Counted(const Counted&) = delete;
    Counted& operator=(const Counted&) = delete;
    Engine& engine;
  };

  io::Task<void> Answer(http::Exchange& exchange) {
    const auto request = co_await exchange.ReadBody();
    if (!request) co_return;
    const Counted counted(*this);
    const http::Fields& fields = exchange.head().fields;
    told.emplace_back(fields.Get(kCallerHeader), fields.Get(kDeadlineHeader));
    exchange.CancelWhenPeerGone();
    if (status != 200 || answers_body) {
      std::vector<http::Field> retry;
      if (!retry_after.empty()) retry.push_back({"retry-after", retry_after});
      if (!retry_after_ms.empty()) retry.push_back({"retry-after-ms", retry_after_ms});
      (void)co_await exchange.Respond(status, "application/json", body, retry);
      co_return;
    }
    const std::size_t at = request->find("\"max_tokens\":");
    const int asked =
        at == std::string::npos ? 10 : std::stoi(std::string(request->substr(at + 13)));
    const int tokens = tokens_instead != 0 ? tokens_instead : asked;
    if (request->find("\"stream\":true") == std::string::npos) {
      co_await AnswerWhole(exchange, tokens);
      co_return;
    }
    exchange.StartStream(200, "text/event-stream");
    for (int i = 0; i < tokens; ++i) {
      if (i == silent_after && !co_await loop_.Sleep(std::chrono::hours(24))) co_return;
      if (!co_await loop_.Sleep(std::chrono::milliseconds(10))) co_return;
      ++produced;
      if (!co_await exchange.WriteChunk(
              "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t\"}}]}\n\n")) {
        co_return;
      }
    }
    (void)co_await exchange.Finish(fmt::format(
        "data: {{\"choices\":[],\"usage\":{{\"prompt_tokens\":10,\"completion_tokens\":{},"
        "\"total_tokens\":0}}}}\n\ndata: [DONE]\n\n",
        claimed_tokens.value_or(static_cast<std::uint64_t>(tokens))));
  }

  io::Task<void> AnswerWhole(http::Exchange& exchange, int tokens) {
    for (int i = 0; i < tokens; ++i) {
      if (!co_await loop_.Sleep(std::chrono::milliseconds(10))) co_return;
      ++produced;
    }
    const std::string text(static_cast<std::size_t>(tokens), 't');
    (void)co_await exchange.Respond(
        200, "application/json",
        fmt::format(R"({{"choices":[{{"index":0,"message":{{"content":"{}"}}}}],"usage":{{)"
                    R"("prompt_tokens":10,"completion_tokens":{},"total_tokens":0}}}})",
                    text, claimed_tokens.value_or(static_cast<std::uint64_t>(tokens))));
  }

  io::Loop& loop_;
  http::Server server_;
};

struct Ask {
  std::string endpoint = {};
  int max_tokens = 10;
  Duration at{};
  Duration leave_after{};  // 0: stays.
  std::string path = "/v1/chat/completions";
  std::string key = "psk_ann";
  std::vector<http::Field> fields = {};
  std::string body = {};  // "": made of the above.
  bool stream = true;
};

struct Told {
  int status = 0;
  std::string body;
  std::map<std::string, std::string> headers;
  Duration first{};  // From its start to the answer's head.
  Duration end{};
  bool whole = false;
};

class World {
 public:
  World() : World(io::SimOptions{}) {}
  explicit World(const io::SimOptions& options)
      : loop(options),
        metrics("test"),
        one(loop, "unix:/one"),
        two(loop, "unix:/two"),
        gateway(loop, metrics, Control, [] { return true; }),
        server(loop, [this](http::Exchange& exchange) { return gateway.Handle(exchange); }) {
    gateway.SetUsageSink(&usage);
    SetKeys({"ann", "bob"});
    server.Serve(*loop.Listen(*io::Address::Parse("127.0.0.1:80"), {}));
  }

  // Keys "psk_NAME". Bob is an intern.
  void SetKeys(const std::vector<std::string>& names) {
    std::vector<policy::Key> keys;
    for (const std::string& name : names) {
      keys.push_back({.hash = policy::HashSecret("psk_" + name), .name = name});
      if (name == "bob") keys.back().groups = {"interns"};
    }
    gateway.SetKeys(std::make_shared<policy::KeyTable>(std::move(keys)));
  }

  // Endpoint `name` on engine one; what differs is set by the test before Publish().
  policy::EndpointRoute& Add(const std::string& name, const std::string& pool = "") {
    policy::EndpointRoute& route = routes.emplace_back();
    route.name = route.id = name;
    policy::ServedRoute& served = route.served.emplace_back();
    served.name = name + "-1";
    served.pool = pool;
    served.lane.weights.output = 1;
    served.replicas = {{.id = 1, .address = "unix:/one"}};
    return route;
  }
  void Publish() {
    policy::RoutingTable table;
    for (const auto& route : routes) table.Add(route);
    gateway.SetRoutes(pools.Apply(table, loop.Now()));
  }

  std::vector<Told> Run(std::vector<Ask> asks, Duration after = {}) {
    std::vector<Told> told(asks.size());
    io::RunBlocking(loop, RunAll(*this, asks, after, told));
    return told;
  }

  io::SimLoop loop;
  meter::Metrics metrics;
  Engine one;
  Engine two;
  RecordKeeper usage;
  PoolSet pools;
  Gateway gateway;
  http::Server server;
  std::deque<policy::EndpointRoute> routes;  // References to them hold.

 private:
  static io::Task<Result<ControlAnswer>> Control(ControlRequest) {
    co_return ControlAnswer{200, "{}"};
  }

  static io::Task<void> RunOne(World& world, const Ask& ask, Told& told) {
    const TimePoint start = world.loop.Now();
    http::Client client(world.loop);
    const auto origin = http::Origin::From(*http::Url::Parse("http://127.0.0.1:80/"));
    const std::string bearer = "Bearer " + ask.key;
    std::vector<http::Field> fields = ask.fields;
    fields.push_back({"authorization", bearer});
    const std::string body =
        !ask.body.empty()
            ? ask.body
            : fmt::format(
                  R"({{"model":"{}","stream":{},"max_tokens":{},"messages":[)"
                  R"({{"role":"user","content":"0123456789012345678901234567890123456789"}}]}})",
                  ask.endpoint, ask.stream, ask.max_tokens);
    const Deadline deadline = Deadline::After(start, std::chrono::hours(1));
    auto response = co_await client.Send(*origin,
                                         {.method = "POST",
                                          .target = ask.path,
                                          .content_type = "application/json",
                                          .body = body,
                                          .fields = fields},
                                         deadline);
    if (!response) co_return;
    told.status = (*response)->status();
    told.first = world.loop.Now() - start;
    for (const http::Field& field : (*response)->head().fields) {
      told.headers[std::string(field.name)] = field.value;
    }
    for (;;) {
      auto piece = co_await (*response)->Next(deadline);
      if (!piece) co_return;
      for (const std::string_view part : piece->payload) told.body += part;
      if (piece->ended) break;
    }
    told.whole = true;
    told.end = world.loop.Now() - start;
  }

  static io::Task<void> RunTimed(World& world, const Ask& ask, Told& told) {
    (void)co_await world.loop.Sleep(ask.at);
    if (ask.leave_after == Duration{}) {
      co_await RunOne(world, ask, told);
      co_return;
    }
    io::TaskScope scope(world.loop);
    scope.Spawn("client", RunOne(world, ask, told));
    (void)co_await world.loop.Sleep(ask.leave_after);
    scope.Stop();
    co_await scope.Join();
  }

  static io::Task<void> RunAll(World& world, const std::vector<Ask>& asks, Duration after,
                               std::vector<Told>& told) {
    io::TaskScope scope(world.loop);
    for (std::size_t i = 0; i < asks.size(); ++i) {
      scope.Spawn("ask", RunTimed(world, asks[i], told[i]));
    }
    co_await scope.Join();
    (void)co_await world.loop.Sleep(std::max<Duration>(after, std::chrono::seconds(1)));
    world.server.Stop();
    co_await world.server.Join();
    co_await world.one.Stop();
    co_await world.two.Stop();
  }
};

// What the pools of `world` hold once everything has ended.
inline void ExpectAllGivenBack(World& world) {
  world.pools.ForEachPool([&](const std::string& id, Pool& pool) {
    EXPECT_EQ(pool.CountsAt(world.loop.Now()).in_flight, 0u) << id;
    EXPECT_EQ(pool.CountsAt(world.loop.Now()).waiting, 0u) << id;
    EXPECT_NEAR(pool.Load().queued_cost, 0, 1e-6) << id;
  });
}

}  // namespace penstock::gateway
