// TlsStream: TLS over an FdStream.
//
// OpenSSL reads and writes through FdStream's own transfers, so draining, kernel time stamps and
// hang-ups work as they do without TLS. The handshake happens inside the first transfers; an empty
// Write() completes when it is done. A peer that ends without saying so (close_notify) gives
// Code::kClosed, not the end: somebody may have cut the connection. A peer that does not speak TLS,
// or whose certificate is not good, gives Code::kUpstream.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>

#include "io/epoll/fd_stream.h"
#include "io/tls.h"

namespace penstock::io {

class TlsStream final : public FdStream {
 public:
  // `server_name` matters to clients only: the SNI, and what the server's certificate must name (a
  // host name or a numeric address).
  static Result<std::unique_ptr<Stream>> Make(Loop& loop, Poller& poller, Descriptor socket,
                                              Address::Kind kind,
                                              std::shared_ptr<const TlsContext> context,
                                              const std::string& server_name);
  ~TlsStream() override;  // Says goodbye (close_notify) if the connection is whole.

  bool MayHaveInput() const override;
  void ShutdownWrite() override;

 protected:
  Try TryRead(std::span<char> into, Transfer& transfer) override;
  Try TryWrite(std::span<std::string_view> pieces, Transfer& transfer) override;
  // OpenSSL asks for few bytes at a time.
  void ReadAhead(std::uint32_t /*events*/, BatchReader& /*reader*/) override {}

 private:
  friend struct TlsTransport;  // What OpenSSL calls to move bytes.

  TlsStream(Loop& loop, Poller& poller, Descriptor socket, Address::Kind kind,
            std::shared_ptr<const TlsContext> context);
  Status Prepare(const std::string& server_name);
  Try Explain(int outcome, Transfer& transfer);
  void SayGoodbye();

  std::shared_ptr<const TlsContext> context_;
  std::unique_ptr<SSL, decltype(&SSL_free)> ssl_;
  Transfer transport_failure_;    // Of the socket, if `failed`.
  bool transport_ended_ = false;  // The socket's end was read.
  bool broken_ = false;           // Nothing more may be said on this connection.
};

}  // namespace penstock::io
