// Sink: one small state machine for each connection.
#include "sink.h"

#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "http_message.h"
#include "socket.h"

namespace measure {

// How many connections may be waiting for their first byte: less than a listener's usual queue of
// 511.
constexpr int kOpeningMax = 256;

class Sink::Connection final : public Readiness {
 public:
  Connection(Sink& sink, int number)
      : sink_(sink), number_(number), reader_(sink.options_.keep_responses) {
    Connect();
  }

  void OnReady(std::uint32_t events) override {
    if ((events & EPOLLOUT) != 0) return Connected();
    static std::array<char, 64 * 1024> buffer;  // One thread reads at a time.
    const ssize_t size = ::recv(socket_.number(), buffer.data(), buffer.size(), 0);
    if (size > 0) return Received(std::string_view(buffer.data(), static_cast<std::size_t>(size)));
    if (size < 0 && errno == EAGAIN) return;
    Closed(size == 0 ? "the peer closed the connection" : std::strerror(errno));
  }

  void Resume() { SendNext(); }

 private:
  void Connect() {
    responses_ = 0;
    socket_ = ConnectToLoopback(sink_.options_.port);
    sink_.poller_.Watch(socket_, EPOLLOUT, this);
  }

  void Connected() {
    int error = 0;
    socklen_t size = sizeof error;
    ::getsockopt(socket_.number(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return Lose(std::strerror(error));
    sink_.poller_.Change(socket_, EPOLLIN, this);
    if (request_.empty()) return SendNext();
    Send();
  }

  void SendNext() {
    const auto body = sink_.options_.next_body(number_);
    if (!body && sink_.options_.idles) return sink_.idle_.push_back(number_);
    if (!body) return Finish();
    const SinkOptions& options = sink_.options_;
    const std::string authorization =
        options.key.empty() ? "" : fmt::format("Authorization: Bearer {}\r\n", options.key);
    request_ = fmt::format(
        "POST {} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n{}"
        "Content-Length: {}\r\n\r\n{}",
        options.path, options.port, authorization, body->size(), *body);
    Send();
  }

  void Send() {
    const ssize_t sent = ::send(socket_.number(), request_.data(), request_.size(), MSG_NOSIGNAL);
    // Requests are far smaller than a socket's buffer, and the connection is idle.
    if (sent != static_cast<ssize_t>(request_.size()))
      Closed("the request could not be sent whole");
  }

  void Received(std::string_view bytes) {
    ++sink_.totals_.reads;
    if (!started_) ++sink_.started_;
    started_ = true;
    response_begun_ = true;
    while (!bytes.empty() && socket_.valid()) {
      const auto progress = reader_.Feed(bytes);
      bytes.remove_prefix(progress.used);
      sink_.totals_.events += progress.events;
      if (progress.events > 0 && !progress.finished && sink_.options_.on_events) {
        sink_.options_.on_events(number_, progress.events);
      }
      if (progress.finished) Responded();
    }
  }

  void Responded() {
    ++responses_;
    response_begun_ = false;
    if (reader_.status() == 200) {
      ++sink_.totals_.responses;
      if (sink_.options_.on_response) sink_.options_.on_response(number_, reader_.body());
    } else {
      sink_.Fail(fmt::format("status {} {}", reader_.status(), reader_.body()));
    }
    SendNext();
  }

  // Some servers close a kept-alive connection after a response, when the next request is on its
  // way: that is no failure, the request is sent again.
  void Closed(const std::string& why) {
    if (responses_ == 0 || response_begun_ || finished_) return Lose(why);
    Connect();
  }

  void Lose(const std::string& why) {
    socket_.Close();
    if (!started_) ++sink_.started_;
    started_ = true;
    // A peer may close a connection that has nothing more to send.
    if (!finished_) sink_.Fail(why);
    Finish();
  }

  void Finish() {
    if (!finished_) ++sink_.finished_;
    finished_ = true;
  }

  Sink& sink_;
  const int number_;
  Socket socket_;
  ResponseReader reader_;
  std::string request_;  // The last one sent.
  int responses_ = 0;    // Whole ones, on the present connection.
  bool response_begun_ = false;
  bool started_ = false;
  bool finished_ = false;
};

Sink::Sink(Poller& poller, SinkOptions options) : poller_(poller), options_(std::move(options)) {}

Sink::~Sink() = default;

void Sink::OpenMore() {
  while (static_cast<int>(connections_.size()) < options_.connections &&
         static_cast<int>(connections_.size()) - started_ < kOpeningMax) {
    const int number = static_cast<int>(connections_.size());
    connections_.push_back(std::make_unique<Connection>(*this, number));
  }
}

bool Sink::Resume() {
  if (idle_.empty()) return false;
  const auto number = static_cast<std::size_t>(idle_.front());
  idle_.pop_front();
  connections_[number]->Resume();
  return true;
}

bool Sink::all_started() const { return started_ == options_.connections; }

bool Sink::all_finished() const { return finished_ == options_.connections; }

void Sink::Fail(const std::string& why) {
  ++totals_.failures;
  if (first_failure_.empty()) first_failure_ = why;
}

}  // namespace measure
