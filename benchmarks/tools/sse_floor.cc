// sse_floor: the least that a load generator can do: it receives, and looks at nothing.
//
//   sse_floor port=SOURCE streams=1000 stamps=0 acks=1
// One thread, edge-triggered epoll, one receive for each readiness; with stamps=1 by recvmsg, with
// the kernel's receive stamp; with acks=0 acknowledgements are put off from the 16th piece on. What
// it costs per event is the kernel's price on this machine. Prints
// {"reads":N} when it is told to end (SIGTERM).
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "poller.h"
#include "socket.h"
#include "words.h"

namespace {

using measure::Socket;

volatile std::sig_atomic_t stop = 0;
long reads = 0;

ssize_t ReceiveStamped(int socket, std::span<char> into) {
  iovec piece{.iov_base = into.data(), .iov_len = into.size()};
  alignas(cmsghdr) std::array<char, 64> control;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  return ::recvmsg(socket, &message, 0);
}

class Stream final : public measure::Readiness {
 public:
  Stream(Socket socket, bool stamped, bool put_off)
      : socket_(std::move(socket)), stamped_(stamped), put_off_(put_off) {
    if (!stamped_) return;
    const int on = 1;
    if (::setsockopt(socket_.number(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0) {
      measure::Die("setsockopt(SO_TIMESTAMPNS)");
    }
  }

  void OnReady(std::uint32_t events) override {
    static std::array<char, 64 * 1024> buffer;  // One thread.
    if (!asked_ && (events & EPOLLOUT) != 0) Ask();
    if ((events & EPOLLIN) == 0) return;
    const ssize_t size = stamped_ ? ReceiveStamped(socket_.number(), buffer)
                                  : ::recv(socket_.number(), buffer.data(), buffer.size(), 0);
    if (size > 0) ++reads;
    if (size > 0 && put_off_ && ++pieces_ == kPiecesAtOnce) {
      const int off = 0;
      if (::setsockopt(socket_.number(), IPPROTO_TCP, TCP_QUICKACK, &off, sizeof off) != 0) {
        measure::Die("setsockopt(TCP_QUICKACK)");
      }
    }
    if (size == 0) socket_.Close();
  }

  const Socket& socket() const { return socket_; }

 private:
  void Ask() {
    static const std::string body =
        R"({"model":"bench","messages":[{"role":"user","content":"?"}],"max_tokens":100000000,)"
        R"("stream":true})";
    static const std::string request = fmt::format(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: "
        "application/json\r\nContent-Length: {}\r\n\r\n{}",
        body.size(), body);
    asked_ = true;
    if (::send(socket_.number(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
      measure::Die("send");
    }
  }

  Socket socket_;
  static constexpr int kPiecesAtOnce = 16;
  const bool stamped_;
  const bool put_off_;
  int pieces_ = 0;
  bool asked_ = false;
};

}  // namespace

int main(int count, char** arguments) {
  measure::Words words = measure::Words::FromArguments(count, arguments);
  const auto port = static_cast<std::uint16_t>(words.TakeNumber("port", 0));
  const long wanted = words.TakeNumber("streams", 1000);
  const bool stamped = words.TakeNumber("stamps", 0) != 0;
  const bool put_off = words.TakeNumber("acks", 1) == 0;
  words.CheckAllTaken();
  std::signal(SIGTERM, [](int) { stop = 1; });
  measure::RaiseDescriptorLimit();
  measure::Poller poller;
  std::vector<std::unique_ptr<Stream>> streams;
  while (stop == 0) {
    if (std::cmp_less(streams.size(), wanted)) {
      streams.push_back(
          std::make_unique<Stream>(measure::ConnectToLoopback(port), stamped, put_off));
      Stream& added = *streams.back();
      poller.Watch(added.socket(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, &added);
    }
    poller.Poll(std::cmp_less(streams.size(), wanted) ? std::chrono::microseconds(50)
                                                      : measure::Nanoseconds(100'000'000));
  }
  fmt::print("{{\"reads\":{}}}\n", reads);
  return 0;
}
