// Listening on the real network: EpollLoop::Listen and its listener.
#include <sys/stat.h>

#include <cerrno>

#include "base/log.h"
#include "io/epoll/epoll_loop.h"
#include "io/epoll/fd_stream.h"
#include "io/epoll/ready_waiter.h"
#include "io/epoll/socket.h"
#include "io/epoll/tls_stream.h"

namespace penstock::io {

namespace {

// How long accepting pauses when the process has no descriptor left. Clients wait in the backlog.
constexpr Duration kExhaustedPause = std::chrono::milliseconds(50);

bool IsExhausted(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

// The end of the listener's own socket, or an error that no retry mends.
bool IsFatal(int error) { return error == EBADF || error == EINVAL || error == ENOTSOCK; }

class FdListener final : public Listener {
 public:
  FdListener(Loop& loop, Poller& poller, Descriptor socket, Address address, ListenOptions options)
      : loop_(loop),
        poller_(poller),
        socket_(std::move(socket)),
        address_(std::move(address)),
        options_(std::move(options)),
        waiter_(loop, poller, socket_.get()) {}

  ~FdListener() override {
    if (address_.kind == Address::Kind::kUnix) unlink(address_.host.c_str());
  }

  const Status& status() const { return waiter_.status(); }
  const Address& address() const override { return address_; }

  Task<Result<std::unique_ptr<Stream>>> Accept() override {
    const TaskState& task = co_await ThisTask();
    for (;;) {
      if (task.cancelled()) co_return Fail(Code::kCancelled, "accept: cancelled");
      Descriptor accepted(accept4(socket_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (accepted) {
        exhausted_ = false;
        auto stream = MakeStream(std::move(accepted));
        if (stream) co_return stream;
        continue;  // The poller is full: this client is dropped, the next may fit.
      }
      const int error = errno;
      if (IsFatal(error)) co_return Fail(SocketError("cannot accept on", address_, error));
      const Status waited = co_await WaitAfter(error);
      if (!waited) co_return Fail(waited.error());
    }
  }

 private:
  // The TLS handshake, if any, happens when the connection is first read: a slow client holds up
  // nobody else.
  Result<std::unique_ptr<Stream>> MakeStream(Descriptor socket) {
    const Address::Kind kind = address_.kind;
    if (!options_.tls) return FdStream::Make(loop_, poller_, std::move(socket), kind);
    return TlsStream::Make(loop_, poller_, std::move(socket), kind, options_.tls, {});
  }

  Task<Status> WaitAfter(int error) {
    if (error == EAGAIN) {
      waiter_.Clear();
      co_return co_await waiter_.Wait(Deadline::Never());
    }
    if (!IsExhausted(error)) co_return Status{};  // That one client failed; go on with the next.
    if (!exhausted_) {
      Log().warn("{}; connections to {} wait in its backlog",
                 SocketError("cannot accept on", address_, error).message, address_.ToString());
    }
    exhausted_ = true;
    co_return co_await loop_.Sleep(kExhaustedPause);
  }

  Loop& loop_;
  Poller& poller_;
  Descriptor socket_;
  Address address_;
  ListenOptions options_;
  ReadyWaiter waiter_;
  bool exhausted_ = false;  // So that running out is logged once.
};

// A socket file whose owner is dead refuses connections: then it is in nobody's use.
void RemoveStaleUnixSocket(const Address& address, const SocketAddress& target) {
  struct stat file{};
  if (lstat(address.host.c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) return;
  const Result<Descriptor> probe = OpenSocket(address);
  if (probe && connect(probe->get(), target.get(), target.size) != 0 && errno == ECONNREFUSED) {
    unlink(address.host.c_str());
  }
}

}  // namespace

Result<std::unique_ptr<Listener>> EpollLoop::Listen(const Address& address,
                                                    const ListenOptions& options) {
  const Result<SocketAddress> target = ToSocketAddress(address);
  if (!target) return Fail(target.error());
  Result<Descriptor> socket = OpenSocket(address);
  if (!socket) return Fail(socket.error());
  const int on = 1;
  if (address.kind == Address::Kind::kUnix) {
    RemoveStaleUnixSocket(address, *target);
  } else {
    setsockopt(socket->get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (options.reuse_port) setsockopt(socket->get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  }
  if (bind(socket->get(), target->get(), target->size) != 0 ||
      listen(socket->get(), options.backlog) != 0) {
    return Fail(SocketError("cannot listen on", address, errno));
  }
  SocketAddress bound;
  bound.size = sizeof bound.storage;
  getsockname(socket->get(), bound.get(), &bound.size);
  auto listener = std::make_unique<FdListener>(*this, poller_, std::move(*socket),
                                               FromSocketAddress(bound), options);
  if (!listener->status()) return Fail(listener->status().error());
  return listener;
}

}  // namespace penstock::io
