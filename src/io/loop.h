// Loop: one thread's world: time, ready tasks, timers, and the network.
//
// Two kinds: EpollLoop (real) and SimLoop (virtual). All calls on the loop's own thread, but for
// Post() and Stop(). A loop outlives everything made on it.
#pragma once

#include <coroutine>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "io/address.h"
#include "io/op.h"
#include "io/stream.h"
#include "io/task.h"
#include "io/timer_wheel.h"

namespace penstock::io {

class Loop;

// Awaitable of Loop::SleepUntil: Status (done or kCancelled).
class [[nodiscard]] SleepOp final : public Op {
 public:
  SleepOp(Loop& loop, TimePoint until) : loop_(loop), until_(until) {}
  bool await_ready() const { return false; }
  template <typename Promise>
  bool await_suspend(std::coroutine_handle<Promise> handle) {
    if (Cancelled(handle)) {
      outcome_ = Outcome::kCancelled;
      return false;
    }
    if (IsPast()) return false;
    Suspend(handle);
    Enlist();
    return true;
  }
  Status await_resume() const { return ToStatus(outcome_, "sleep"); }

 private:
  friend class Loop;
  bool IsPast() const;
  void Enlist();
  void OnCancel() override;
  Loop& loop_;
  TimePoint until_;
  Outcome outcome_ = Outcome::kDone;
  std::multimap<TimePoint, SleepOp*>::iterator place_;
};

class TlsContext;  // io/tls.h

struct ListenOptions {
  int backlog = 4096;
  bool reuse_port = false;                // Several loops share one TCP port.
  std::shared_ptr<const TlsContext> tls;  // Null: plain.
};

struct ConnectOptions {
  std::shared_ptr<const TlsContext> tls;  // Null: plain.
  // SNI and the name that the certificate must carry; "" means the address's host.
  std::string tls_server_name;
};

class Loop {
 public:
  // Bytes of the shared read buffer; 64 more lie behind it, so that parsers may read past the end.
  static constexpr std::size_t kScratchSize = 64 * 1024;
  static constexpr std::size_t kScratchSpare = 64;

  virtual ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  virtual TimePoint Now() const = 0;
  // The time when this turn of the loop began: costs nothing, and is good for deadlines. Not for
  // what is measured.
  virtual TimePoint RecentNow() const { return Now(); }
  virtual WallTime WallNow() const = 0;

  // Runs until Stop().
  virtual void Run() = 0;
  // Any thread.
  virtual void Stop() = 0;
  // Any thread: runs `call` on the loop's thread, soon, in order of posting.
  virtual void Post(std::move_only_function<void()> call) = 0;

  // Errors: kConflict (address in use), kForbidden, kInvalidArgument, each naming the address.
  virtual Result<std::unique_ptr<Listener>> Listen(const Address& address,
                                                   const ListenOptions& options) = 0;
  // With TLS, the handshake is done when it completes. Errors: kUnavailable (refused, no such
  // socket), kDeadline, kCancelled, kExhausted (descriptors), kUpstream (the peer speaks no TLS, or
  // its certificate is not good), kClosed (it hung up meanwhile).
  virtual Task<Result<std::unique_ptr<Stream>>> Connect(Address address, ConnectOptions options,
                                                        Deadline deadline) = 0;
  // Completes when `descriptor` (pidfd, signalfd, pipe) is readable. Not in the simulation.
  virtual Task<Status> WaitReadable(int descriptor, Deadline deadline) = 0;

  // Exact to the clock's grain, unlike deadlines, which are coarse.
  SleepOp SleepUntil(TimePoint until) { return SleepOp(*this, until); }
  SleepOp Sleep(Duration duration) { return SleepOp(*this, Deadline::After(Now(), duration).at()); }

  // Resumes `handle` on this turn of the loop, after the present callback.
  void Schedule(std::coroutine_handle<> handle) { ready_.push_back(handle); }

  // One buffer for all reads of this loop: what is in it holds until the task's next suspension.
  std::span<char> scratch() { return {scratch_.get(), kScratchSize}; }

  TimerWheel& wheel() { return wheel_; }

 protected:
  explicit Loop(TimePoint start);

  // Resumes everything that is ready, including what becomes ready meanwhile.
  void RunReady();
  // Wakes the sleepers and fires the timers that are due.
  void RunTimers(TimePoint now);
  // When RunTimers() has next something to do; TimePoint::max() for never.
  TimePoint NextTimer() const;
  bool has_ready() const { return !ready_.empty(); }

 private:
  friend class SleepOp;
  std::vector<std::coroutine_handle<>> ready_;
  std::vector<std::coroutine_handle<>> running_;
  std::multimap<TimePoint, SleepOp*> sleepers_;
  TimerWheel wheel_;
  std::unique_ptr<char[]> scratch_;
};

}  // namespace penstock::io
