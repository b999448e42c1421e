// Poller: epoll_pwait2, whose time-outs are in nanoseconds, with the timer slack switched off.
#include "poller.h"

#include <sys/epoll.h>
#include <sys/prctl.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace measure {

Nanoseconds Now() {
  return std::chrono::duration_cast<Nanoseconds>(
      std::chrono::steady_clock::now().time_since_epoch());
}

Poller::Poller() : epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (!epoll_.valid()) Die("epoll_create1");
  // The default slack of 50 us would make every paced token late by about as much.
  if (::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL) != 0) Die("prctl(PR_SET_TIMERSLACK)");
}

void Poller::Watch(const Socket& socket, std::uint32_t events, Readiness* owner) {
  epoll_event event{.events = events, .data = {.ptr = owner}};
  if (::epoll_ctl(epoll_.number(), EPOLL_CTL_ADD, socket.number(), &event) != 0) Die("epoll_ctl");
}

void Poller::Change(const Socket& socket, std::uint32_t events, Readiness* owner) {
  epoll_event event{.events = events, .data = {.ptr = owner}};
  if (::epoll_ctl(epoll_.number(), EPOLL_CTL_MOD, socket.number(), &event) != 0) Die("epoll_ctl");
}

int Poller::Poll(Nanoseconds timeout) {
  constexpr Nanoseconds kSecond = std::chrono::seconds(1);
  const Nanoseconds wait = std::max(timeout, Nanoseconds(0));
  const timespec limit{.tv_sec = wait / kSecond, .tv_nsec = (wait % kSecond).count()};
  std::array<epoll_event, 512> ready;
  const int count = ::epoll_pwait2(epoll_.number(), ready.data(), static_cast<int>(ready.size()),
                                   &limit, nullptr);
  for (int i = 0; i < count; ++i) {
    static_cast<Readiness*>(ready[static_cast<std::size_t>(i)].data.ptr)
        ->OnReady(ready[static_cast<std::size_t>(i)].events);
  }
  return count;
}

}  // namespace measure
