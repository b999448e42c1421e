#include "io/epoll/fd_stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <optional>

#include "io/epoll/socket.h"
#include "io/loop.h"

namespace penstock::io {

namespace {

constexpr std::size_t kJoinedMax = 2048;  // Bytes of head and body that are sent as one piece.

Code CodeOf(int error) {
  switch (error) {
    case ECONNRESET:
    case EPIPE:
    case ENOTCONN:
    case ECONNABORTED:
    case ETIMEDOUT:
      return Code::kClosed;
    case ENOBUFS:
    case ENOMEM:
      return Code::kExhausted;
    default:
      return Code::kInternal;
  }
}

// The kernel's stamp, in real time; nullopt where it left none.
std::optional<Duration> KernelStamp(msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_TIMESTAMPNS) continue;
    timespec stamp{};
    std::memcpy(&stamp, CMSG_DATA(header), sizeof stamp);
    return std::chrono::seconds(stamp.tv_sec) + std::chrono::nanoseconds(stamp.tv_nsec);
  }
  return std::nullopt;
}

}  // namespace

FdStream::FdStream(Loop& loop, Poller& poller, Descriptor socket, Address::Kind kind)
    : Stream(loop),
      poller_(poller),
      socket_(std::move(socket)),
      is_tcp_(kind == Address::Kind::kTcp) {}

FdStream::~FdStream() { poller_.Remove(socket_.get(), *this); }

Result<std::unique_ptr<Stream>> FdStream::Make(Loop& loop, Poller& poller, Descriptor socket,
                                               Address::Kind kind) {
  std::unique_ptr<FdStream> stream(new FdStream(loop, poller, std::move(socket), kind));
  if (Status registered = stream->Register(); !registered) return Fail(registered.error());
  return stream;
}

