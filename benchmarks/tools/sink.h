// Sink: a plain epoll client that keeps many connections busy and counts what comes back.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "poller.h"

namespace measure {

struct SinkOptions {
  std::uint16_t port = 0;
  int connections = 1;
  std::string path = "/v1/chat/completions";
  std::string key = {};  // Bearer token; empty sends no Authorization header.
  bool keep_responses = false;
  // Body of the next request of a connection (0 to connections - 1); none: it has sent its last.
  std::function<std::optional<std::string>(int connection)> next_body = {};
  // Such a connection is not done, but idle, until Resume() finds it.
  bool idles = false;
  // Events arrived on a running stream. May be empty.
  std::function<void(int connection, int events)> on_events = {};
  // A whole response with status 200 arrived; its text is kept with keep_responses. May be empty.
  std::function<void(int connection, const std::string& body)> on_response = {};
};

// Running totals since the start.
struct SinkTotals {
  long events = 0;
  long reads = 0;  // recv calls that brought bytes.
  long responses = 0;
  long failures = 0;  // Connections lost, and responses whose status is not 200.
};

class Sink {
 public:
  Sink(Poller& poller, SinkOptions options);
  ~Sink();

  // Opens more connections, a few at a time so that no accept queue overflows. Call it after each
  // Poll().
  void OpenMore();

  // Asks for the next body of the connection that has idled longest; false: none idles.
  bool Resume();

  bool all_started() const;   // Every connection has got its first bytes.
  bool all_finished() const;  // Every connection has got its last response, or is lost.
  const SinkTotals& totals() const { return totals_; }
  const std::string& first_failure() const { return first_failure_; }  // For the user to read.

 private:
  class Connection;
  void Fail(const std::string& why);

  Poller& poller_;
  const SinkOptions options_;
  std::vector<std::unique_ptr<Connection>> connections_;
  int started_ = 0;
  int finished_ = 0;
  std::deque<int> idle_;
  SinkTotals totals_;
  std::string first_failure_;
};

}  // namespace measure
