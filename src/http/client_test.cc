// The client: pooled connections, every kind of body, servers that misbehave.
#include "http/client.h"

#include <gtest/gtest.h>

#include <chrono>
#include <deque>
#include <string>

#include "http/http_testing.h"

namespace penstock::http {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Must;

// A server that says what a test wants: for each connection a list of turns. In each turn it waits
// for a whole request, then says its pieces; behind the last turn it closes.
struct Turn {
  std::vector<std::string> says;
  bool listens = true;  // False: closes without reading.
};
using Script = std::deque<std::vector<Turn>>;

class ScriptedServer {
 public:
  ScriptedServer(io::Loop& loop, Script script)
      : loop_(loop), script_(std::move(script)), scope_(loop) {
    auto listener = Must(loop.Listen({.host = "127.0.0.1", .port = 0}, {}));
    origin.address = listener->address();
    origin.host = "upstream";
    scope_.Spawn("accept", Accept(*this, std::move(listener)));
  }
  io::Task<void> Close() {
    scope_.Stop();
    co_await scope_.Join();
  }

  Origin origin;
  std::string heard;     // All requests.
  std::size_t gone = 0;  // Connections that the client closed before their last turn was over.
  std::size_t accepted = 0;

 private:
  static io::Task<void> Accept(ScriptedServer& server, std::unique_ptr<io::Listener> listener) {
    for (;;) {
      auto stream = co_await listener->Accept();
      if (!stream) co_return;
      ++server.accepted;
      if (server.script_.empty()) continue;
      auto turns = std::move(server.script_.front());
      server.script_.pop_front();
      server.scope_.Spawn("serve", Serve(server, *std::move(stream), std::move(turns)));
    }
  }
  static io::Task<void> Serve(ScriptedServer& server, std::unique_ptr<io::Stream> stream,
                              std::vector<Turn> turns) {
    std::string piece(4096, '\0');
    for (const Turn& turn : turns) {
      std::string request;
      while (turn.listens && request.find("\r\n\r\n") == std::string::npos) {
        const auto bytes = co_await stream->Read(piece, Deadline::Never());
        if (!bytes || *bytes == 0) {
          ++server.gone;
          co_return;
        }
        request.append(piece, 0, *bytes);
      }
      server.heard += request;
      for (const std::string& said : turn.says) {
        if (!co_await stream->Write(said, Deadline::Never())) {
          ++server.gone;
          co_return;
        }
        if (!co_await server.loop_.Sleep(milliseconds(10))) co_return;
      }
    }
  }

