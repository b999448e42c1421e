#include "io/epoll/epoll_loop.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>

#include <algorithm>

#include "io/epoll/ready_waiter.h"
#include "io/frames.h"

namespace penstock::io {

namespace {
constexpr Duration kTrimInterval = std::chrono::seconds(1);
}  // namespace

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
  turn_began_ = Clock::now();
  Contention contention;
  while (!stopping_.load(std::memory_order_acquire)) {
    RunReady();
    if (stopping_.load(std::memory_order_acquire)) break;
    WaitForEvents(WaitLimit(), contention);
    turn_began_ = Clock::now();
    poller_.CallHandlers();
    if (has_posted_.load(std::memory_order_acquire)) RunPosted();
    RunReady();
    if (NextTimer() != TimePoint::max()) RunTimers(turn_began_);
    Tidy();
  }
  stopping_.store(false, std::memory_order_release);
  ReleaseFrames();
}

void EpollLoop::WaitForEvents(std::int64_t limit_ns, Contention& contention) {
  if (limit_ns != 0 && busy_wait_.longest() != Duration::zero()) {
    const TimePoint from = Clock::now();
    if (contention.Look(from)) busy_wait_.Disturbed(from);
    Duration length = busy_wait_.Next(from);
    if (limit_ns > 0) length = std::min(length, Duration(limit_ns));
    for (TimePoint now = from; now - from < length; now = Clock::now()) {
      if (poller_.Wait(0)) return busy_wait_.Found(Clock::now() - from);
    }
    if (length > Duration::zero()) busy_wait_.FoundNothing();
    if (limit_ns > 0) limit_ns = std::max<std::int64_t>(1, limit_ns - length.count());
  }
  poller_.Wait(limit_ns);
}

std::int64_t EpollLoop::WaitLimit() const {
  if (has_ready() || has_posted_.load(std::memory_order_acquire)) return 0;
  const TimePoint next = std::min(NextTimer(), trim_at_);
  if (next == TimePoint::max()) return -1;
  return std::max<std::int64_t>(0, (next - Now()).count());
}

// Frames of a busy time are not kept for ever. A loop that falls idle wakes for this, and then no
// more.
void EpollLoop::Tidy() {
  if (trim_at_ == TimePoint::max()) {
    trim_at_ = turn_began_ + kTrimInterval;
  } else if (turn_began_ >= trim_at_) {
    trim_at_ = TrimFrames() ? turn_began_ + kTrimInterval : TimePoint::max();
  }
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
