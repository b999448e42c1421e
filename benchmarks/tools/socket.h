// Loopback TCP sockets, all non-blocking and without Nagle's delay, for programs that may simply
// stop on an error.
#pragma once

#include <cstdint>
#include <string_view>

namespace measure {

// Says which call failed and why (errno) on stderr and exits with 2.
[[noreturn]] void Die(std::string_view what);

// Owns a descriptor.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int number) : number_(number) {}
  Socket(Socket&& other) noexcept;
  Socket& operator=(Socket&& other) noexcept;
  ~Socket() { Close(); }

  bool valid() const { return number_ >= 0; }
  int number() const { return number_; }
  void Close();

 private:
  int number_ = -1;
};

// `port` 0 lets the kernel choose. With `stamped`, accepted sockets inherit receive timestamps,
// taken by the kernel.
Socket ListenOnLoopback(std::uint16_t port, bool stamped = false);
std::uint16_t PortOf(const Socket& socket);

// An invalid socket: nobody is waiting.
Socket Accept(const Socket& listener);

// Starts a connection; it is writable once established.
Socket ConnectToLoopback(std::uint16_t port);

// Lets this process hold as many descriptors as its hard limit allows.
void RaiseDescriptorLimit();

}  // namespace measure
