#include "io/epoll/poller.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <string>

#include "base/check.h"

namespace penstock::io {

Poller::Poller() : descriptor_(epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(descriptor_ >= 0, "epoll_create1 failed");
}

Poller::~Poller() { close(descriptor_); }

Status Poller::Add(int descriptor, EventHandler& handler) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = &handler;
  if (epoll_ctl(descriptor_, EPOLL_CTL_ADD, descriptor, &event) == 0) return {};
  const int error = errno;
  const bool exhausted = error == ENOSPC || error == ENOMEM;
  return Fail(exhausted ? Code::kExhausted : Code::kInternal,
              std::string("cannot watch a descriptor: ") + std::strerror(error));
}

void Poller::Remove(int descriptor, EventHandler& handler) {
  epoll_event ignored{};
  epoll_ctl(descriptor_, EPOLL_CTL_DEL, descriptor, &ignored);
  for (std::size_t i = batch_next_; i < batch_size_; ++i) {
    if (batch_[i].data.ptr == &handler) batch_[i].data.ptr = nullptr;
  }
}

int Poller::WaitNow(std::int64_t timeout_ns) {
  const auto size = static_cast<int>(batch_.size());
  if (fine_) {
    const timespec timeout{.tv_sec = timeout_ns / 1'000'000'000,
                           .tv_nsec = timeout_ns % 1'000'000'000};
    const int count = epoll_pwait2(descriptor_, batch_.data(), size,
                                   timeout_ns < 0 ? nullptr : &timeout, nullptr);
    // Kernels before 5.11, sandboxes and valgrind do not know the call.
    if (count >= 0 || (errno != ENOSYS && errno != EPERM)) return count;
    fine_ = false;
  }
  constexpr std::int64_t kMillisecond = 1'000'000;
  const std::int64_t timeout_ms =
      timeout_ns < 0
          ? -1
          : std::min<std::int64_t>((timeout_ns + kMillisecond - 1) / kMillisecond, 60'000);
  return epoll_wait(descriptor_, batch_.data(), size, static_cast<int>(timeout_ms));
}

// With many streams everything about an event is cold, and an event costs more in waiting for
// memory than in instructions. So what the next ones need is fetched in three steps, each of which
// finds what the one before has brought: the handler, what it points at, what that points at.
void Poller::PrefetchAhead(std::size_t next) const {
  constexpr std::size_t kLine = 64;
  const auto handler = [this, next](std::size_t ahead) {
    const std::size_t at = next + ahead;
    return at < batch_size_ ? static_cast<const EventHandler*>(batch_[at].data.ptr) : nullptr;
  };
  if (const EventHandler* far = handler(5)) {
    // A handler is a part of a larger object, and may stand anywhere in it.
    const char* middle = reinterpret_cast<const char*>(far);
    __builtin_prefetch(middle - kLine);
    __builtin_prefetch(middle);
    __builtin_prefetch(middle + kLine);
  }
  if (const EventHandler* near = handler(3)) near->Prefetch(false);
  if (const EventHandler* nearer = handler(1)) nearer->Prefetch(true);
}

bool Poller::Wait(std::int64_t timeout_ns) {
  const int count = WaitNow(timeout_ns);
  CHECK(count >= 0 || errno == EINTR, "epoll_wait failed");
  batch_size_ = count < 0 ? 0 : static_cast<std::size_t>(count);
  batch_next_ = group_end_ = 0;
  return batch_size_ > 0;
}

// Whoever waits for bytes gets them now, a group of handlers at a time.
void Poller::ReadAhead() {
  reader_.Clear();
  group_end_ = std::min(batch_next_ + BatchReader::kMost, batch_size_);
  if (group_end_ - batch_next_ < BatchReader::kLeast || !reader_.Usable()) return;
  for (std::size_t i = batch_next_; i < group_end_; ++i) {
    PrefetchAhead(i);
    auto* handler = static_cast<EventHandler*>(batch_[i].data.ptr);
    if (handler != nullptr) handler->ReadAhead(batch_[i].events, reader_);
  }
  if (reader_.size() == 0) return;
  reader_.Receive();
  received_at_ = Clock::now();
}

void Poller::CallHandlers() {
  while (batch_next_ < batch_size_) {
    if (batch_next_ == group_end_) ReadAhead();
    PrefetchAhead(batch_next_);
    const epoll_event event = batch_[batch_next_++];
    if (event.data.ptr != nullptr)
      static_cast<EventHandler*>(event.data.ptr)->OnEvents(event.events);
  }
}

}  // namespace penstock::io
