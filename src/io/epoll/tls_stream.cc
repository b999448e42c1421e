#include "io/epoll/tls_stream.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace penstock::io {

namespace {

constexpr std::size_t kRecordMax = 16 * 1024;

bool IsNumeric(const std::string& host) {
  in6_addr bytes{};
  return inet_pton(AF_INET, host.c_str(), &bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

}  // namespace

// OpenSSL's view of the socket: FdStream's transfers behind its BIO interface.
struct TlsTransport {
  static TlsStream& StreamOf(BIO* bio) { return *static_cast<TlsStream*>(BIO_get_data(bio)); }

  static int Read(BIO* bio, char* into, int size) {
    BIO_clear_retry_flags(bio);
    TlsStream& stream = StreamOf(bio);
    Transfer transfer;
    const std::span<char> span(into, static_cast<std::size_t>(size));
    if (stream.FdStream::TryRead(span, transfer) == TlsStream::Try::kWait) {
      BIO_set_retry_read(bio);
      return -1;
    }
    if (transfer.failed) {
      stream.transport_failure_ = transfer;
      return -1;
    }
    if (transfer.bytes == 0) stream.transport_ended_ = true;
    return static_cast<int>(transfer.bytes);
  }

  static int Write(BIO* bio, const char* bytes, int size) {
    BIO_clear_retry_flags(bio);
    TlsStream& stream = StreamOf(bio);
    Transfer transfer;
    std::string_view piece(bytes, static_cast<std::size_t>(size));
    const auto outcome = stream.FdStream::TryWrite({&piece, 1}, transfer);
    if (transfer.bytes > 0) return static_cast<int>(transfer.bytes);
    if (outcome == TlsStream::Try::kWait) {
      BIO_set_retry_write(bio);
    } else {
      stream.transport_failure_ = transfer;
    }
    return -1;
  }

  static long Control(BIO* bio, int command, long, void*) {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return StreamOf(bio).transport_ended_ ? 1 : 0;
    return 0;
  }

  static BIO_METHOD* Method() {
    static const std::unique_ptr<BIO_METHOD, decltype(&BIO_meth_free)> method = [] {
      BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "penstock");
      CHECK(made != nullptr, "OpenSSL is out of memory");
      BIO_meth_set_read(made, &Read);
      BIO_meth_set_write(made, &Write);
      BIO_meth_set_ctrl(made, &Control);
      return std::unique_ptr<BIO_METHOD, decltype(&BIO_meth_free)>(made, &BIO_meth_free);
    }();
    return method.get();
  }
};

TlsStream::TlsStream(Loop& loop, Poller& poller, Descriptor socket, Address::Kind kind,
                     std::shared_ptr<const TlsContext> context)
    : FdStream(loop, poller, std::move(socket), kind),
      context_(std::move(context)),
      ssl_(SSL_new(context_->get()), &SSL_free) {}

TlsStream::~TlsStream() { SayGoodbye(); }

Result<std::unique_ptr<Stream>> TlsStream::Make(Loop& loop, Poller& poller, Descriptor socket,
                                                Address::Kind kind,
                                                std::shared_ptr<const TlsContext> context,
                                                const std::string& server_name) {
  std::unique_ptr<TlsStream> stream(
      new TlsStream(loop, poller, std::move(socket), kind, std::move(context)));
  if (Status prepared = stream->Prepare(server_name); !prepared) return Fail(prepared.error());
  if (Status registered = stream->Register(); !registered) return Fail(registered.error());
  return stream;
}

Status TlsStream::Prepare(const std::string& server_name) {
  BIO* bio = ssl_ ? BIO_new(TlsTransport::Method()) : nullptr;
  if (bio == nullptr) return Fail(Code::kExhausted, "cannot make a TLS connection: no memory");
  BIO_set_data(bio, this);
  BIO_set_init(bio, 1);
  SSL_set_bio(ssl_.get(), bio, bio);  // Takes the BIO over.
  if (context_->is_server()) {
    SSL_set_accept_state(ssl_.get());
    return {};
  }
  SSL_set_connect_state(ssl_.get());
  const bool numeric = IsNumeric(server_name);
  bool good = numeric || SSL_set_tlsext_host_name(ssl_.get(), server_name.c_str()) == 1;
  if (good && context_->verifies()) {
    good = numeric
               ? X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl_.get()), server_name.c_str()) == 1
               : SSL_set1_host(ssl_.get(), server_name.c_str()) == 1;
  }
  ERR_clear_error();
  if (!good) {
    return Fail(Code::kInvalidArgument, "'" + server_name + "' cannot be a TLS server's name");
  }
  return {};
}

