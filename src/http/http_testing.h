// For tests of http and of what stands on it: a server on a simulated loop, and a client that says
// exactly what a test wants it to say.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/server.h"
#include "io/loop.h"
#include "io/sim/sim_loop.h"
#include "io/task_scope.h"

namespace penstock::http::testing {

// A value that the test cannot go on without.
template <typename T>
T Must(Result<T> result) {
  if (!result) throw std::runtime_error(result.error().message);
  return std::move(*result);
}
inline void Must(Status status) {
  if (!status) throw std::runtime_error(status.error().message);
}

// A server that listens, for the length of a test's task.
struct Site {
  Site(io::Loop& loop, Handler handler, ServerLimits limits = {}, io::ListenOptions listen = {},
       io::Address where = {.host = "127.0.0.1", .port = 0})
      : server(loop, std::move(handler), limits) {
    auto listener = Must(loop.Listen(where, listen));
    address = listener->address();
    server.Serve(std::move(listener));
  }
  // Must be awaited before the site goes.
  io::Task<void> Close() {
    server.Stop();
    co_await server.Join();
  }

  Server server;
  io::Address address;
};

// What a talk was like.
struct Talk {
  std::vector<std::string> pieces;                // Sent in turn.
  Duration pause = std::chrono::milliseconds(1);  // Between two pieces: each comes by itself.
  bool half_close = true;                         // Ends the client's side behind the last piece.
  ServerLimits limits = {};
  io::SimOptions network = {};
  std::string end = {};  // Sent last, to end a conversation that would go on.
};

// How it ended.
struct Told {
  std::string answers;  // Everything that came back, without the date fields.
  std::map<std::string, std::uint64_t> refusals;  // Those that are not 0.
  std::uint64_t handler_failures = 0;
  Duration took{};
};

inline std::string WithoutDate(std::string text) {
  for (std::size_t at; (at = text.find("date: ")) != std::string::npos;) {
    text.erase(at, text.find("\r\n", at) + 2 - at);
  }
  return text;
}

inline io::Task<void> Send(io::Stream& stream, const Talk& talk, io::Loop& loop) {
  for (const std::string& piece : talk.pieces) {
    // The server may refuse and close before it has heard all.
    if (!co_await stream.Write(piece, Deadline::Never())) co_return;
    if (!co_await loop.Sleep(talk.pause)) co_return;
  }
  if (!talk.end.empty() && !co_await stream.Write(talk.end, Deadline::Never())) co_return;
  if (talk.half_close) stream.ShutdownWrite();
}

inline io::Task<void> RunTalk(io::Loop& loop, const Handler& handler, const Talk& talk,
                              Told& told) {
  Site site(loop, handler, talk.limits);
  const TimePoint start = loop.Now();
  {
    auto stream = Must(co_await loop.Connect(site.address, {}, Deadline::Never()));
    io::TaskScope sending(loop);
    sending.Spawn("send", Send(*stream, talk, loop));
    std::string piece(4096, '\0');
    for (;;) {
      const auto bytes = co_await stream->Read(piece, Deadline::Never());
      if (!bytes || *bytes == 0) break;
      told.answers.append(piece, 0, *bytes);
    }
    sending.Stop();
    co_await sending.Join();
  }
  told.took = loop.Now() - start;
  co_await site.Close();
  const ServerCounters& counters = site.server.counters();
  for (std::size_t i = 0; i < kRefusals; ++i) {
    if (const auto count = counters.refusals[i].value(); count > 0) {
      told.refusals[std::string(ToString(static_cast<Refusal>(i)))] = count;
    }
  }
  told.handler_failures = counters.handler_failures.value();
  EXPECT_EQ(counters.connections_open.value(), 0u);
  EXPECT_EQ(counters.connections_idle.value(), 0u);
  told.answers = WithoutDate(std::move(told.answers));
}

// One connection to a server with `handler`; returns when the server has closed it.
inline Told Converse(const Handler& handler, const Talk& talk) {
  io::SimLoop loop(talk.network);
  Told told;
  io::RunBlocking(loop, RunTalk(loop, handler, talk, told));
  return told;
}

inline std::string Ask(const Handler& handler, std::string request) {
  return Converse(handler, {.pieces = {std::move(request)}}).answers;
}

// Answers with method, path and body.
inline io::Task<void> Echo(Exchange& exchange) {
  const auto body = co_await exchange.ReadBody();
  if (!body) {
    static_cast<void>(co_await exchange.RespondError(body.error()));
    co_return;
  }
  std::string text(exchange.head().method);
  text.append(" ").append(exchange.head().path).append(" ").append(*body);
  static_cast<void>(co_await exchange.Respond(200, "text/plain", text));
}

}  // namespace penstock::http::testing
