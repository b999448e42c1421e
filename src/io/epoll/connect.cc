// Connecting on the real network: EpollLoop::Connect.
#include <netinet/in.h>

#include <cerrno>

#include "io/epoll/epoll_loop.h"
#include "io/epoll/fd_stream.h"
#include "io/epoll/ready_waiter.h"
#include "io/epoll/socket.h"
#include "io/epoll/tls_stream.h"

namespace penstock::io {

namespace {

// A Unix socket's backlog is full: nothing tells when it has room, so ask again.
constexpr Duration kBacklogFullPause = std::chrono::milliseconds(2);

Error ConnectError(const Address& address, const Error& cause) {
  return {cause.code, "cannot connect to " + address.ToString() + ": " + cause.message, {}};
}

// Returns 0 once `socket` is connected, else what is wrong in errno's terms.
Task<Result<int>> ConnectSocket(EpollLoop& loop, int socket, const SocketAddress& target,
                                Deadline deadline) {
  auto start = [&] { return connect(socket, target.get(), target.size) == 0 ? 0 : errno; };
  int error = start();
  while (error == EAGAIN) {
    if (deadline.Passed(loop.Now())) co_return Fail(Code::kDeadline, "deadline passed");
    if (const Status slept = co_await loop.Sleep(kBacklogFullPause); !slept) {
      co_return Fail(slept.error());
    }
    error = start();
  }
  if (error != EINPROGRESS) co_return error;
  ReadyWaiter waiter(loop, loop.poller(), socket);
  if (!waiter.status()) co_return Fail(waiter.status().error());
  if (const Status ready = co_await waiter.Wait(deadline); !ready) co_return Fail(ready.error());
  socklen_t size = sizeof error;
  getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size);
  co_return error;
}

// Gives `socket` its own address, and leaves the port to connect(), which may use one for several
// targets.
Status BindSource(int socket, const std::string& host) {
  const Address source{.host = host};
  const Result<SocketAddress> address = ToSocketAddress(source);
  if (!address) return Fail(address.error());
  const int on = 1;
  setsockopt(socket, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
  if (bind(socket, address->get(), address->size) == 0) return {};
  return Fail(SocketError("cannot connect from", source, errno));
}

}  // namespace

Task<Result<std::unique_ptr<Stream>>> EpollLoop::Connect(Address address, ConnectOptions options,
                                                         Deadline deadline) {
  if ((co_await ThisTask()).cancelled()) {
    co_return Fail(ConnectError(address, {Code::kCancelled, "cancelled", {}}));
  }
  const Result<SocketAddress> target = ToSocketAddress(address);
  if (!target) co_return Fail(target.error());
  Result<Descriptor> socket = OpenSocket(address);
  if (!socket) co_return Fail(socket.error());
  if (!sources_.empty() && address.kind == Address::Kind::kTcp) {
    const std::string& host = sources_[next_source_++ % sources_.size()];
    if (const Status bound = BindSource(socket->get(), host); !bound) co_return Fail(bound.error());
  }
  const Result<int> error = co_await ConnectSocket(*this, socket->get(), *target, deadline);
  if (!error) co_return Fail(ConnectError(address, error.error()));
  if (*error != 0) co_return Fail(SocketError("cannot connect to", address, *error));
  if (!options.tls) co_return FdStream::Make(*this, poller_, std::move(*socket), address.kind);

  const std::string& name =
      options.tls_server_name.empty() ? address.host : options.tls_server_name;
  auto stream = TlsStream::Make(*this, poller_, std::move(*socket), address.kind,
                                std::move(options.tls), name);
  if (!stream) co_return stream;
  // An empty write completes with the handshake.
  if (const Status shaken = co_await (*stream)->Write({}, deadline); !shaken) {
    co_return Fail(ConnectError(address, shaken.error()));
  }
  co_return stream;
}

}  // namespace penstock::io
