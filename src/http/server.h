// Server: accepts connections on one loop and runs a handler for each of their requests.
//
// All calls on the loop's thread, except reading counters. A server on several threads is several
// Servers, each with its own loop and listener (SO_REUSEPORT).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "http/exchange.h"
#include "http/limits.h"
#include "io/loop.h"
#include "io/task_scope.h"

namespace penstock::http {

// A number that one thread changes and any thread reads.
class Counter {
 public:
  void Add(std::uint64_t more) { value_.store(value() + more, std::memory_order_relaxed); }
  void Subtract(std::uint64_t less) { value_.store(value() - less, std::memory_order_relaxed); }
  std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_ = 0;
};

// Why the server itself refused or cut a peer: one counter each.
enum class Refusal : std::uint8_t {
  kMalformed,     // A head that is not HTTP/1.x, or ambiguous.
  kHeadTooLarge,  // Bytes, fields or target.
  kBodyTooLarge,
  kBodyMalformed,   // Chunked coding.
  kHeadWait,        // A head came too slowly.
  kBodyWait,        // A body came too slowly.
  kWriteStall,      // The peer does not read.
  kConnections,     // Too many connections.
  kPipelinedBytes,  // Too much before its turn.
};
inline constexpr std::size_t kRefusals = 9;
std::string_view ToString(Refusal refusal);  // "malformed", "head_too_large", ... for metrics.

struct ServerCounters {
  Counter connections_total;
  Counter connections_open;
  Counter connections_idle;          // Open, between two requests.
  std::array<Counter, 6> responses;  // By the status's first digit; [0] unused.
  Counter received_bytes;
  Counter sent_bytes;
  Counter handler_failures;  // Exceptions that left a handler, and exchanges left unanswered.
  std::array<Counter, kRefusals> refusals;
};

// Answers one request. Called once per request, in the order of the connection; an exception that
// leaves it is caught: 500 if nothing was sent, else the connection is cut. A lambda here must not
// be a coroutine itself: it calls a named one.
using Handler = std::function<io::Task<void>(Exchange&)>;

class Server {
 public:
  Server(io::Loop& loop, Handler handler, ServerLimits limits = {});
  // REQUIRES: Drain() or Join() has completed.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Accepts from `listener` from now on. May be called for several listeners.
  void Serve(std::unique_ptr<io::Listener> listener);

  // Stops accepting, closes idle connections at once, lets running exchanges finish (told
  // "connection: close"), cuts those that run at `deadline`, and completes when none is left.
  // Returns how many were cut.
  io::Task<std::size_t> Drain(Deadline deadline);

  // Stops accepting and asks everything to end now.
  void Stop();
  // Completes when no connection and no accept loop is left. Stop() is not implied.
  io::Task<void> Join();

  bool draining() const { return draining_; }
  const ServerCounters& counters() const { return counters_; }
  const ServerLimits& limits() const { return limits_; }
  io::Loop& loop() const { return loop_; }

 private:
  friend class Connection;
  friend class Exchange;
  friend class SendOp;

  static io::Task<void> Accept(Server& server, std::unique_ptr<io::Listener> listener);
  static io::Task<void> Refuse(Server& server, std::unique_ptr<io::Stream> stream);
  void Opened();
  void Closed();
  void CloseIdle();
  // Where an answer is put together, empty.
  std::string& Out();
  void Count(Refusal refusal) { counters_.refusals[static_cast<std::size_t>(refusal)].Add(1); }
  // The value of the date field, renewed each second.
  std::string_view Date();

  io::Loop& loop_;
  Handler handler_;
  ServerLimits limits_;
  ServerCounters counters_;
  std::string out_;  // Where answers are put together; shared, since writes copy what is unsent.
  std::string error_body_;
  std::vector<std::string_view> pieces_;  // Of a chunked body, while one read's bytes are decoded.
  std::string date_;
  std::int64_t date_second_ = -1;
  TimePoint date_looked_at_{};
  Connection* first_ = nullptr;  // All open connections; they live in their tasks' frames.
  bool draining_ = false;
  io::TaskScope accepting_;
  io::TaskScope connections_;
};

}  // namespace penstock::http
