// LineSocket: one connection's bytes in and out, for the tools that simulate engines and tenants.
#pragma once

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "poller.h"
#include "socket.h"

namespace measure {

class LineSocket : public Readiness {
 public:
  explicit LineSocket(Poller& poller) : poller_(poller) {}
  virtual ~LineSocket() = default;

  void Open(Socket socket, bool connecting) {
    socket_ = std::move(socket);
    unsent_.clear();
    connecting_ = connecting;
    poller_.Watch(socket_, connecting ? EPOLLOUT : EPOLLIN, this);
  }
  bool open() const { return socket_.valid(); }
  void Close() { socket_.Close(); }

  // Sends now what the socket takes, and keeps the rest.
  void Send(std::string_view bytes) {
    if (!socket_.valid()) return;
    if (connecting_ || !unsent_.empty()) {
      unsent_ += bytes;
      return;
    }
    const ssize_t sent = ::send(socket_.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent == static_cast<ssize_t>(bytes.size()) || (sent < 0 && errno != EAGAIN)) return;
    unsent_ = bytes.substr(sent < 0 ? 0 : static_cast<std::size_t>(sent));
    poller_.Change(socket_, EPOLLIN | EPOLLOUT, this);
  }

  void OnReady(std::uint32_t events) final {
    if ((events & EPOLLOUT) != 0) {
      connecting_ = false;
      poller_.Change(socket_, EPOLLIN, this);
      Send(std::exchange(unsent_, {}));
    }
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || !socket_.valid()) return;
    static std::array<char, 64 * 1024> buffer;  // One thread reads at a time.
    const ssize_t size = ::recv(socket_.number(), buffer.data(), buffer.size(), 0);
    if (size > 0) return OnBytes(std::string_view(buffer.data(), static_cast<std::size_t>(size)));
    if (size < 0 && (errno == EAGAIN || errno == EINTR)) return;
    Close();
    OnClosed();
  }

 protected:
  virtual void OnBytes(std::string_view bytes) = 0;
  virtual void OnClosed() = 0;

 private:
  Poller& poller_;
  Socket socket_;
  std::string unsent_;
  bool connecting_ = false;
};

}  // namespace measure
