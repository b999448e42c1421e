// Exchange: one request and its answer, as a handler sees them.
//
// Everything on the loop's thread, within the handler's run. An exchange answers in one of three
// ways: at once (Respond), as a stream that it frames itself (StartStream, WriteChunk, Finish), or
// with bytes framed by somebody else (StartRaw, WriteRaw, FinishRaw). A head is held back until
// there is something to send with it; until then (head_sent() is false) another answer may replace
// it. A handler that returns without any answer answers 500; one that returns within a stream cuts
// the connection, so that the client sees that the answer is not whole.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "http/field_list.h"
#include "http/head.h"
#include "io/stream.h"
#include "io/task.h"

namespace penstock::http {

class Connection;
class Exchange;

// Awaitable of everything that sends: Status. Await it at once, in the expression that makes it;
// what it was given may go as soon as the await has suspended. Has no coroutine frame. Errors:
// kClosed, kDeadline (limits.write_stall_max), kCancelled; after one the connection is cut.
class [[nodiscard]] SendOp {
 public:
  // Gives the kernel what it takes, before the await: for a caller with something to do in between.
  void Start() {
    if (!skipped_) write_.Start();
  }
  bool await_ready() { return skipped_ || write_.await_ready(); }
  // After Start(), where it is not ready: what is left, for Exchange::SendRest(). Lets go of the
  // operation, which is large for somebody who seldom has to wait.
  io::Unsent TakeUnsent();
  template <typename Promise>
  auto await_suspend(std::coroutine_handle<Promise> handle) {
    return write_.await_suspend(handle);
  }
  Status await_resume();

 private:
  friend class Exchange;
  struct Skip {};
  SendOp(Exchange& exchange, std::string_view head, std::string_view body);
  SendOp(Exchange& exchange, Skip);

  Exchange& exchange_;
  std::size_t bytes_;
  bool skipped_;
  io::WriteOp write_;
};

class Exchange {
 public:
  explicit Exchange(Connection& connection) : connection_(connection) {}
  Exchange(const Exchange&) = delete;
  Exchange& operator=(const Exchange&) = delete;

  // ---- The request.

  // Valid until ReleaseRequest().
  const RequestHead& head() const { return head_ ? *head_ : kNoHead; }
  io::Address peer() const;
  // When the request's first bytes arrived (for a pipelined one: when its turn came).
  TimePoint arrived_at() const { return arrived_at_; }

  // The whole decoded body, with 64 readable bytes behind it; "" if there is none. Sends "100
  // Continue" first where the client waits for it. Valid until ReleaseRequest(). `bytes_max` below
  // the server's own limit tightens it (0: the server's). Errors: kTooLarge, kRequestTimeout (too
  // slow), kInvalidArgument (chunked coding), kClosed, kCancelled. After an error the exchange may
  // still be answered; then the connection closes. May be called again: gives the same body.
  io::Task<Result<std::string_view>> ReadBody(std::size_t bytes_max = 0);

  // Frees the memory of head and body: for handlers that stream for long. head() is empty after.
  void ReleaseRequest();

  // From now on a client that closes its connection (or its sending side) cancels this task: every
  // await of the handler answers kCancelled. For handlers whose work has no worth without a client.
  // Ends with the exchange.
  void CancelWhenPeerGone();

  // Cancels this handler's task from outside of it, likewise: for whoever takes back the right to
  // an answer. Where it ends its answer all the same, the connection goes on.
  void CancelHandler();
  // While it lives, awaits of the handler ignore that: for its last words.
  io::Shield ShieldHandler();

  // Goes on with `rest` once the handler has returned: for one that streams for long, so that the
  // frames of what came before are gone meanwhile. In its place as to everything else.
  void GoOnWith(io::Task<void> rest) { rest_ = std::move(rest); }

  // Adds what sending a piece of the answer touches.
  void AddCompanions(io::Companions& companions) const;

