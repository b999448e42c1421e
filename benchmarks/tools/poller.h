// Poller: one level-triggered epoll set that hands readiness to the object owning each socket. One
// thread.
#pragma once

#include <chrono>
#include <cstdint>

#include "socket.h"

namespace measure {

using Nanoseconds = std::chrono::nanoseconds;

// Monotonic time since boot: the one clock of every stamp, delay and window in these tools.
Nanoseconds Now();

class Readiness {
 public:
  // `events` are epoll's. May close its own socket, never destroy an object that is being watched:
  // the same batch may still name it.
  virtual void OnReady(std::uint32_t events) = 0;

 protected:
  ~Readiness() = default;
};

class Poller {
 public:
  Poller();

  // `owner` is borrowed until the socket is closed, which also ends the watch.
  void Watch(const Socket& socket, std::uint32_t events, Readiness* owner);
  void Change(const Socket& socket, std::uint32_t events, Readiness* owner);

  // Serves one batch, waiting at most `timeout` (0 or less: not at all) for it. Returns its size.
  int Poll(Nanoseconds timeout);

 private:
  Socket epoll_;
};

}  // namespace measure
