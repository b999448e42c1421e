// Connection: one accepted connection: reads heads and bodies in turn, runs the handler, decides
// whether to go on. Internal to http.
//
// Memory: one buffer holds a request's head, its body where it fits the first read, and whatever
// came behind them; a longer body has a buffer of its own. Reads go to the loop's scratch buffer.
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "http/buffer.h"
#include "http/chunked.h"
#include "http/exchange.h"
#include "http/head_scanner.h"
#include "http/server.h"
#include "io/stream.h"
#include "io/task.h"

namespace penstock::http {

class Connection {
 public:
  // The task of a connection, from its acceptance to its end.
  static io::Task<void> Run(Server& server, std::unique_ptr<io::Stream> stream);

  Connection(Server& server, std::unique_ptr<io::Stream> stream, io::TaskState& task);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Waiting for a request of which nothing has come.
  bool idle() const { return idle_; }
  io::TaskState& task() { return task_; }
  Connection* next() const { return next_; }

 private:
  friend class Exchange;
  friend class SendOp;

  // Out of line, as what follows: Run's frame lives as long as the connection.
  [[gnu::noinline]] io::Task<bool> NextHead();
  // Looks for a head in what is there: false where more must come.
  Result<bool> TryHead();
  // Takes what a read brought, then TryHead().
  Result<bool> TakeHeadBytes(Result<std::size_t> bytes);
  Status BeginRequest(std::size_t head_bytes);
  Deadline HeadDeadline();
  bool Unanswered() const;
  [[gnu::noinline]] io::Task<void> AnswerFailure(std::exception_ptr failure);
  enum class Next : std::uint8_t { kRequest, kDrainBody, kLinger, kRefuse, kClose };
  Next Settle();
  [[gnu::noinline]] io::Task<bool> GoOn(Next next);
  Error TooEarly() const;  // What kRefuse tells the client.
  void PrepareNext();
  void SetIdle(bool idle);
  // Answers what the server itself refuses. Errors without an answer close the connection.
  [[gnu::noinline]] io::Task<void> Refuse(Error error);
  // Ends our side, then lets the peer read what we said before everything is torn down.
  [[gnu::noinline]] io::Task<void> Linger();

  // ---- The request's body; see connection_body.cc.
  io::Task<Result<std::string_view>> ReadBody(std::size_t bytes_max);
  // Out of line: most bodies come with their heads, and should not pay for the frames of these.
  [[gnu::noinline]] io::Task<Status> ReadLengthBody();
  [[gnu::noinline]] io::Task<Status> ReadChunkedBody(std::size_t bytes_max);
  [[gnu::noinline]] io::Task<Status> SayContinue();
  // Whether any body may be read, and at most how long it is.
  Result<std::size_t> CheckBody(std::size_t bytes_max);
  // Decodes into body_; returns how many of `bytes` belong to the body.
  Result<std::size_t> TakeChunked(std::string_view bytes, std::size_t bytes_max);
  // Returns how many of `bytes` belong to the body, whose payload is dropped.
  Result<std::size_t> SkipBody(std::string_view bytes);
  void StartProgress();
  void NoteProgress(std::size_t bytes);
  std::unexpected<Error> ReadFailed(const Result<std::size_t>& bytes, std::size_t so_far);
  std::unexpected<Error> BodyFailed(Refusal refusal, Error error);
  [[gnu::noinline]] io::Task<bool> DrainBody();
  void ReleaseRequest();
  std::string_view Unread() const { return in_.view().substr(taken_); }

  // How many bytes came before their turn.
  std::size_t Early() const { return Unread().size() + (body_ ? body_->later.size() : 0); }

  // True when the answer being written must say "connection: close".
  bool WillClose() const;
  Deadline WriteDeadline() const;

  Server& server_;
  std::unique_ptr<io::Stream> stream_;
  io::TaskState& task_;
  Connection* next_ = nullptr;
  Connection** link_ = nullptr;

  // A body that did not come with its head, while it is read and used.
  struct Body {
    Buffer bytes;  // Decoded.
    Buffer later;  // What came behind a chunked body while in_ was in use.
    ChunkedDecoder chunked;
    Deadline progress_deadline = Deadline::Never();
    std::size_t progress_bytes = 0;
  };
  Body& body();

  Buffer in_;              // Head, then unread bytes.
  std::size_t taken_ = 0;  // Bytes of in_ that belong to the present head and body.
  HeadScanner scanner_;
  std::unique_ptr<Body> body_;   // Null where it was not needed.
  std::uint64_t body_left_ = 0;  // Of a body of known length: not yet read.
  std::string_view body_view_;   // The body, once it is whole.
  std::size_t requests_ = 0;
  TimePoint head_started_{};
  BodyKind body_kind_ = BodyKind::kNone;
  bool body_whole_ = true;
  bool keep_alive_ = true;
  bool expect_continue_ = false;  // The client waits for our word before it sends its body.
  bool must_close_ = false;
  bool body_failed_ = false;
  bool idle_ = false;
  bool skipped_line_ = false;
  Exchange exchange_;
};

}  // namespace penstock::http
