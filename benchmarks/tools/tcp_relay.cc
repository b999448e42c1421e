// tcp_relay: the least that a relay can do: each read's bytes go to the other side, unseen.
//
//   tcp_relay upstream=PORT
// One thread, edge-triggered epoll, one receive and one send for each piece; no HTTP, no key, no
// count. What it costs per event is the kernel's price on this machine, which no relay goes below.
// Prints {"port":N} when it listens, and runs until it is killed.
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <utility>
#include <vector>

#include "poller.h"
#include "socket.h"
#include "words.h"

namespace {

using measure::Socket;

constexpr std::uint32_t kWatched = EPOLLIN | EPOLLRDHUP | EPOLLET;

// One of the two sides of a relayed connection.
class Side final : public measure::Readiness {
 public:
  explicit Side(Socket own) : socket(std::move(own)) {}

  void OnReady(std::uint32_t /*events*/) override {
    static std::array<char, 64 * 1024> buffer;  // One thread.
    while (socket.valid()) {
      const ssize_t size = ::recv(socket.number(), buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EAGAIN) return;
      if (size <= 0) {
        socket.Close();
        other->socket.Close();
        return;
      }
      // Streams' pieces are far smaller than a socket's buffer: what is not taken is a failure that
      // the client will see.
      ::send(other->socket.number(), buffer.data(), static_cast<std::size_t>(size), MSG_NOSIGNAL);
      if (static_cast<std::size_t>(size) < buffer.size()) return;  // Drained.
    }
  }

  Socket socket;
  Side* other = nullptr;
};

class Relay final : public measure::Readiness {
 public:
  Relay(measure::Poller& poller, std::uint16_t upstream)
      : poller_(poller), upstream_(upstream), listener_(measure::ListenOnLoopback(0, false)) {
    poller_.Watch(listener_, EPOLLIN, this);
  }

  std::uint16_t port() const { return measure::PortOf(listener_); }

  void OnReady(std::uint32_t /*events*/) override {
    for (Socket socket = Accept(listener_); socket.valid(); socket = Accept(listener_)) {
      Side& client = Add(std::move(socket));
      // A connection over loopback is there at once, or refused.
      Side& server = Add(measure::ConnectToLoopback(upstream_));
      client.other = &server;
      server.other = &client;
      poller_.Watch(server.socket, kWatched, &server);
      poller_.Watch(client.socket, kWatched, &client);
    }
  }

 private:
  Side& Add(Socket socket) {
    return *sides_.emplace_back(std::make_unique<Side>(std::move(socket)));
  }

  measure::Poller& poller_;
  const std::uint16_t upstream_;
  Socket listener_;
  std::vector<std::unique_ptr<Side>> sides_;  // Never freed: a batch may still name one.
};

}  // namespace

int main(int count, char** arguments) {
  measure::Words words = measure::Words::FromArguments(count, arguments);
  const auto upstream = static_cast<std::uint16_t>(words.TakeNumber("upstream", 0));
  words.CheckAllTaken();
  measure::RaiseDescriptorLimit();
  measure::Poller poller;
  Relay relay(poller, upstream);
  fmt::print("{{\"port\":{}}}\n", relay.port());
  std::fflush(stdout);
  for (;;) poller.Poll(std::chrono::seconds(1));
}
