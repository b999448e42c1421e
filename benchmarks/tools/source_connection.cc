// The Source's connections: receiving with the kernel's stamps, and sending.
#include "source_connection.h"

#include <linux/errqueue.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <utility>

#include "answers.h"

namespace measure {
namespace {

Nanoseconds ToNanoseconds(const timespec& time) {
  return std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

// When the kernel received the message's last bytes, on the monotonic clock; now, if it left no
// stamp.
Nanoseconds ReceiveStamp(msghdr& message) {
  const Nanoseconds monotonic = Now();
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_TIMESTAMPING) continue;
    scm_timestamping stamps{};
    std::memcpy(&stamps, CMSG_DATA(part), sizeof stamps);
    timespec real{};
    ::clock_gettime(CLOCK_REALTIME, &real);
    return monotonic - (ToNanoseconds(real) - ToNanoseconds(stamps.ts[0]));
  }
  return monotonic;
}

}  // namespace

void Source::Connection::Open(Socket socket) {
  socket_ = std::move(socket);
  input_.clear();
  unsent_.clear();
  stream = Stream{};
  poller_.Watch(socket_, EPOLLIN, this);
}

void Source::Connection::Close() {
  if (!socket_.valid()) return;
  socket_.Close();
  if (stream.running) on_stream_end();
  stream.running = false;
  on_close();
}

void Source::Connection::OnReady(std::uint32_t events) {
  if ((events & EPOLLOUT) != 0) Flush();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) == 0 || !socket_.valid()) return;
  if (!Receive()) return Close();
  while (const auto request = ParseRequest(input_)) {
    on_request(*request);
    input_.erase(0, request->size);
  }
}

bool Source::Connection::Receive() {
  std::array<char, 64 * 1024> buffer;
  alignas(cmsghdr) std::array<char, 256> control;
  iovec into{.iov_base = buffer.data(), .iov_len = buffer.size()};
  msghdr message{};
  message.msg_iov = &into;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = ::recvmsg(socket_.number(), &message, 0);
  if (size < 0) return errno == EAGAIN || errno == EINTR;
  if (size == 0) return false;
  arrived_at_ = ReceiveStamp(message);
  input_.append(buffer.data(), static_cast<std::size_t>(size));
  return true;
}

Nanoseconds Source::Connection::Send(std::string_view bytes) {
  if (!socket_.valid()) return Now();
  if (blocked()) {
    unsent_ += bytes;
    return Now();
  }
  const Nanoseconds before = Now();
  const ssize_t sent = ::send(socket_.number(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
  if (sent == static_cast<ssize_t>(bytes.size())) return before;
  if (sent < 0 && errno != EAGAIN) return before;  // The peer is gone; reading will say so.
  unsent_ = bytes.substr(sent < 0 ? 0 : static_cast<std::size_t>(sent));
  poller_.Change(socket_, EPOLLIN | EPOLLOUT, this);
  return before;
}

void Source::Connection::Flush() {
  const std::string rest = std::exchange(unsent_, {});
  Send(rest);
  if (!blocked()) poller_.Change(socket_, EPOLLIN, this);
}

bool Source::Connection::SendTokens(std::string_view bytes, int events) {
  // The places of its times are touched first: to find memory for them is no part of the write.
  if (stream.keep_times) {
    stream.written_at.emplace_back();
    stream.returned_at.emplace_back();
  }
  const Nanoseconds before = Send(bytes);
  if (stream.keep_times) {
    stream.returned_at.back() = Now();
    stream.written_at.back() = before;
  }
  stream.last_token_at = before;
  if (stream.tokens_sent == 0) stream.first_token_at = before;
  stream.tokens_sent += events;
  stream.tokens_left -= events;
  if (stream.tokens_left <= 0) FinishStream();
  return stream.running;
}

void Source::Connection::FinishStream() {
  stream.running = false;
  Send(StreamEnd(stream.with_usage, stream.prompt_tokens, stream.tokens_sent));
  on_stream_end();
}

}  // namespace measure
