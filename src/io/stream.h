// Stream: a connected byte stream: TCP, Unix socket, TLS, or simulated.
//
// At most one Read and one Write are in flight at a time (they may belong to two tasks). All calls
// on the loop's thread. Destroying a stream closes it; no await on it may be pending then.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "io/address.h"
#include "io/op.h"
#include "io/timer_wheel.h"

namespace penstock::io {

class Stream;

// What became of a read or write. `failure` is meaningful when `failed`.
struct Transfer {
  std::size_t bytes = 0;
  bool failed = false;
  Code failure = Code::kInternal;
  int error_number = 0;          // errno, 0 if none.
  const char* reason = nullptr;  // What to say instead of errno's text; static, null if nothing.
};

// Awaitable of Stream::Read: Result<std::size_t>.
class [[nodiscard]] ReadOp final : public Op {
 public:
  ReadOp(Stream& stream, std::span<char> into, Deadline deadline)
      : stream_(stream), into_(into), deadline_(deadline) {}

  bool await_ready() const { return false; }  // Only await_suspend() knows whether it is cancelled.
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle);
  Result<std::size_t> await_resume();

 private:
  friend class Stream;
  bool TryNow();
  void OnCancel() override;
  Stream& stream_;
  std::span<char> into_;
  Deadline deadline_;
  Transfer result_;
};

// Awaitable of Stream::Write: Status.
class [[nodiscard]] WriteOp final : public Op {
 public:
  WriteOp(Stream& stream, std::string_view head, std::string_view body, Deadline deadline)
      : stream_(stream), pieces_{head, body}, deadline_(deadline) {}

  bool await_ready() const { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle);
  Status await_resume();

 private:
  friend class Stream;
  bool TryNow();
  void OnCancel() override;
  Stream& stream_;
  std::array<std::string_view, 2> pieces_;
  std::string rest_;  // Copied from `pieces_` when the kernel did not take all at once.
  Deadline deadline_;
  Transfer result_;
};

class Stream : private Timer {
 public:
  ~Stream() override;

  // Reads what is there, at least one byte, at most into.size(); 0 means that the peer ended its
  // side. Errors: kClosed (reset), kDeadline, kCancelled. A stream stays usable after kDeadline.
  // Keep 64 spare bytes behind `into` if simdjson shall parse in place.
  ReadOp Read(std::span<char> into, Deadline deadline) { return ReadOp(*this, into, deadline); }

  // Writes all of `head` then `body`, with one system call if the kernel takes them. What it does
  // not take at once is copied, so the pieces need not outlive the call's first suspension: writing
  // from the loop's scratch buffer is safe. After any error the stream is useless: close it.
  WriteOp Write(std::string_view head, Deadline deadline) {
    return WriteOp(*this, head, {}, deadline);
  }
  WriteOp Write(std::string_view head, std::string_view body, Deadline deadline) {
    return WriteOp(*this, head, body, deadline);
  }

  // Cancels `task` when the peer closes or resets while nothing reads from it (at once if it has
  // already). nullptr ends the watch. A half-closed peer counts as gone. A read that waits
  // meanwhile learns of the end itself; if it ends with the last bytes before it, `task` is
  // cancelled then. `task` must outlive the watch.
  void CancelOnHangup(TaskState* task);
  // True once the peer has closed, half-closed or reset the connection.
  bool hung_up() const { return hung_up_; }

  // From now on received_at() is the kernel's time stamp, where the system has one.
  virtual void EnableReceiveTimestamps() {}
  // When the last Read's bytes arrived (monotonic clock).
  TimePoint received_at() const { return received_at_; }

  // Bytes that Read may still return without waiting: true means "do not take this for idle".
  virtual bool MayHaveInput() const = 0;

  // Sends what is unsent, then ends our side; the peer may still be read. Best effort.
  virtual void ShutdownWrite() = 0;

  virtual const Address& peer() const = 0;

 protected:
  explicit Stream(Loop& loop) : loop_(loop) {}

  enum class Try { kFinal, kWait };
  // Tries a transfer now. kFinal fills `transfer`; kWait: nothing more can be done before an event.
  // TryWrite consumes from the front of `pieces` as bytes are taken.
  virtual Try TryRead(std::span<char> into, Transfer& transfer) = 0;
  virtual Try TryWrite(std::span<std::string_view> pieces, Transfer& transfer) = 0;

  // For implementations: the source may have become readable or writable; retries the pending
  // transfers and resumes their tasks. `this` may be gone when it returns.
  void Retry();
  // For implementations: the peer hung up. Call before Retry().
  void NoteHangup();

  Loop& loop_;
  TimePoint received_at_{};

 private:
  friend class ReadOp;
  friend class WriteOp;
  void OnTimer(TimePoint now) override;
  void ArmFor(Deadline deadline);
  Try ReadNow(std::span<char> into, Transfer& transfer);
  bool StartWrite(WriteOp& op);
  std::coroutine_handle<> FinishRead(Transfer transfer);
  std::coroutine_handle<> FinishWrite(Transfer transfer);

  ReadOp* reading_ = nullptr;     // Borrowed while suspended.
  WriteOp* writing_ = nullptr;    // Borrowed while suspended.
  TaskState* watcher_ = nullptr;  // Borrowed; see CancelOnHangup.
  bool hung_up_ = false;
};

// Accepts connections. Destroying it frees the address and turns away who was not accepted; no
// Accept may be pending then.
class Listener {
 public:
  virtual ~Listener() = default;
  // The next connection. Running out of descriptors is not an error here: it waits, logs once, and
  // goes on when some are free; clients wait in the backlog meanwhile. Errors: kCancelled.
  virtual Task<Result<std::unique_ptr<Stream>>> Accept() = 0;
  // Where it really listens (port 0 resolved).
  virtual const Address& address() const = 0;
};

template <typename Promise>
bool ReadOp::await_suspend(std::coroutine_handle<Promise> handle) {
  if (Cancelled(handle)) {
    result_ = {.failed = true, .failure = Code::kCancelled};
    return false;
  }
  CHECK(stream_.reading_ == nullptr, "one read at a time");
  if (TryNow()) return false;
  Suspend(handle);
  stream_.reading_ = this;
  stream_.ArmFor(deadline_);
  return true;
}

template <typename Promise>
bool WriteOp::await_suspend(std::coroutine_handle<Promise> handle) {
  if (Cancelled(handle)) {
    result_ = {.failed = true, .failure = Code::kCancelled};
    return false;
  }
  CHECK(stream_.writing_ == nullptr, "one write at a time");
  if (TryNow()) return false;
  Suspend(handle);
  stream_.writing_ = this;
  stream_.ArmFor(deadline_);
  return true;
}

}  // namespace penstock::io