Status FdStream::Register() {
  if (is_tcp_) {
    const int on = 1;
    setsockopt(socket_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  return poller_.Add(socket_.get(), *this);
}

void FdStream::EnableReceiveTimestamps() {
  const int on = 1;
  stamped_ = setsockopt(socket_.get(), SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) == 0;
}

void FdStream::PutOffAcknowledgements(bool put_off) {
  if (!is_tcp_) return;
  const int quick = put_off ? 0 : 1;
  setsockopt(socket_.get(), IPPROTO_TCP, TCP_QUICKACK, &quick, sizeof quick);
}

ssize_t FdStream::ReceiveStamped(std::span<char> into) {
  iovec piece{into.data(), into.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(timespec))> control;
  msghdr message{};
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t count = recvmsg(socket_.get(), &message, MSG_DONTWAIT);
  if (count > 0) TakeStamp(message);
  return count;
}

void FdStream::TakeStamp(msghdr& message) {
  const auto stamp = KernelStamp(message);
  received_at_ = stamp ? poller_.stamp_clock().ToMonotonic(*stamp) : loop_.Now();
}

// The kernel tells of an error once; what comes after it would look like the peer's orderly end.
// EPIPE is none of the connection's: the peer may have ended in order before.
Stream::Try FdStream::Failed(int error, Transfer& transfer) {
  if (error != EPIPE) broken_ = error;
  transfer = {.failed = true, .failure = CodeOf(error), .error_number = error};
  return Try::kFinal;
}

Stream::Try FdStream::TryRead(std::span<char> into, Transfer& transfer) {
  if (early_) return TakeEarly(into, transfer);
  if (place_ != kNoPlace) return TakeAhead(into, transfer);
  while (readable_) {
    const ssize_t count = stamped_ ? ReceiveStamped(into)
                                   : recv(socket_.get(), into.data(), into.size(), MSG_DONTWAIT);
    if (count >= 0) {
      if (count > 0 && !stamped_) received_at_ = loop_.Now();
      return Received(count, into.size(), transfer);
    }
    if (errno == EAGAIN) {
      readable_ = false;
    } else if (errno != EINTR) {
      return Failed(errno, transfer);
    }
  }
  return Try::kWait;
}

// `count` bytes came into `room`.
Stream::Try FdStream::Received(ssize_t count, std::size_t room, Transfer& transfer) {
  if (count == 0 && broken_ != 0 && room > 0) return Failed(broken_, transfer);
  // A short read has drained the socket, unless the end has been announced and is still to be read.
  if (count > 0 && static_cast<std::size_t>(count) < room && !hung_up()) readable_ = false;
  transfer = {.bytes = static_cast<std::size_t>(count)};
  return Try::kFinal;
}

void FdStream::ReadAhead(std::uint32_t events, BatchReader& reader) {
  constexpr std::uint32_t kEnds = EPOLLRDHUP | EPOLLHUP | EPOLLERR;
  if ((events & (EPOLLIN | kEnds)) != EPOLLIN || !is_read() || early_) return;
  place_ = static_cast<std::uint8_t>(reader.Add(socket_.get(), stamped_));
}

// As TryRead(), of what was received ahead. What does not fit is for the next read.
Stream::Try FdStream::TakeAhead(std::span<char> into, Transfer& transfer) {
  const auto received = poller_.reader().at(std::exchange(place_, kNoPlace));
  if (received.result == BatchReader::kNotTried) return FdStream::TryRead(into, transfer);
  if (received.result == -EAGAIN) {
    readable_ = false;
    return Try::kWait;
  }
  if (received.result < 0) return Failed(static_cast<int>(-received.result), transfer);
  if (Received(received.result, BatchReader::kBytesMost, transfer); transfer.failed) {
    return Try::kFinal;
  }
  const std::size_t size = transfer.bytes;
  if (size > 0) received_at_ = poller_.received_at();
  if (size > 0 && received.message != nullptr) TakeStamp(*received.message);
  transfer.bytes = std::min(size, into.size());
  std::copy_n(received.bytes, transfer.bytes, into.data());
  if (transfer.bytes < size) {
    early_ = std::make_unique<std::string>(received.bytes + transfer.bytes, size - transfer.bytes);
  } else if (size == BatchReader::kBytesMost && size < into.size()) {
    Transfer more;  // A failure is told by the next read.
    (void)FdStream::TryRead(into.subspan(size), more);
    transfer.bytes += more.failed ? 0 : more.bytes;
  }
  return Try::kFinal;
}

Stream::Try FdStream::TakeEarly(std::span<char> into, Transfer& transfer) {
  const std::size_t fits = std::min(early_->size(), into.size());
  std::copy_n(early_->data(), fits, into.data());
  early_->erase(0, fits);
  if (early_->empty()) early_.reset();
  transfer = {.bytes = fits};
  return Try::kFinal;
}

Stream::Try FdStream::TryWrite(std::span<std::string_view> pieces, Transfer& transfer) {
  while (writable_) {
    while (!pieces.empty() && pieces.front().empty()) pieces = pieces.subspan(1);
    if (pieces.empty()) return Try::kFinal;
    ssize_t count = 0;
    if (pieces.size() == 1 || pieces[1].empty()) {
      count = send(socket_.get(), pieces[0].data(), pieces[0].size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (pieces[0].size() + pieces[1].size() <= kJoinedMax) {
      // The kernel's way to look at a vector costs more than to copy so little.
      std::array<char, kJoinedMax> joined;
      std::memcpy(joined.data(), pieces[0].data(), pieces[0].size());
      std::memcpy(joined.data() + pieces[0].size(), pieces[1].data(), pieces[1].size());
      count = send(socket_.get(), joined.data(), pieces[0].size() + pieces[1].size(),
                   MSG_DONTWAIT | MSG_NOSIGNAL);
    } else {
      std::array<iovec, 2> vector{{{const_cast<char*>(pieces[0].data()), pieces[0].size()},
                                   {const_cast<char*>(pieces[1].data()), pieces[1].size()}}};
      msghdr message{};
      message.msg_iov = vector.data();
      message.msg_iovlen = vector.size();
      count = sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
    if (count < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        writable_ = false;
        break;
      }
      return Failed(errno, transfer);
    }
    transfer.bytes += static_cast<std::size_t>(count);
    for (std::string_view& piece : pieces) {
      const std::size_t taken = std::min(piece.size(), static_cast<std::size_t>(count));
      piece.remove_prefix(taken);
      count -= static_cast<ssize_t>(taken);
    }
  }
  return Try::kWait;
}

Address FdStream::peer() const {
  SocketAddress address;
  address.size = sizeof address.storage;
  if (getpeername(socket_.get(), address.get(), &address.size) != 0) return {};
  return FromSocketAddress(address);
}

void FdStream::ShutdownWrite() { shutdown(socket_.get(), SHUT_WR); }

void FdStream::OnEvents(std::uint32_t events) {
  if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) readable_ = true;
  if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0) writable_ = true;
  if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) NoteHangup();
  if (place_ != kNoPlace && !is_read()) {
    Transfer kept;  // Nobody waits any more: it is kept.
    (void)FdStream::TakeAhead({}, kept);
  }
  Retry();
}

}  // namespace penstock::io