  // ---- An answer at once: head and body in one write.

  // `content_type` "" leaves the field out. For HEAD only the head is sent; for 204 and 304 no
  // body.
  SendOp Respond(int status, std::string_view content_type, std::string_view body,
                 FieldList fields = {});
  // The status of error.code and OpenAI's error body.
  SendOp RespondError(const Error& error, FieldList fields = {});

  // ---- An answer as a stream. HTTP/1.0 clients get it unframed, ended by closing.

  // Prepares the head; it goes out with the first chunk, or with Finish().
  void StartStream(int status, std::string_view content_type, FieldList fields = {});
  // Sends one chunk, in one write. Empty `data` only sends the head, if it is still held back.
  SendOp WriteChunk(std::string_view data);
  // Sends `data`, if any, as the last chunk, and the end, in one write.
  SendOp Finish(std::string_view data = {});

  // ---- An answer framed by somebody else, relayed verbatim.

  struct Raw {
    int status = 200;
    std::string_view content_type;
    BodyKind body = BodyKind::kChunked;  // How the pieces are framed. kUntilClose closes after it.
    std::uint64_t content_length = 0;    // For kLength.
  };
  // False for HTTP/1.0 clients, which do not know the chunked coding: use StartStream.
  bool CanRelayChunked() const { return minor_version_ >= 1; }
  // Prepares the head; it goes out with the first piece, or with FinishRaw().
  void StartRaw(const Raw& raw, FieldList fields = {});
  // Sends a piece as it is, in one write.
  SendOp WriteRaw(std::string_view piece);
  // Says that the pieces made a whole message, so the connection may go on; sends `piece`, if any.
  SendOp FinishRaw(std::string_view piece = {});
  // Sends what SendOp::TakeUnsent() gave, as it is.
  SendOp SendRest(std::string_view rest);
  // Ends a stream of either kind with `data` as its last chunk. REQUIRES: the raw pieces so far, if
  // any, were whole chunks.
  SendOp FinishEither(std::string_view data);

  // True once anything of the answer was given to the network: it cannot be replaced any more.
  bool head_sent() const { return head_sent_; }
  // True once the answer is complete.
  bool finished() const { return state_ == State::kFinished; }
  // The answer's status; 0 before there is one.
  int status() const { return status_; }

 private:
  friend class Connection;
  friend class SendOp;
  enum class State : std::uint8_t { kUnanswered, kStream, kRaw, kFinished };
  struct Start {
    int status;
    std::string_view content_type;
    BodyKind body;
    std::uint64_t content_length;
  };

  bool MayStart();
  void AppendHead(const Start& start, const FieldList& fields, std::string& to);
  void HoldHead(State state, const Start& start, const FieldList& fields);
  std::string& TakeHeld();
  SendOp Send(std::string_view head, std::string_view body);
  SendOp SendFramed(std::string_view data, bool last);
  SendOp SendRaw(std::string_view piece, bool last);
  void Reset(TimePoint arrived_at);

  static const RequestHead kNoHead;

  // Puts what GoOnWith() was given in the place of `work`, which ends. False: there is nothing.
  bool TakeRest(io::Task<void>& work);

  Connection& connection_;
  io::Task<void> rest_;
  std::unique_ptr<RequestHead> head_;  // Kept from request to request; null once it was released.
  std::string held_;                   // An answer's head that waits for the first piece.
  TimePoint arrived_at_{};
  int status_ = 0;
  int minor_version_ = 1;
  State state_ = State::kUnanswered;
  bool head_only_ = false;  // The answer may have no body: HEAD.
  bool chunked_ = false;    // A stream is framed in chunks.
  bool head_sent_ = false;
  bool closes_ = false;  // The head said, or means, that the connection closes after it.
  bool broken_ = false;  // A send failed: the connection is cut.
  bool late_ = false;    // It failed because the handler began a second answer.
};

}  // namespace penstock::http