Stream::Try TlsStream::TryRead(std::span<char> into, Transfer& transfer) {
  ERR_clear_error();
  const int outcome = SSL_read_ex(ssl_.get(), into.data(), into.size(), &transfer.bytes);
  return outcome == 1 ? Try::kFinal : Explain(outcome, transfer);
}

Stream::Try TlsStream::TryWrite(std::span<std::string_view> pieces, Transfer& transfer) {
  for (;;) {
    while (!pieces.empty() && pieces.front().empty()) pieces = pieces.subspan(1);
    ERR_clear_error();
    if (pieces.empty()) {
      const int outcome = SSL_do_handshake(ssl_.get());
      return outcome == 1 ? Try::kFinal : Explain(outcome, transfer);
    }
    // A head and a body make one record, so one packet, where they fit. The scratch buffer will not
    // do: the bytes may stand in it.
    std::array<char, kRecordMax> record;
    std::string_view chunk = pieces[0];
    if (pieces.size() > 1 && !pieces[1].empty() && pieces[0].size() < kRecordMax) {
      const std::size_t more = std::min(pieces[1].size(), kRecordMax - pieces[0].size());
      std::memcpy(record.data(), pieces[0].data(), pieces[0].size());
      std::memcpy(record.data() + pieces[0].size(), pieces[1].data(), more);
      chunk = {record.data(), pieces[0].size() + more};
    }
    std::size_t count = 0;
    const int outcome = SSL_write_ex(ssl_.get(), chunk.data(), chunk.size(), &count);
    if (outcome != 1) return Explain(outcome, transfer);
    transfer.bytes += count;
    for (std::string_view& piece : pieces) {
      const std::size_t taken = std::min(piece.size(), count);
      piece.remove_prefix(taken);
      count -= taken;
    }
  }
}

// Turns the outcome of an OpenSSL call that did not succeed into ours.
Stream::Try TlsStream::Explain(int outcome, Transfer& transfer) {
  const int error = SSL_get_error(ssl_.get(), outcome);
  if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return Try::kWait;
  if (error == SSL_ERROR_ZERO_RETURN) {
    transfer = {};
    return Try::kFinal;
  }
  broken_ = true;
  const unsigned long first = ERR_peek_error();
  ERR_clear_error();
  if (transport_failure_.failed) {
    transfer = transport_failure_;
  } else if (transport_ended_) {
    transfer = {.failed = true, .failure = Code::kClosed, .reason = "ended without TLS goodbye"};
  } else {
    transfer = {.failed = true, .failure = Code::kUpstream};
    const long verified = SSL_get_verify_result(ssl_.get());
    transfer.reason = context_->verifies() && verified != X509_V_OK
                          ? X509_verify_cert_error_string(verified)
                          : ERR_reason_error_string(first);
    if (transfer.reason == nullptr) transfer.reason = "TLS failed";
  }
  return Try::kFinal;
}

bool TlsStream::MayHaveInput() const {
  // The socket may hold bytes that are none to our reader, such as session tickets: so look inside.
  char byte = 0;
  std::size_t count = 0;
  ERR_clear_error();
  const int outcome = SSL_peek_ex(ssl_.get(), &byte, 1, &count);
  const int error = outcome == 1 ? SSL_ERROR_NONE : SSL_get_error(ssl_.get(), outcome);
  ERR_clear_error();
  return error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
}

void TlsStream::SayGoodbye() {
  if (broken_ || !ssl_ || SSL_is_init_finished(ssl_.get()) == 0) return;
  if ((SSL_get_shutdown(ssl_.get()) & SSL_SENT_SHUTDOWN) != 0) return;
  SSL_shutdown(ssl_.get());
  ERR_clear_error();
}

void TlsStream::ShutdownWrite() {
  SayGoodbye();
  FdStream::ShutdownWrite();
}

}  // namespace penstock::io
