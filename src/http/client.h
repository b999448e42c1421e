// Client: HTTP/1.1 requests over pooled keep-alive connections, for relays and the load driver.
//
// One loop's thread. A client outlives its responses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/buffer.h"
#include "http/chunked.h"
#include "http/field_list.h"
#include "http/head.h"
#include "http/limits.h"
#include "http/url.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/task.h"
#include "io/timer_wheel.h"

namespace penstock::http {

class Client;

// A server, as connections to it are pooled.
struct Origin {
  io::Address address;
  io::ConnectOptions connect;  // TLS, if any.
  std::string host;            // The host field.

  // From a URL whose host is numeric, "localhost" or a Unix socket (other names: resolve first,
  // with io::ResolveBlocking off the loop). `connect.tls` stays for the caller to set, for kHttps
  // too.
  static Result<Origin> From(const Url& url);
};

// What to send. All views are the caller's and must hold until Send() has returned. host,
// content-type, content-length and connection are added by the client; do not pass them in
// `fields`.
struct Request {
  std::string_view method = "GET";
  std::string_view target = "/";
  std::string_view content_type = {};  // "" leaves the field out.
  std::string_view body = {};          // Sent with content-length; none for GET and HEAD if empty.
  std::span<const Field> fields = {};
  // Where a kept connection turns out dead before any byte of an answer, send once more on a fresh
  // one. The server closed it between two requests; that it ran the first one is nearly impossible.
  bool retry_stale = true;
};

// How far a Send() came, whether or not it failed: what fail-over and the load test ask.
struct SendReport {
  bool connected = false;  // A connection was there.
  bool sent = false;       // Some of the request may have reached the server.
  bool answered = false;   // Some bytes of an answer came back.
  bool reused = false;     // The (last) connection came from the pool.
  TimePoint sent_at{};     // Just before the (last) write.
};

// A piece of a response's body: what one read brought. The views hold until the awaiting task next
// suspends; 64 readable bytes lie behind `raw`, hence behind each piece of `payload`.
struct BodyPiece {
  std::string_view raw;                       // With framing, for relaying verbatim.
  std::span<const std::string_view> payload;  // Decoded; may be empty though raw is not.
  bool ended = false;                         // The message is complete with this piece.
};

class ClientResponse {
 public:
  // Before the end was read, this closes the connection: how an upstream is told to stop.
  ~ClientResponse();
  ClientResponse(const ClientResponse&) = delete;
  ClientResponse& operator=(const ClientResponse&) = delete;

  // Valid until ReleaseHead().
  const ResponseHead& head() const { return head_; }
  int status() const { return status_; }
  // Frees the head's memory: for relays that stream for long. head() is empty after.
  void ReleaseHead();

  // Awaitable of Next(): Result<BodyPiece>. Has no coroutine frame.
  class [[nodiscard]] NextOp {
   public:
    NextOp(ClientResponse& response, Deadline deadline);
    bool await_ready() { return ready_ || read_.await_ready(); }
    template <typename Promise>
    auto await_suspend(std::coroutine_handle<Promise> handle) {
      return read_.await_suspend(handle);
    }
    Result<BodyPiece> await_resume();

   private:
    ClientResponse& response_;
    bool ready_;  // Nothing to wait for: bytes that came with the head, or the end.
    io::ReadOp read_;
  };

  // The next piece. After one with `ended`, further calls give empty ended pieces. Errors:
  // kUpstream (the server closed within the body, or its framing is wrong), kDeadline (may be
  // awaited again), kCancelled, kClosed.
  NextOp Next(Deadline deadline) { return NextOp(*this, deadline); }

  // The rest of the decoded body. Errors: as Next, and kTooLarge beyond `bytes_max`.
  io::Task<Result<std::string>> ReadAll(std::size_t bytes_max, Deadline deadline);

  bool ended() const { return ended_; }
  // When the last piece arrived: the kernel's stamp with ClientOptions::receive_timestamps.
  TimePoint received_at() const { return received_at_; }
  // Reads that brought bytes so far, the head's included: events ÷ reads tells how far stamps can
  // be trusted.
  std::uint32_t reads() const { return reads_; }

 private:
  friend class Client;
  ClientResponse(Client& client, const Origin& origin, std::unique_ptr<io::Stream> stream);
  Result<BodyPiece> Consume(std::string_view bytes);
  Result<BodyPiece> AtEnd();
  Status Decode(std::string_view bytes, std::size_t& taken);
  void End(bool surplus);

  Client& client_;
  std::size_t pool_;                    // Which of the client's pools takes the connection back.
  std::unique_ptr<io::Stream> stream_;  // Null once the response has ended.
  Buffer buffer_;                       // The head, and what came with it.
  std::size_t early_ = 0;  // Where in buffer_ body bytes start that came with the head.
  ResponseHead head_;
  ChunkedDecoder chunked_;
  std::uint64_t left_ = 0;  // Of a body of known length.
  TimePoint received_at_{};
  std::uint32_t reads_ = 0;
  int status_ = 0;
  BodyKind body_ = BodyKind::kNone;
  bool keep_alive_ = false;
  bool ended_ = false;
};

struct ClientOptions {
  ClientLimits limits;
  Duration connect_wait_max = std::chrono::seconds(5);  // The request's deadline holds too.
  std::string_view user_agent = {};  // "" leaves the field out. Outlives the client.
  bool receive_timestamps = false;   // received_at() from the kernel, where there is one.
};

class Client : private io::Timer {
 public:
  Client(io::Loop& loop, ClientOptions options = {});
  // REQUIRES: no response and no Send() is left.
  ~Client() override;

  // Sends `request`, head and body in one write, and completes when the final response's head is
  // there. `origin` and the request's views must hold until then; `report`, if given, too. The
  // deadline holds for this call alone. Errors: kUnavailable (no connection), kExhausted, kUpstream
  // (no or a wrong answer), kDeadline, kCancelled.
  io::Task<Result<std::unique_ptr<ClientResponse>>> Send(const Origin& origin, Request request,
                                                         Deadline deadline,
                                                         SendReport* report = nullptr);

  // Closes the idle connections, for example of an upstream that is being taken away.
  void CloseIdle();
  std::size_t idle() const { return idle_; }
  std::uint64_t connects() const { return connects_; }  // Connections opened so far.

 private:
  friend class ClientResponse;
  struct Idle {
    std::unique_ptr<io::Stream> stream;
    TimePoint since;
  };
  struct Pool {
    io::Address address;
    std::shared_ptr<const io::TlsContext> tls;
    std::string tls_server_name;
    std::vector<Idle> idle;  // Newest last.
  };

  std::size_t PoolOf(const Origin& origin);
  std::unique_ptr<io::Stream> TakeIdle(std::size_t pool);
  void Keep(std::size_t pool, std::unique_ptr<io::Stream> stream);
  void OnTimer(TimePoint now) override;
  void AppendHead(const Origin& origin, const Request& request, std::string& to) const;
  io::Task<Status> ReadHead(ClientResponse& response, std::string_view method, Deadline deadline,
                            SendReport& report);

  io::Loop& loop_;
  ClientOptions options_;
  std::vector<std::unique_ptr<Pool>> pools_;
  std::unordered_map<std::string, std::size_t> pool_by_name_;
  std::vector<std::string_view> payload_;  // Of the last piece; shared, see BodyPiece.
  std::string out_;                        // Where a request's head is put together.
  std::size_t idle_ = 0;
  std::uint64_t connects_ = 0;
};

}  // namespace penstock::http