  io::Loop& loop_;
  Script script_;
  io::TaskScope scope_;
};

using Body = io::Task<void> (*)(io::Loop&, Client&, ScriptedServer&);

io::Task<void> RunWith(io::Loop& loop, Body body, Script script, ClientOptions options) {
  ScriptedServer server(loop, std::move(script));
  {
    Client client(loop, options);
    co_await body(loop, client, server);
  }
  co_await server.Close();
}

void Play(Body body, Script script, ClientOptions options = {}) {
  io::SimLoop loop;
  io::RunBlocking(loop, RunWith(loop, body, std::move(script), options));
}

// One GET and its whole body, or the error's message.
io::Task<std::string> Get(Client& client, const ScriptedServer& server,
                          SendReport* report = nullptr, Deadline deadline = Deadline::Never()) {
  auto response = co_await client.Send(server.origin, {.target = "/x"}, deadline, report);
  if (!response) co_return response.error().message;
  auto body = co_await (*response)->ReadAll(1000, deadline);
  co_return body ? *body : body.error().message;
}

TEST(Client, SendsHeadAndBodyOnce) {
  Play(
      [](io::Loop&, Client& client, ScriptedServer& server) -> io::Task<void> {
        const Field fields[] = {{"authorization", "Bearer k"}};
        auto response = Must(co_await client.Send(server.origin,
                                                  {.method = "POST",
                                                   .target = "/v1",
                                                   .content_type = "application/json",
                                                   .body = "{}",
                                                   .fields = fields},
                                                  Deadline::Never()));
        EXPECT_EQ(response->status(), 200);
        EXPECT_EQ(response->head().fields.Get("x-a"), "1");
        EXPECT_EQ(Must(co_await response->ReadAll(100, Deadline::Never())), "hello");
        EXPECT_TRUE(response->ended());
        EXPECT_EQ(response->head().fields.Get("x-a"), "1");
        response->ReleaseHead();
        EXPECT_TRUE(response->head().fields.empty());
        EXPECT_EQ(server.heard,
                  "POST /v1 HTTP/1.1\r\nhost: upstream\r\nuser-agent: test\r\n"
                  "content-type: application/json\r\ncontent-length: 2\r\n"
                  "authorization: Bearer k\r\n\r\n{}");
      },
      {{{.says = {"HTTP/1.1 200 OK\r\nx-a: 1\r\ncontent-length: 5\r\n\r\nhello"}}}},
      {.user_agent = "test"});
}

TEST(Client, ReadsEveryKindOfBody) {
  Play(
      [](io::Loop&, Client& client, ScriptedServer& server) -> io::Task<void> {
        EXPECT_EQ(co_await Get(client, server), "hello");      // Length.
        EXPECT_EQ(co_await Get(client, server), "hello you");  // Chunked.
        EXPECT_EQ(co_await Get(client, server), "");           // None.
        EXPECT_EQ(co_await Get(client, server), "to the end");
        EXPECT_EQ(client.connects(), 1u);
        EXPECT_EQ(client.idle(), 0u);  // A body that ends with its connection ends it.
      },
      {{{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel", "lo"}},
        {.says = {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "4\r\n yo",
                  "u\r\n0\r\n\r", "\n"}},
        {.says = {"HTTP/1.1 204 No Content\r\n\r\n"}},
        {.says = {"HTTP/1.1 200 OK\r\n\r\nto ", "the", " end"}}}});
}

// Pieces carry raw bytes and payload of exactly this message, however they are cut.
TEST(Client, GivesRawBytesAndPayloadSideBySide) {
  const std::string body = "5\r\nhello\r\n6\r\n world\r\n0\r\nt: 1\r\n\r\n";
  for (std::size_t cut = 0; cut < body.size(); ++cut) {
    Play(
        [](io::Loop&, Client& client, ScriptedServer& server) -> io::Task<void> {
          auto response =
              Must(co_await client.Send(server.origin, {.target = "/"}, Deadline::Never()));
          response->ReleaseHead();
          std::string raw;
          std::string payload;
          while (!response->ended()) {
            const BodyPiece piece = Must(co_await response->Next(Deadline::Never()));
            raw += piece.raw;
            for (const auto part : piece.payload) payload += part;
            EXPECT_EQ(piece.ended, response->ended());
          }
          EXPECT_EQ(raw, "5\r\nhello\r\n6\r\n world\r\n0\r\nt: 1\r\n\r\n");
          EXPECT_EQ(payload, "hello world");
          EXPECT_TRUE(Must(co_await response->Next(Deadline::Never())).ended);
          EXPECT_EQ(client.idle(), 1u);
        },
        {{{.says = {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + body.substr(0, cut),
                    body.substr(cut)}},
          {.says = {}}}});
  }
}

TEST(Client, StampsAndCountsReads) {
  Play(
      [](io::Loop& loop, Client& client, ScriptedServer& server) -> io::Task<void> {
        const TimePoint start = loop.Now();
        SendReport report;
        auto response =
            Must(co_await client.Send(server.origin, {.target = "/"}, Deadline::Never(), &report));
        EXPECT_GE(report.sent_at, start);
        EXPECT_LT(report.sent_at, response->received_at());
        EXPECT_TRUE(report.connected && report.sent && report.answered);
        EXPECT_FALSE(report.reused);
        EXPECT_EQ(response->reads(), 1u);
        const TimePoint first = response->received_at();
        static_cast<void>(Must(co_await response->Next(Deadline::Never())));
        EXPECT_EQ(response->reads(), 2u);
        EXPECT_GE(response->received_at() - first, milliseconds(5));
        EXPECT_LE(response->received_at(), loop.Now());
      },
      {{{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", "a", "b"}}}});
}

TEST(Client, SkipsInterimResponses) {
  Play(
      [](io::Loop&, Client& client, ScriptedServer& server) -> io::Task<void> {
        EXPECT_EQ(co_await Get(client, server), "hi");
        EXPECT_NE((co_await Get(client, server)).find("status 101"), std::string::npos);
        EXPECT_NE((co_await Get(client, server)).find("final one is missing"), std::string::npos);
      },
      {{{.says = {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTT",
                  "P/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"}},
        {.says = {"HTTP/1.1 101 Switching Protocols\r\n\r\n"}}},
       {{.says = {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
                  "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"}}}},
      {.limits = {.interim_responses_max = 2}});
}

TEST(Client, ReusesConnectionsAndSendsAgainWhereOneWasStale) {
  Play(
      [](io::Loop& loop, Client& client, ScriptedServer& server) -> io::Task<void> {
        SendReport report;
        EXPECT_EQ(co_await Get(client, server, &report), "1");
        EXPECT_FALSE(report.reused);
        EXPECT_EQ(co_await Get(client, server, &report), "2");
        EXPECT_TRUE(report.reused);
        // The server closes with the third request on its way: nobody notices but the report.
        EXPECT_EQ(co_await Get(client, server, &report), "3");
        EXPECT_FALSE(report.reused);
        EXPECT_EQ(client.connects(), 2u);
        // Here the close is known before the request is sent.
        Must(co_await loop.Sleep(seconds(1)));
        EXPECT_EQ(co_await Get(client, server, &report), "4");
        EXPECT_EQ(client.connects(), 3u);
      },
      {{{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n1"}},
        {.says = {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n2"}},
        {.says = {}}},
       {{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n3"}}},
       {{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n4"}}, {.says = {}}}});
}

TEST(Client, TellsHowFarAFailedRequestCame) {
  Play(
      [](io::Loop&, Client& client, ScriptedServer& server) -> io::Task<void> {
        SendReport report;
        EXPECT_EQ(co_await Get(client, server, &report),
                  "response: the server closed the connection without one");
        EXPECT_TRUE(report.connected && report.sent);
        EXPECT_FALSE(report.answered);
        EXPECT_EQ(co_await Get(client, server, &report),
                  "response: the server closed within the head");
        EXPECT_TRUE(report.answered);
        Origin nowhere = server.origin;
        nowhere.address.port = 1;
        const auto refused =
            co_await client.Send(nowhere, {.target = "/"}, Deadline::Never(), &report);
        EXPECT_EQ(refused.error().code, Code::kUnavailable);
        EXPECT_FALSE(report.connected || report.sent || report.answered);
      },
      {{{.says = {}}}, {{.says = {"HTTP/1.1 20"}}}});
}

TEST(Client, DoesNotTrustAConnectionThatSaysTooMuch) {
  Play(
      [](io::Loop&, Client& client, ScriptedServer& server) -> io::Task<void> {
        for (int i = 0; i < 4; ++i) {
          EXPECT_EQ(co_await Get(client, server), "a");
          EXPECT_EQ(client.idle(), 0u);
        }
        EXPECT_EQ(client.connects(), 4u);
      },
      {{{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\naHTTP/1.1 200 OK\r\n"}}},
       {{.says = {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\nx"}}},
       {{.says = {"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 1\r\n\r\na"}}},
       {{.says = {"HTTP/1.0 200 OK\r\ncontent-length: 1\r\n\r\na"}}}});
}

TEST(Client, FailsWhereTheServerDoes) {
  Play(
      [](io::Loop&, Client& client, ScriptedServer& server) -> io::Task<void> {
        for (const char* says :
             {"closed the connection within the body", "closed the connection within the body",
              "chunked body", "response content-length", "response head", "over the limit of 1000",
              "first byte", "longer than"}) {
          const std::string body = co_await Get(client, server);
          EXPECT_NE(body.find(says), std::string::npos) << body;
          EXPECT_EQ(client.idle(), 0u);
        }
      },
      {{{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhel"}}},
       {{.says = {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n"}}},
       {{.says = {"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz"}}},
       {{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\nhello"}}},
       {{.says = {"HTTP/1.1 200 OK\nx"}}},
       {{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 1002\r\n\r\n" + std::string(1001, 'x')}}},
       {{.says = {"\x15\x03\x01"}}},
       {{.says = {"HTTP/1.1 200 OK\r\nx: " + std::string(40'000, 'x')}}}});
}

TEST(Client, HoldsDeadlines) {
  Play(
      [](io::Loop& loop, Client& client, ScriptedServer& server) -> io::Task<void> {
        const TimePoint start = loop.Now();
        auto response =
            Must(co_await client.Send(server.origin, {.target = "/"}, Deadline::Never()));
        // A piece that is late may be waited for again.
        auto piece = co_await response->Next(Deadline::After(loop.Now(), milliseconds(1)));
        EXPECT_EQ(piece.error().code, Code::kDeadline);
        piece = co_await response->Next(Deadline::Never());
        EXPECT_TRUE(Must(std::move(piece)).ended);
        SendReport report;
        const auto late = co_await client.Send(server.origin, {.target = "/"},
                                               Deadline::After(loop.Now(), seconds(1)), &report);
        EXPECT_EQ(late.error().code, Code::kDeadline);
        EXPECT_TRUE(report.sent);
        EXPECT_LT(loop.Now() - start, seconds(2));
        EXPECT_EQ(client.idle(), 0u);
      },
      {{{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", "a"}},
        {.says = std::vector<std::string>(300)}}});
}

TEST(Client, ForgettingAResponseStopsTheServer) {
  Play(
      [](io::Loop& loop, Client& client, ScriptedServer& server) -> io::Task<void> {
        {
          auto response =
              Must(co_await client.Send(server.origin, {.target = "/"}, Deadline::Never()));
          static_cast<void>(Must(co_await response->Next(Deadline::Never())));
        }
        EXPECT_EQ(client.idle(), 0u);
        Must(co_await loop.Sleep(seconds(1)));
        EXPECT_EQ(server.gone, 1u);
      },
      {{{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n", "a", "b", "c", "d", "e"}}}});
}

TEST(Client, KeepsIdleConnectionsWithinLimits) {
  Play(
      [](io::Loop& loop, Client& client, ScriptedServer& server) -> io::Task<void> {
        std::vector<std::unique_ptr<ClientResponse>> responses;
        for (int i = 0; i < 3; ++i) {
          responses.push_back(
              Must(co_await client.Send(server.origin, {.target = "/"}, Deadline::Never())));
        }
        EXPECT_EQ(client.connects(), 3u);
        for (auto& response : responses) {
          EXPECT_EQ(Must(co_await response->ReadAll(10, Deadline::Never())), "a");
        }
        EXPECT_EQ(client.idle(), 2u);
        Must(co_await loop.Sleep(seconds(49)));
        EXPECT_EQ(client.idle(), 2u);
        Must(co_await loop.Sleep(seconds(2)));
        EXPECT_EQ(client.idle(), 0u);
        EXPECT_EQ(server.gone, 2u);
      },
      {{{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", "a"}}, {}},
       {{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", "a"}}, {}},
       {{.says = {"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n", "a"}}}},
      {.limits = {.idle_per_origin_max = 2}});
}

}  // namespace
}  // namespace penstock::http
