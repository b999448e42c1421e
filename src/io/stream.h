// Stream: a connected byte stream: TCP, Unix socket, TLS, or simulated.
//
// At most one Read and one Write are in flight at a time (they may belong to two tasks). All calls
// on the loop's thread. Destroying a stream closes it; no await on it may be pending then.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
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

// The end of what was to be written, which the kernel did not take yet.
struct Unsent {
  std::unique_ptr<char[]> bytes;
  std::size_t size = 0;
  std::string_view view() const { return {bytes.get(), size}; }
};

// Awaitable of Stream::Write: Status.
class [[nodiscard]] WriteOp final : public Op {
 public:
  WriteOp(Stream& stream, std::string_view head, std::string_view body, Deadline deadline)
      : stream_(stream), pieces_{head, body}, deadline_(deadline) {}
  WriteOp(Stream& stream, std::string_view head, std::string_view body, Duration within)
      : stream_(stream), pieces_{head, body}, deadline_(Deadline::Never()), within_(within) {}

  // Writes what the kernel takes, before the await: for a caller with something to do in between.
  void Start() { state_now_ = TryNow() ? Now::kDone : Now::kWaits; }

  // After Start(), where it is not ready: what is left, to be written by somebody else.
  Unsent TakeUnsent() { return {std::move(rest_), pieces_[0].size()}; }

  bool await_ready() const { return state_now_ == Now::kDone; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle);
  Status await_resume();

 private:
  friend class Stream;
  bool TryNow();
  void OnCancel() override;
  Stream& stream_;
  enum class Now : std::uint8_t { kUntried, kDone, kWaits };
  Now state_now_ = Now::kUntried;
  std::array<std::string_view, 2> pieces_;
  // Copied from `pieces_` when the kernel did not take all at once.
  std::unique_ptr<char[]> rest_;
  Deadline deadline_;
  Duration within_{};  // If not zero: from the suspension on, in place of `deadline_`.
  Transfer result_;
};

// Memory that the reader of a stream will touch when its bytes come. A thousand streams do not fit
// the caches: the loop fetches what the next events need while it serves the present one.
class Companions {
 public:
  static constexpr std::size_t kMax = 7;

  // Whatever is beyond kMax is left out. `at` is only a hint: it is never read.
  void Add(const void* at, std::size_t bytes) {
    if (size_ == kMax) return;
    at_[size_] = static_cast<const char*>(at);
    lines_[size_++] = static_cast<std::uint8_t>((bytes + kLine - 1) / kLine);
  }
  void Prefetch() const {
    for (std::size_t i = 0; i < size_; ++i) {
      for (std::size_t line = 0; line < lines_[i]; ++line) {
        __builtin_prefetch(at_[i] + line * kLine);
      }
    }
  }

  static constexpr std::size_t kLine = 64;  // Bytes of a cache line.

 private:
  std::array<const char*, kMax> at_{};
  std::array<std::uint8_t, kMax> lines_{};
  std::uint8_t size_ = 0;
};

class Stream : private Timer {
 public:
  ~Stream() override;

  // What the present reader touches; nullptr: nothing known. Borrowed until it is replaced.
  void SetCompanions(const Companions* companions) { companions_ = companions; }

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
  // The same with a time-out (not zero) in place of a deadline. The clock is read only where the
  // kernel does not take all at once, which is what a relay's many small writes want.
  WriteOp WriteWithin(std::string_view head, std::string_view body, Duration within) {
    return WriteOp(*this, head, body, within);
  }

  // Cancels `task` when the peer closes or resets while nothing reads from it (at once if it has
  // already). nullptr ends the watch. A half-closed peer counts as gone. A read that waits
  // meanwhile learns of the end itself; if it ends with the last bytes before it, `task` is
  // cancelled then. `task` must outlive the watch.
  void CancelOnHangup(TaskState* task);
  // True once the peer has closed, half-closed or reset the connection.
  bool hung_up() const { return hung_up_; }

  // Asks the system to put off (or not) the acknowledgement of what is read until more is, or some
  // 40 ms have passed: see http/ack_policy.h for whom that would hold up. A hint.
  virtual void PutOffAcknowledgements(bool /*put_off*/) {}

  // From now on received_at() is the kernel's time stamp, where the system has one.
  virtual void EnableReceiveTimestamps() {}
  // When the last Read's bytes arrived (monotonic clock).
  TimePoint received_at() const { return received_at_; }

  // Bytes that Read may still return without waiting: true means "do not take this for idle".
  virtual bool MayHaveInput() const = 0;

  // Sends what is unsent, then ends our side; the peer may still be read. Best effort.
  virtual void ShutdownWrite() = 0;

  // Asks the system, where there is one; without a host once the connection is gone.
  virtual Address peer() const = 0;

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
  // For implementations: somebody waits for bytes.
  bool is_read() const { return reading_ != nullptr; }
  // For implementations: an event for this stream is near. First the awaiting operation and the
  // list of companions are fetched, a moment later the companions themselves.
  void PrefetchReader() const {
    if (reading_ != nullptr) {
      __builtin_prefetch(reading_);
      __builtin_prefetch(reinterpret_cast<const char*>(reading_) + Companions::kLine);
    }
    if (companions_ != nullptr) __builtin_prefetch(companions_);
  }
  void PrefetchCompanions() const {
    if (companions_ != nullptr) companions_->Prefetch();
  }

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

  ReadOp* reading_ = nullptr;   // Borrowed while suspended.
  WriteOp* writing_ = nullptr;  // Borrowed while suspended.
  const Companions* companions_ = nullptr;
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
  if (state_now_ == Now::kUntried && TryNow()) return false;
  Suspend(handle);
  stream_.writing_ = this;
  stream_.ArmFor(deadline_);
  return true;
}

}  // namespace penstock::io
