// One client's connection to the Source: requests in, at most one response at a time out.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "http_message.h"
#include "poller.h"
#include "socket.h"
#include "source.h"

namespace measure {

// One streamed response: what is left of it, and what truly happened when.
struct Stream {
  bool running = false;
  int number = -1;           // The client's, from the request; -1 if it gave none.
  std::uint64_t serial = 0;  // The source's own, from 1.
  bool with_usage = false;
  long prompt_tokens = 0;
  long tokens_left = 0;
  long tokens_sent = 0;
  std::string request_id = {};
  Nanoseconds arrived_at{};      // The kernel received the end of the request.
  Nanoseconds first_token_at{};  // Just before the write that holds it.
  Nanoseconds last_token_at{};
  bool keep_times = false;
  // Just before and just after each write, where kept: over loopback, the peer's kernel has
  // received it in between.
  std::vector<Nanoseconds> written_at = {};
  std::vector<Nanoseconds> returned_at = {};
};

class Source::Connection final : public Readiness {
 public:
  explicit Connection(Poller& poller) : poller_(poller) {}

  void Open(Socket socket);
  void OnReady(std::uint32_t events) override;

  // Sends now what the socket takes and keeps the rest until it takes more. Gives the moment just
  // before the write.
  Nanoseconds Send(std::string_view bytes);

  // Sends `events` tokens and, after the last one, the end. Returns whether the stream goes on.
  bool SendTokens(std::string_view bytes, int events);
  void FinishStream();

  bool blocked() const { return !unsent_.empty(); }
  Nanoseconds arrived_at() const { return arrived_at_; }

  Stream stream;
  std::function<void(const Request&)> on_request;
  std::function<void()> on_stream_end;  // Finished, or cut off by the client.
  std::function<void()> on_close;

 private:
  void Close();
  void Flush();
  bool Receive();

  Poller& poller_;
  Socket socket_;
  std::string input_;
  std::string unsent_;
  Nanoseconds arrived_at_{};
};

}  // namespace measure
