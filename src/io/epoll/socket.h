// Sockets: addresses turned into kernel form, listening and connecting.
#pragma once

#include <sys/socket.h>

#include <cstddef>

#include "base/file.h"
#include "base/result.h"
#include "io/address.h"

namespace penstock::io {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// Errors: kInvalidArgument for a host that is not numeric or a path too long.
Result<SocketAddress> ToSocketAddress(const Address& address);
Address FromSocketAddress(const SocketAddress& address);

// A non-blocking, close-on-exec stream socket of the address's family.
Result<Descriptor> OpenSocket(const Address& address);

// The Error for a failed call about `address`, with a code that fits errno `error`.
Error SocketError(const char* what, const Address& address, int error);

}  // namespace penstock::io
