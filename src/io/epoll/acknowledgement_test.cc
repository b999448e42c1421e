// When what was read is acknowledged, seen from the peer's socket.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "base/file.h"
#include "io/io_testing.h"

namespace penstock::io {
namespace {

using testing::Must;

// A listener and its connection, without our runtime.
class RawServer {
 public:
  RawServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_.get(), generic, size), 0);
    EXPECT_EQ(listen(listener_.get(), 1), 0);
    EXPECT_EQ(getsockname(listener_.get(), generic, &size), 0);
    port_ = ntohs(address.sin_port);
  }

  Address address() const { return {.host = "127.0.0.1", .port = port_}; }
  // Without Nagle's algorithm, which would wait for acknowledgements.
  void Accept() {
    peer_ = Descriptor(accept(listener_.get(), nullptr, nullptr));
    const int on = 1;
    EXPECT_EQ(setsockopt(peer_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
  }
  void Send() const { EXPECT_EQ(send(peer_.get(), "piece", 5, MSG_NOSIGNAL), 5); }

  // Segments that were sent and are not acknowledged.
  unsigned Unacknowledged() const {
    tcp_info info{};
    socklen_t size = sizeof info;
    EXPECT_EQ(getsockopt(peer_.get(), IPPROTO_TCP, TCP_INFO, &info, &size), 0);
    return info.tcpi_unacked;
  }

 private:
  Descriptor listener_;
  Descriptor peer_;
  std::uint16_t port_ = 0;
};

class AcknowledgementTest : public testing::OnLoop<testing::RealKind> {};

// How often, of 40 pieces, the one that was just read is not acknowledged yet.
Task<int> CountPutOff(Stream& stream, const RawServer& server) {
  int count = 0;
  std::string piece(100, '\0');
  for (int i = 0; i < 40; ++i) {
    server.Send();
    EXPECT_EQ(Must(co_await stream.Read(piece, Deadline::Never())), 5u);
    if (server.Unacknowledged() > 0) ++count;
  }
  co_return count;
}

TEST_F(AcknowledgementTest, IsPutOffAndGivenAtOnceAgain) {
  Run([](Loop& loop) -> Task<void> {
    RawServer server;
    const auto stream = Must(co_await loop.Connect(server.address(), {}, Deadline::Never()));
    server.Accept();
    // Not exactly all or none: a busy kernel may take its time.
    EXPECT_LE(co_await CountPutOff(*stream, server), 5);
    stream->PutOffAcknowledgements(true);
    // One serves two pieces or more, until the system finds that it came too late.
    EXPECT_GE(co_await CountPutOff(*stream, server), 1);
    stream->PutOffAcknowledgements(false);
    EXPECT_LE(co_await CountPutOff(*stream, server), 5);
  }(loop()));
}

TEST_F(AcknowledgementTest, OfAUnixSocketThereIsNone) {
  Run([](Loop& loop) -> Task<void> {
    const testing::Pair pair = co_await testing::ConnectPair(loop, testing::AnyUnix());
    pair.client->PutOffAcknowledgements(true);
    Must(co_await pair.server->Write("bytes", Deadline::Never()));
    EXPECT_EQ(Must(co_await testing::ReadExactly(*pair.client, 5)), "bytes");
  }(loop()));
}

}  // namespace
}  // namespace penstock::io
