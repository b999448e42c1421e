// Accepting, draining, and what all connections of a server share.
#include "http/server.h"

#include <utility>

#include "base/log.h"
#include "http/connection.h"
#include "http/date.h"
#include "http/error_answer.h"

namespace penstock::http {

namespace {
// Answers longer than this do not keep their memory.
constexpr std::size_t kKeptOut = 256 * 1024;
// So many clients at once are told why they are refused; more are only cut.
constexpr std::size_t kRefusingMax = 256;

// Ends the connections that a drain did not wait for.
class Cutter final : public io::Timer {
 public:
  explicit Cutter(io::TaskScope& connections) : connections_(connections) {}
  std::size_t cut() const { return cut_; }

 private:
  void OnTimer(TimePoint) override {
    cut_ = connections_.size();
    connections_.Stop();
  }

  io::TaskScope& connections_;
  std::size_t cut_ = 0;
};
}  // namespace

std::string_view ToString(Refusal refusal) {
  switch (refusal) {
    case Refusal::kMalformed:
      return "malformed";
    case Refusal::kHeadTooLarge:
      return "head_too_large";
    case Refusal::kBodyTooLarge:
      return "body_too_large";
    case Refusal::kBodyMalformed:
      return "body_malformed";
    case Refusal::kHeadWait:
      return "head_wait";
    case Refusal::kBodyWait:
      return "body_wait";
    case Refusal::kWriteStall:
      return "write_stall";
    case Refusal::kConnections:
      return "connections";
    case Refusal::kPipelinedBytes:
      return "pipelined_bytes";
  }
  return "";
}

Server::Server(io::Loop& loop, Handler handler, ServerLimits limits)
    : loop_(loop),
      handler_(std::move(handler)),
      limits_(limits),
      accepting_(loop),
      connections_(loop) {}

Server::~Server() = default;

void Server::Serve(std::unique_ptr<io::Listener> listener) {
  accepting_.Spawn("accept", Accept(*this, std::move(listener)));
}

io::Task<void> Server::Accept(Server& server, std::unique_ptr<io::Listener> listener) {
  for (;;) {
    auto stream = co_await listener->Accept();
    if (!stream) {
      if (stream.error().code != Code::kCancelled) {
        Log().error("http: accepting on {} ended: {}", listener->address().ToString(),
                    stream.error().message);
      }
      co_return;
    }
    if (server.connections_.size() < server.limits_.connections_max) {
      server.connections_.Spawn("connection", Connection::Run(server, *std::move(stream)));
      continue;
    }
    server.Count(Refusal::kConnections);
    if (server.accepting_.size() < kRefusingMax) {
      server.accepting_.Spawn("refuse", Refuse(server, *std::move(stream)));
    }
  }
}

// One connection too many: told so, and closed.
io::Task<void> Server::Refuse(Server& server, std::unique_ptr<io::Stream> stream) {
  std::string body;
  AppendErrorBody({Code::kUnavailable,
                   "connections: the limit of " + std::to_string(server.limits_.connections_max) +
                       " is reached",
                   {}},
                  body);
  const std::string head =
      "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\n"
      "connection: close\r\nretry-after: 1\r\ncontent-length: " +
      std::to_string(body.size()) + "\r\n\r\n";
  const Deadline deadline = Deadline::After(server.loop_.Now(), server.limits_.linger_max);
  const auto told = co_await stream->Write(head, body, deadline);
  if (!told) co_return;
  server.counters_.responses[5].Add(1);
  stream->ShutdownWrite();
  // What it sends meanwhile is read, since closing with unread bytes would reset the answer away.
  for (;;) {
    const auto bytes = co_await stream->Read(server.loop_.scratch(), deadline);
    if (!bytes || *bytes == 0 || deadline.Passed(server.loop_.Now())) co_return;
  }
}

void Server::Opened() {
  counters_.connections_total.Add(1);
  counters_.connections_open.Add(1);
}

void Server::Closed() { counters_.connections_open.Subtract(1); }

void Server::CloseIdle() {
  for (Connection* at = first_; at != nullptr; at = at->next()) {
    if (at->idle()) at->task().Cancel();
  }
}

io::Task<std::size_t> Server::Drain(Deadline deadline) {
  draining_ = true;
  accepting_.Stop();
  co_await accepting_.Join();
  CloseIdle();
  Cutter cutter(connections_);
  if (!deadline.IsNever()) loop_.wheel().Arm(cutter, deadline.at());
  co_await connections_.Join();
  connections_.Stop();
  co_return cutter.cut();
}

void Server::Stop() {
  draining_ = true;
  accepting_.Stop();
  connections_.Stop();
}

io::Task<void> Server::Join() {
  co_await accepting_.Join();
  co_await connections_.Join();
}

std::string& Server::Out() {
  if (out_.capacity() > kKeptOut) std::string().swap(out_);
  out_.clear();
  return out_;
}

std::string_view Server::Date() {
  // The clock is read once a turn of the loop.
  if (std::exchange(date_looked_at_, loop_.RecentNow()) == loop_.RecentNow() && !date_.empty()) {
    return date_;
  }
  const WallTime now = loop_.WallNow();
  const auto second = std::chrono::floor<std::chrono::seconds>(now);
  if (second.time_since_epoch().count() != date_second_) {
    date_second_ = second.time_since_epoch().count();
    date_ = HttpDate(second);
  }
  return date_;
}

}  // namespace penstock::http
