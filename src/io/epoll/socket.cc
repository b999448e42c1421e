#include "io/epoll/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace penstock::io {

namespace {

Code CodeOf(int error) {
  switch (error) {
    case EADDRINUSE:
      return Code::kConflict;
    case EACCES:
    case EPERM:
      return Code::kForbidden;
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
      return Code::kInvalidArgument;
    case ECONNREFUSED:
    case ENOENT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ETIMEDOUT:
    case ECONNRESET:
      return Code::kUnavailable;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return Code::kExhausted;
    default:
      return Code::kInternal;
  }
}

Result<SocketAddress> ToUnix(const Address& address) {
  sockaddr_un unix_address{};
  if (address.host.empty() || address.host.size() >= sizeof unix_address.sun_path) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: a Unix socket's path must have 1 to {} bytes", address.ToString(),
                            sizeof unix_address.sun_path - 1));
  }
  unix_address.sun_family = AF_UNIX;
  std::memcpy(unix_address.sun_path, address.host.data(), address.host.size());
  SocketAddress result;
  std::memcpy(&result.storage, &unix_address, sizeof unix_address);
  result.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.host.size() + 1);
  return result;
}

}  // namespace

Error SocketError(const char* what, const Address& address, int error) {
  return Error{
      CodeOf(error), fmt::format("{} {}: {}", what, address.ToString(), std::strerror(error)), {}};
}

Result<SocketAddress> ToSocketAddress(const Address& address) {
  if (address.kind == Address::Kind::kUnix) return ToUnix(address);
  SocketAddress result;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, address.host.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(address.port);
    std::memcpy(&result.storage, &v4, sizeof v4);
    result.size = sizeof v4;
  } else if (inet_pton(AF_INET6, address.host.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(address.port);
    std::memcpy(&result.storage, &v6, sizeof v6);
    result.size = sizeof v6;
  } else {
    return Fail(Code::kInvalidArgument,
                fmt::format("{}: the host is not a numeric IP address", address.ToString()));
  }
  return result;
}

Address FromSocketAddress(const SocketAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (address.storage.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &address.storage, sizeof v4);
    inet_ntop(AF_INET, &v4.sin_addr, text.data(), text.size());
    return {.host = text.data(), .port = ntohs(v4.sin_port)};
  }
  if (address.storage.ss_family == AF_INET6) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, &address.storage, sizeof v6);
    inet_ntop(AF_INET6, &v6.sin6_addr, text.data(), text.size());
    return {.host = text.data(), .port = ntohs(v6.sin6_port)};
  }
  sockaddr_un unix_address{};
  std::memcpy(&unix_address, &address.storage, sizeof unix_address);
  const bool named = address.size > offsetof(sockaddr_un, sun_path);
  return {.kind = Address::Kind::kUnix, .host = named ? unix_address.sun_path : ""};
}

Result<Descriptor> OpenSocket(const Address& address) {
  const bool unix_domain = address.kind == Address::Kind::kUnix;
  const bool v6 = !unix_domain && address.host.find(':') != std::string::npos;
  const int family = unix_domain ? AF_UNIX : v6 ? AF_INET6 : AF_INET;
  Descriptor descriptor(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!descriptor) return Fail(SocketError("cannot open a socket for", address, errno));
  return descriptor;
}

}  // namespace penstock::io
