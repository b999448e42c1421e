// Listening, accepting and connecting, on every kind of loop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/io_testing.h"
#include "io/stream.h"

namespace penstock::io {
namespace {

using std::chrono::milliseconds;
using testing::AnyTcp;
using testing::AnyUnix;
using testing::CodeOf;
using ::testing::HasSubstr;
using testing::Must;
using testing::ReadExactly;
using testing::ReadToEnd;

template <typename Kind>
class ListenerTest : public testing::OnLoop<Kind> {};
TYPED_TEST_SUITE(ListenerTest, testing::LoopKinds);

TYPED_TEST(ListenerTest, PortZeroBecomesARealPort) {
  const auto first = Must(this->loop().Listen(AnyTcp(), {}));
  const auto second = Must(this->loop().Listen(AnyTcp(), {}));
  EXPECT_NE(first->address().port, 0);
  EXPECT_NE(first->address().port, second->address().port);
  EXPECT_EQ(first->address().host, "127.0.0.1");
}

TYPED_TEST(ListenerTest, AnAddressInUseIsNamed) {
  for (const Address& where : {AnyTcp(), AnyUnix()}) {
    const auto first = Must(this->loop().Listen(where, {}));
    const auto second = this->loop().Listen(first->address(), {});
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::kConflict);
    EXPECT_THAT(second.error().message, HasSubstr(first->address().ToString()));
  }
}

TYPED_TEST(ListenerTest, AFreedAddressMayBeTakenAgain) {
  for (const Address& where : {AnyTcp(), AnyUnix()}) {
    auto first = Must(this->loop().Listen(where, {}));
    const Address address = first->address();
    first.reset();
    EXPECT_TRUE(this->loop().Listen(address, {}));
  }
}

TYPED_TEST(ListenerTest, APortMayBeShared) {
  ListenOptions shared;
  shared.reuse_port = true;
  const auto first = Must(this->loop().Listen(AnyTcp(), shared));
  EXPECT_TRUE(this->loop().Listen(first->address(), shared));
}

Task<void> ConnectToNobody(Loop& loop, Address address) {
  const auto stream = co_await loop.Connect(address, {}, Deadline::Never());
  EXPECT_EQ(CodeOf(stream), Code::kUnavailable);
  if (!stream) EXPECT_THAT(stream.error().message, HasSubstr(address.ToString()));
}

TYPED_TEST(ListenerTest, ConnectingToNobodyIsRefused) {
  const Address gone = Must(this->loop().Listen(AnyTcp(), {}))->address();
  this->Run(ConnectToNobody(this->loop(), gone));
  this->Run(ConnectToNobody(this->loop(), AnyUnix()));
}

Task<void> NameThePeer(Loop& loop) {
  const auto listener = Must(loop.Listen(AnyTcp(), {}));
  const auto client = Must(co_await loop.Connect(listener->address(), {}, Deadline::Never()));
  const auto server = Must(co_await listener->Accept());
  EXPECT_EQ(client->peer(), listener->address());
  EXPECT_EQ(server->peer().host, "127.0.0.1");
  EXPECT_NE(server->peer().port, 0);
}

TYPED_TEST(ListenerTest, StreamsKnowTheirPeers) { this->Run(NameThePeer(this->loop())); }

Task<void> ConnectFromSources(EpollLoop& loop) {
  const auto listener = Must(loop.Listen(AnyTcp(), {}));
  loop.SetSources({"127.0.0.7", "127.0.0.8"});
  std::vector<std::unique_ptr<Stream>> streams;
  for (const std::string expected : {"127.0.0.7", "127.0.0.8", "127.0.0.7"}) {
    streams.push_back(Must(co_await loop.Connect(listener->address(), {}, Deadline::Never())));
    streams.push_back(Must(co_await listener->Accept()));
    EXPECT_EQ(streams.back()->peer().host, expected);
  }
  loop.SetSources({"203.0.113.1"});  // Not one of ours.
  const auto refused = co_await loop.Connect(listener->address(), {}, Deadline::Never());
  EXPECT_FALSE(refused);
  if (!refused) {
    EXPECT_THAT(refused.error().message, HasSubstr("cannot connect from 203.0.113.1"));
  }
}

TEST(EpollLoop, ConnectsFromItsSourcesInTurn) {
  EpollLoop loop;
  RunBlocking(loop, ConnectFromSources(loop));
}

Task<void> Echo(std::unique_ptr<Stream> stream) {
  const std::string text = Must(co_await ReadToEnd(*stream));
  Must(co_await stream->Write(text, Deadline::Never()));
}

Task<void> Serve(Listener& listener, TaskScope& scope, int clients) {
  for (int i = 0; i < clients; ++i) scope.Spawn("echo", Echo(Must(co_await listener.Accept())));
}

Task<void> Ask(Loop& loop, Address address, std::string text, std::set<std::string>& answers) {
  const auto stream = Must(co_await loop.Connect(address, {}, Deadline::Never()));
  Must(co_await stream->Write(text, Deadline::Never()));
  stream->ShutdownWrite();
  answers.insert(Must(co_await ReadToEnd(*stream)));
}

Task<void> ServeMany(Loop& loop, Address where) {
  constexpr int kClients = 50;
  const auto listener = Must(loop.Listen(where, {}));
  TaskScope scope(loop);
  std::set<std::string> answers;
  scope.Spawn("server", Serve(*listener, scope, kClients));
  for (int i = 0; i < kClients; ++i) {
    scope.Spawn("client", Ask(loop, listener->address(), std::to_string(i), answers));
  }
  co_await scope.Join();
  EXPECT_EQ(answers.size(), static_cast<std::size_t>(kClients));
}

TYPED_TEST(ListenerTest, ManyClientsAreServed) {
  this->Run(ServeMany(this->loop(), AnyTcp()));
  this->Run(ServeMany(this->loop(), AnyUnix()));
}

Task<void> CloseWithBacklog(Loop& loop) {
  auto listener = Must(loop.Listen(AnyTcp(), {}));
  const auto client = Must(co_await loop.Connect(listener->address(), {}, Deadline::Never()));
  listener.reset();
  EXPECT_EQ(CodeOf(co_await ReadToEnd(*client)), Code::kClosed);
}

TYPED_TEST(ListenerTest, ClosingResetsWhoWasNotAccepted) {
  this->Run(CloseWithBacklog(this->loop()));
}

Task<void> SpeakBeforeAccept(Loop& loop) {
  const auto listener = Must(loop.Listen(AnyTcp(), {}));
  const auto client = Must(co_await loop.Connect(listener->address(), {}, Deadline::Never()));
  Must(co_await client->Write("early", Deadline::Never()));
  Must(co_await loop.Sleep(milliseconds(2)));
  const auto server = Must(co_await listener->Accept());
  EXPECT_EQ(Must(co_await ReadExactly(*server, 5)), "early");
}

TYPED_TEST(ListenerTest, BytesSentBeforeTheAcceptAreKept) {
  this->Run(SpeakBeforeAccept(this->loop()));
}

}  // namespace
}  // namespace penstock::io
