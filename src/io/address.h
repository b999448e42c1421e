// Address: where to listen or connect: a numeric TCP address or a Unix socket's path.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::io {

struct Address {
  enum class Kind { kTcp, kUnix };
  Kind kind = Kind::kTcp;
  std::string host;        // Numeric IPv4 or IPv6, without brackets; the path for kUnix.
  std::uint16_t port = 0;  // 0: the system picks one (listening only).

  // "127.0.0.1:8080", "[::1]:8080", "localhost:80" (means 127.0.0.1), "unix:/run/x.sock".
  static Result<Address> Parse(std::string_view text);
  // The inverse of Parse.
  std::string ToString() const;
  // True for 127.0.0.0/8, ::1 and Unix sockets.
  bool IsLoopback() const;

  bool operator==(const Address&) const = default;
};

// Looks a host name up (blocking: for start-up and the control thread only). Numeric hosts do not
// ask.
Result<Address> ResolveBlocking(const std::string& host, std::uint16_t port);

}  // namespace penstock::io
