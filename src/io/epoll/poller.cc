#include "io/epoll/poller.h"

#include <unistd.h>

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

void Poller::Poll(std::int64_t timeout_ns) {
  const timespec timeout{.tv_sec = timeout_ns / 1'000'000'000,
                         .tv_nsec = timeout_ns % 1'000'000'000};
  const int count = epoll_pwait2(descriptor_, batch_.data(), static_cast<int>(batch_.size()),
                                 timeout_ns < 0 ? nullptr : &timeout, nullptr);
  CHECK(count >= 0 || errno == EINTR, "epoll_pwait2 failed");
  batch_size_ = count < 0 ? 0 : static_cast<std::size_t>(count);
  for (batch_next_ = 0; batch_next_ < batch_size_;) {
    const epoll_event event = batch_[batch_next_++];
    if (event.data.ptr != nullptr)
      static_cast<EventHandler*>(event.data.ptr)->OnEvents(event.events);
  }
}

}  // namespace penstock::io
