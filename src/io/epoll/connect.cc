// Connecting on the real network: EpollLoop::Connect.
#include <cerrno>

#include "io/epoll/epoll_loop.h"
#include "io/epoll/fd_stream.h"
#include "io/epoll/ready_waiter.h"
#include "io/epoll/socket.h"

namespace penstock::io {

namespace {

// A Unix socket's backlog is full: nothing tells when it has room, so ask again.
constexpr Duration kBacklogFullPause = std::chrono::milliseconds(2);

}  // namespace

Task<Result<std::unique_ptr<Stream>>> EpollLoop::Connect(Address address, ConnectOptions options,
                                                         Deadline deadline) {
  if (options.tls) co_return Fail(Code::kUnsupported, "TLS is not in this build");
  const Result<SocketAddress> target = ToSocketAddress(address);
  if (!target) co_return Fail(target.error());
  Result<Descriptor> socket = OpenSocket(address);
  if (!socket) co_return Fail(socket.error());
  int error = connect(socket->get(), target->get(), target->size) == 0 ? 0 : errno;
  while (error == EAGAIN) {
    if (deadline.Passed(Now())) {
      co_return Fail(Code::kDeadline, "connect to " + address.ToString() + ": deadline passed");
    }
    if (const Status slept = co_await Sleep(kBacklogFullPause); !slept)
      co_return Fail(slept.error());
    error = connect(socket->get(), target->get(), target->size) == 0 ? 0 : errno;
  }
  if (error == EINPROGRESS) {
    ReadyWaiter waiter(*this, poller_, socket->get());
    if (!waiter.status()) co_return Fail(waiter.status().error());
    const Status ready = co_await waiter.Wait(deadline);
    if (!ready) {
      co_return Fail(ready.error().code,
                     "connect to " + address.ToString() + ": " + ready.error().message);
    }
    socklen_t size = sizeof error;
    getsockopt(socket->get(), SOL_SOCKET, SO_ERROR, &error, &size);
  }
  if (error != 0) co_return Fail(SocketError("cannot connect to", address, error));
  co_return FdStream::Make(*this, poller_, std::move(*socket), std::move(address));
}

}  // namespace penstock::io
