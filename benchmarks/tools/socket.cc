// Loopback sockets: the system calls.
#include "socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/net_tstamp.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace measure {
namespace {

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void Set(const Socket& socket, int level, int option, int value) {
  if (::setsockopt(socket.number(), level, option, &value, sizeof value) != 0) Die("setsockopt");
}

}  // namespace

void Die(std::string_view what) {
  std::fprintf(stderr, "%.*s: %s\n", static_cast<int>(what.size()), what.data(),
               std::strerror(errno));
  std::exit(2);
}

Socket::Socket(Socket&& other) noexcept : number_(std::exchange(other.number_, -1)) {}

Socket& Socket::operator=(Socket&& other) noexcept {
  if (this != &other) {
    Close();
    number_ = std::exchange(other.number_, -1);
  }
  return *this;
}

void Socket::Close() {
  if (number_ >= 0) ::close(std::exchange(number_, -1));
}

Socket ListenOnLoopback(std::uint16_t port, bool stamped) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) Die("socket");
  Set(socket, SOL_SOCKET, SO_REUSEADDR, 1);
  // A port that was named may be shared by several processes, for more streams than one may hold.
  if (port != 0) Set(socket, SOL_SOCKET, SO_REUSEPORT, 1);
  Set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  if (stamped) {
    Set(socket, SOL_SOCKET, SO_TIMESTAMPING,
        SOF_TIMESTAMPING_RX_SOFTWARE | SOF_TIMESTAMPING_SOFTWARE);
  }
  const sockaddr_in address = Loopback(port);
  if (::bind(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    Die("bind");
  }
  if (::listen(socket.number(), 4096) != 0) Die("listen");
  return socket;
}

std::uint16_t PortOf(const Socket& socket) {
  sockaddr_in address{};
  socklen_t size = sizeof address;
  if (::getsockname(socket.number(), reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    Die("getsockname");
  }
  return ntohs(address.sin_port);
}

Socket Accept(const Socket& listener) {
  Socket socket(::accept4(listener.number(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.valid() && errno != EAGAIN && errno != ECONNABORTED && errno != EINTR) Die("accept4");
  return socket;
}

Socket ConnectToLoopback(std::uint16_t port) {
  Socket socket(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.valid()) Die("socket");
  Set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
  const sockaddr_in address = Loopback(port);
  if (::connect(socket.number(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
          0 &&
      errno != EINPROGRESS) {
    Die("connect");
  }
  return socket;
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) Die("getrlimit");
  limit.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &limit) != 0) Die("setrlimit");
}

}  // namespace measure
