// FdStream: a stream on a non-blocking socket in the poller's edge-triggered set.
//
// A short read counts as drained, which saves the second recv that would only say EAGAIN. Where
// several streams have events at once, their bytes are received together, before their turns.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/file.h"
#include "io/address.h"
#include "io/epoll/poller.h"
#include "io/stream.h"

namespace penstock::io {

class FdStream : public Stream, private EventHandler {
 public:
  // Takes a connected, non-blocking socket. Turns Nagle's algorithm off.
  static Result<std::unique_ptr<Stream>> Make(Loop& loop, Poller& poller, Descriptor socket,
                                              Address::Kind kind);
  ~FdStream() override;

  void EnableReceiveTimestamps() override;
  void PutOffAcknowledgements(bool put_off) override;
  bool MayHaveInput() const override { return readable_ || place_ != kNoPlace || early_; }
  void ShutdownWrite() override;
  Address peer() const override;

 protected:
  FdStream(Loop& loop, Poller& poller, Descriptor socket, Address::Kind kind);
  // Enters the poller's set; before any transfer.
  Status Register();

  Try TryRead(std::span<char> into, Transfer& transfer) override;
  Try TryWrite(std::span<std::string_view> pieces, Transfer& transfer) override;

  void ReadAhead(std::uint32_t events, BatchReader& reader) override;

  int socket() const { return socket_.get(); }
  void set_readable(bool readable) { readable_ = readable; }
  void set_writable(bool writable) { writable_ = writable; }

 private:
  void OnEvents(std::uint32_t events) override;
  void Prefetch(bool nearer) const override { nearer ? PrefetchCompanions() : PrefetchReader(); }
  ssize_t ReceiveStamped(std::span<char> into);
  void TakeStamp(msghdr& message);
  Try TakeAhead(std::span<char> into, Transfer& transfer);
  Try TakeEarly(std::span<char> into, Transfer& transfer);
  Try Received(ssize_t count, std::size_t room, Transfer& transfer);
  Try Failed(int error, Transfer& transfer);

  static constexpr std::uint8_t kNoPlace = 255;

  // Few bytes: a stream of tokens holds two of these for as long as it lasts.
  Poller& poller_;
  Descriptor socket_;
  bool readable_ = true;  // False: drained, until the next event.
  bool writable_ = true;  // False: the send buffer is full, until the next event.
  bool stamped_ = false;
  const bool is_tcp_;
  std::uint8_t place_ =
      kNoPlace;     // Of what was received ahead for this stream: poller_.reader()'s.
  int broken_ = 0;  // errno of the failure that ended the connection, 0 while there is none.
  // Received ahead for a reader that was cancelled meanwhile, or that had no room for it.
  std::unique_ptr<std::string> early_;
};

}  // namespace penstock::io
