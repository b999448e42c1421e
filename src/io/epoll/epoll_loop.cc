#include "io/epoll/epoll_loop.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>

#include <algorithm>

#include "io/epoll/ready_waiter.h"
#include "io/frames.h"

namespace penstock::io {

EpollLoop::EpollLoop() : Loop(Clock::now()), wake_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  CHECK(wake_, "eventfd failed");
  const Status added = poller_.Add(wake_.get(), *this);
  CHECK(added, "the wake-up descriptor cannot be watched");
}

EpollLoop::~EpollLoop() { poller_.Remove(wake_.get(), *this); }

WallTime EpollLoop::WallNow() const {
  return std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now());
}

void EpollLoop::Run() {
  // The default slack of 50 µs would make every exact sleep late by as much.
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
  while (!stopping_.load(std::memory_order_acquire)) {
    RunReady();
    if (stopping_.load(std::memory_order_acquire)) break;
    poller_.Poll(WaitLimit());
    if (has_posted_.load(std::memory_order_acquire)) RunPosted();
    RunReady();
    if (NextTimer() != TimePoint::max()) RunTimers(Now());
  }
  stopping_.store(false, std::memory_order_release);
  ReleaseFrames();
}

std::int64_t EpollLoop::WaitLimit() const {
  if (has_ready() || has_posted_.load(std::memory_order_acquire)) return 0;
  const TimePoint next = NextTimer();
  if (next == TimePoint::max()) return -1;
  return std::max<std::int64_t>(0, (next - Now()).count());
}

void EpollLoop::Stop() {
  stopping_.store(true, std::memory_order_release);
  Wake();
}

void EpollLoop::Post(std::move_only_function<void()> call) {
  {
    const std::scoped_lock lock(posted_mutex_);
    posted_.push_back(std::move(call));
  }
  if (!has_posted_.exchange(true, std::memory_order_acq_rel)) Wake();
}

void EpollLoop::Wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(wake_.get(), &one, sizeof one);
}

void EpollLoop::OnEvents(std::uint32_t) {
  std::uint64_t count = 0;
  [[maybe_unused]] const ssize_t taken = read(wake_.get(), &count, sizeof count);
}

void EpollLoop::RunPosted() {
  std::vector<std::move_only_function<void()>> calls;
  has_posted_.store(false, std::memory_order_release);
  {
    const std::scoped_lock lock(posted_mutex_);
    calls.swap(posted_);
  }
  for (auto& call : calls) call();
}

Task<Status> EpollLoop::WaitReadable(int descriptor, Deadline deadline) {
  ReadyWaiter waiter(*this, poller_, descriptor);
  if (!waiter.status()) co_return Fail(waiter.status().error());
  co_return co_await waiter.Wait(deadline);
}

}  // namespace penstock::io
