// Client: HTTP/1.1 requests over pooled keep-alive connections, for relays and the load driver.
//
// One loop's thread. A client outlives its responses.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/ack_policy.h"
#include "http/buffer.h"
#include "http/chunked.h"
#include "http/connection_pool.h"
#include "http/head.h"
#include "http/limits.h"
#include "http/origin.h"
#include "io/loop.h"
#include "io/stream.h"
#include "io/task.h"

namespace penstock::http {

class Client;

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

class ClientResponse : public io::InFrames {
 public:
  // Before the end was read, this closes the connection: how an upstream is told to stop.
  ~ClientResponse();
  ClientResponse(const ClientResponse&) = delete;
  ClientResponse& operator=(const ClientResponse&) = delete;

  // Valid until ReleaseHead().
  const ResponseHead& head() const { return opening_ ? opening_->head : kNoHead; }
  int status() const { return status_; }
  // Frees the head's memory: for relays that stream for long. head() is empty after.
  void ReleaseHead();

  // Awaitable of Next(): Result<BodyPiece>. Has no coroutine frame.
  class [[nodiscard]] NextOp {
   public:
    NextOp(ClientResponse& response, Deadline deadline);
    bool await_ready() { return !read_ || read_->await_ready(); }
    template <typename Promise>
    auto await_suspend(std::coroutine_handle<Promise> handle) {
      return read_->await_suspend(handle);
    }
    Result<BodyPiece> await_resume();

   private:
    ClientResponse& response_;
    std::optional<io::ReadOp> read_;  // None where there is nothing to wait for.
  };

  // The next piece. After one with `ended`, further calls give empty ended pieces. Errors:
  // kUpstream (the server closed within the body, or its framing is wrong), kDeadline (may be
  // awaited again), kCancelled, kClosed.
  NextOp Next(Deadline deadline) { return NextOp(*this, deadline); }

  // The rest of the decoded body. Errors: as Next, and kTooLarge beyond `bytes_max`.
  io::Task<Result<std::string>> ReadAll(std::size_t bytes_max, Deadline deadline);

  // Tells the loop what the reader of this response touches with each piece, besides the response
  // itself, which is added. Borrowed until the response has ended, or until nullptr is set.
  void SetCompanions(io::Companions* companions);

  bool ended() const { return ended_; }
  // The pieces so far were whole chunks: a relay may end the message with a chunk of its own.
  bool between_chunks() const {
    return body_ == BodyKind::kChunked && !ended_ && chunked_.between_chunks();
  }
  // When the last piece arrived: the kernel's stamp with ClientOptions::receive_timestamps.
  TimePoint received_at() const { return received_at_; }
  // Reads that brought bytes so far, the head's included: events ÷ reads tells how far stamps can
  // be trusted.
  std::uint32_t reads() const { return reads_; }

  // For Client.
  ClientResponse(Client& client, std::size_t place, std::unique_ptr<io::Stream> stream);

 private:
  friend class Client;
  // Takes the head that HeadScanner found at the front of what came.
  Status TakeHead(std::size_t bytes, std::string_view method);
  Result<BodyPiece> Consume(std::string_view bytes);
  Result<BodyPiece> AtPeerEnd();
  bool has_early() const { return opening_ && opening_->early < opening_->bytes.size(); }
  // The message is complete: the connection goes back to the pool, or closes.
  void End(bool surplus);

  void NotePiece(std::size_t bytes);

  // What each piece touches comes first.
  Client& client_;
  std::unique_ptr<io::Stream> stream_;  // Null once the response has ended.
  std::size_t place_;                   // Where in the pool the connection goes afterwards.
  TimePoint received_at_{};
  ChunkedDecoder chunked_;
  std::uint64_t left_ = 0;  // Of a body of known length.
  std::uint32_t reads_ = 0;
  BodyKind body_ = BodyKind::kNone;
  AckPolicy acks_;
  bool ended_ = false;
  bool keep_alive_ = false;
  bool written_ = true;  // The whole request was sent.
  int status_ = 0;
  // The head, and what came with it.
  struct Opening : io::InFrames {
    Buffer bytes;
    std::size_t early = 0;  // Where in `bytes` unread body bytes start.
    bool released = false;  // Only what is unread is left.
    ResponseHead head;
  };
  std::unique_ptr<Opening> opening_ = std::make_unique<Opening>();  // Null once it is released.
  static const ResponseHead kNoHead;
};

struct ClientOptions {
  ClientLimits limits = {};
  std::string_view user_agent = {};  // "" leaves the field out. Outlives the client.
  bool receive_timestamps = false;   // received_at() from the kernel, where there is one.
  // Put off the acknowledgements of fast streams where the server does not wait for them. Who
  // measures servers does so on loopback only: elsewhere it would measure this.
  bool put_off_acks = false;
};

class Client {
 public:
  Client(io::Loop& loop, ClientOptions options = {});
  // REQUIRES: no response and no Send() is left.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // Sends `request`, head and body in one write, and completes when the final response's head is
  // there. `origin` and the request's views must hold until then; `report`, if given, too. The
  // deadline holds for this call alone. Errors: kUnavailable (no connection), kExhausted, kUpstream
  // (no or a wrong answer), kDeadline, kCancelled.
  io::Task<Result<std::unique_ptr<ClientResponse>>> Send(const Origin& origin, Request request,
                                                         Deadline deadline,
                                                         SendReport* report = nullptr);

  // Closes the idle connections, for example of an upstream that is being taken away.
  void CloseIdle() { pool_.CloseAll(); }
  std::size_t idle() const { return pool_.idle(); }
  std::uint64_t connects() const { return connects_; }  // Connections opened so far.

 private:
  friend class ClientResponse;

  // Out of line, so that Send()'s frame does not hold the frames of all its steps.
  [[gnu::noinline]] io::Task<Result<std::unique_ptr<io::Stream>>> Connect(const Origin& origin,
                                                                          Deadline deadline);
  // A connection, and where in the pool it goes afterwards.
  struct Way {
    std::size_t place;
    std::unique_ptr<io::Stream> stream;
  };
  // One attempt on a connection.
  [[gnu::noinline]] io::Task<Result<std::unique_ptr<ClientResponse>>> Exchange(
      const Origin& origin, const Request& request, Way way, Deadline deadline, SendReport& report);
  [[gnu::noinline]] io::Task<Status> ReadHead(ClientResponse& response, std::string_view method,
                                              Deadline deadline, SendReport& report);
  void AppendHead(const Origin& origin, const Request& request, std::string& to) const;

  io::Loop& loop_;
  ClientOptions options_;
  ConnectionPool pool_;
  std::vector<std::string_view> payload_;  // Of the last piece; shared, see BodyPiece.
  std::string out_;                        // Where a request's head is put together.
  std::uint64_t connects_ = 0;
};

}  // namespace penstock::http
