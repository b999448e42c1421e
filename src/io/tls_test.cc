// TLS over real sockets, with certificates made here.
#include "io/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <utility>

#include "io/io_testing.h"
#include "io/test_certificate.h"

namespace penstock::io {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using ::testing::AllOf;
using testing::AnyTcp;
using testing::CodeOf;
using ::testing::HasSubstr;
using testing::Must;
using testing::Noise;
using testing::Pair;
using testing::ReadExactly;
using testing::ReadToEnd;
using testing::TestCertificate;

using Context = std::shared_ptr<const TlsContext>;

ListenOptions ServeWith(Context context) {
  ListenOptions options;
  options.tls = std::move(context);
  return options;
}

ConnectOptions Trusting(Context context, std::string name = "server.test") {
  return {.tls = std::move(context), .tls_server_name = std::move(name)};
}

class TlsTest : public testing::OnLoop<testing::RealKind> {
 protected:
  TestCertificate certificate_{"DNS:server.test,IP:127.0.0.1"};
  Context server_ =
      Must(TlsContext::ForServer(certificate_.certificate_file(), certificate_.key_file()));
  Context client_ = Must(TlsContext::ForClient({.ca_file = certificate_.certificate_file()}));
};

// The server's half of a handshake, and of every test here: answers what it reads, until the end.
Task<void> EchoOnce(Listener& listener, Result<std::string>& received) {
  const auto stream = Must(co_await listener.Accept());
  received = co_await ReadToEnd(*stream);
  if (received) Must(co_await stream->Write(*received, Deadline::Never()));
}

Task<void> Ask(Stream& client, std::string_view question, std::string& answer) {
  Must(co_await client.Write(question, Deadline::Never()));
  client.ShutdownWrite();
  answer = Must(co_await ReadToEnd(client));
}

Task<void> AskOverTls(Loop& loop, Context server, ConnectOptions options, std::size_t size) {
  const auto listener = Must(loop.Listen(AnyTcp(), ServeWith(std::move(server))));
  TaskScope scope(loop);
  Result<std::string> received;
  scope.Spawn("server", EchoOnce(*listener, received));
  const auto client =
      Must(co_await loop.Connect(listener->address(), std::move(options), Deadline::Never()));
  EXPECT_FALSE(client->MayHaveInput());
  const std::string question = Noise(size);
  std::string answer;
  co_await Ask(*client, question, answer);
  EXPECT_TRUE(answer == question) << answer.size() << " bytes came back";
  co_await scope.Join();
}

TEST_F(TlsTest, BothSidesShakeHandsAndTalk) {
  Run(AskOverTls(loop(), server_, Trusting(client_), 100));
}

TEST_F(TlsTest, ANumericNameIsCheckedAgainstTheCertificatesAddresses) {
  Run(AskOverTls(loop(), server_, Trusting(client_, ""), 100));  // The address's host: 127.0.0.1.
}

TEST_F(TlsTest, LargeTransfersComeWhole) {
  Run(AskOverTls(loop(), server_, Trusting(client_), 20'000'000));
}

TEST_F(TlsTest, AnInsecureClientTrustsAnybody) {
  Run(AskOverTls(loop(), server_,
                 Trusting(Must(TlsContext::ForClient({.insecure = true})), "other.test"), 100));
}

Task<void> ConnectBadly(Loop& loop, Context server, ConnectOptions options, std::string reason) {
  const auto listener = Must(loop.Listen(AnyTcp(), ServeWith(std::move(server))));
  TaskScope scope(loop);
  Result<std::string> received;
  scope.Spawn("server", EchoOnce(*listener, received));
  const auto client =
      co_await loop.Connect(listener->address(), std::move(options), Deadline::Never());
  EXPECT_EQ(CodeOf(client), Code::kUpstream);
  if (!client) {
    EXPECT_THAT(client.error().message,
                AllOf(HasSubstr(listener->address().ToString()), HasSubstr(reason)));
  }
  co_await scope.Join();
  EXPECT_FALSE(received);
}

TEST_F(TlsTest, AWrongNameIsRefused) {
  Run(ConnectBadly(loop(), server_, Trusting(client_, "other.test"), "hostname mismatch"));
  Run(ConnectBadly(loop(), server_, Trusting(client_, "127.0.0.2"), "IP address mismatch"));
}

TEST_F(TlsTest, AnUntrustedCertificateIsRefused) {
  const TestCertificate other("DNS:server.test");
  Run(ConnectBadly(loop(), server_,
                   Trusting(Must(TlsContext::ForClient({.ca_file = other.certificate_file()}))),
                   "self-signed certificate"));
  Run(ConnectBadly(loop(), server_, Trusting(Must(TlsContext::ForClient({}))),
                   "self-signed certificate"));
}

Task<void> PlainClient(Loop& loop, Context server) {
  const auto listener = Must(loop.Listen(AnyTcp(), ServeWith(std::move(server))));
  const auto client = Must(co_await loop.Connect(listener->address(), {}, Deadline::Never()));
  Must(co_await client->Write("GET / HTTP/1.1\r\n\r\n", Deadline::Never()));
  const auto accepted = Must(co_await listener->Accept());
  const auto read = co_await ReadToEnd(*accepted);
  EXPECT_EQ(CodeOf(read), Code::kUpstream);
  if (!read) EXPECT_THAT(read.error().message, HasSubstr("http request"));
}

TEST_F(TlsTest, APlainClientIsTurnedAway) { Run(PlainClient(loop(), server_)); }

Task<void> PlainServer(Loop& loop, Context context) {
  const auto listener = Must(loop.Listen(AnyTcp(), {}));
  TaskScope scope(loop);
  Result<std::unique_ptr<Stream>> accepted = nullptr;
  scope.Spawn("server", [](Listener& from, Result<std::unique_ptr<Stream>>& into) -> Task<void> {
    into = co_await from.Accept();
    Must(co_await (*into)->Write("HTTP/1.1 400 Bad Request\r\n\r\n", Deadline::Never()));
  }(*listener, accepted));
  const auto client =
      co_await loop.Connect(listener->address(), Trusting(std::move(context)), Deadline::Never());
  EXPECT_EQ(CodeOf(client), Code::kUpstream);
  co_await scope.Join();
}

TEST_F(TlsTest, APlainServerIsNotTakenForOne) { Run(PlainServer(loop(), client_)); }

Task<void> SilentServer(Loop& loop, Context context) {
  const auto listener = Must(loop.Listen(AnyTcp(), {}));
  const auto client = co_await loop.Connect(listener->address(), Trusting(std::move(context)),
                                            Deadline(loop.Now() + milliseconds(20)));
  EXPECT_EQ(CodeOf(client), Code::kDeadline);
}

TEST_F(TlsTest, TheDeadlineCoversTheHandshake) { Run(SilentServer(loop(), client_)); }

// Carries bytes between two plain streams until `cut` bytes have come back, then hangs up: what a
// man in the middle can do to a connection that he cannot read.
Task<void> Copy(Stream& from, Stream& to, std::size_t& left) {
  std::array<char, 512> buffer{};
  while (left > 0) {
    const std::size_t count = Must(co_await from.Read(buffer, Deadline::Never()));
    if (count == 0) break;
    const std::size_t passed = std::min(count, left);
    left -= passed;
    Must(co_await to.Write({buffer.data(), passed}, Deadline::Never()));
  }
  to.ShutdownWrite();
}

Task<void> SendAll(Listener& listener, std::string text) {
  const auto stream = Must(co_await listener.Accept());
  // Not its fault if it is cut off from the other end: the outcome does not matter.
  (void)co_await stream->Write(text, Deadline::Never());
  std::array<char, 8> end{};
  (void)co_await stream->Read(end, Deadline::Never());
}

Task<void> ReadThroughProxy(Loop& loop, Context server, Context client, std::size_t cut,
                            Result<std::string>& received) {
  const auto listener = Must(loop.Listen(AnyTcp(), ServeWith(std::move(server))));
  const auto proxy = Must(loop.Listen(AnyTcp(), {}));
  TaskScope scope(loop);
  scope.Spawn("server", SendAll(*listener, Noise(5000)));
  const auto up = Must(co_await loop.Connect(listener->address(), {}, Deadline::Never()));
  std::unique_ptr<Stream> down;
  std::size_t unlimited = 1'000'000;
  scope.Spawn("proxy",
              [](Listener& from, Stream& to, std::unique_ptr<Stream>& accepted, TaskScope& owner,
                 std::size_t& there, std::size_t& back) -> Task<void> {
                accepted = Must(co_await from.Accept());
                owner.Spawn("there", Copy(*accepted, to, there));
                co_await Copy(to, *accepted, back);
              }(*proxy, *up, down, scope, unlimited, cut));
  auto stream =
      co_await loop.Connect(proxy->address(), Trusting(std::move(client)), Deadline::Never());
  if (stream) received = co_await ReadToEnd(**stream);
  if (!stream) received = Fail(stream.error());
  stream = nullptr;
  co_await scope.Join();
}

// Wherever the connection is cut, the client must not take the part for the whole.
TEST_F(TlsTest, ACutConnectionIsNoEnd) {
  for (const std::size_t cut : {0u, 1u, 100u, 700u, 2000u, 4000u, 5200u}) {
    SCOPED_TRACE(::testing::Message() << "cut after " << cut << " bytes");
    Result<std::string> received;
    Run(ReadThroughProxy(loop(), server_, client_, cut, received));
    EXPECT_EQ(CodeOf(received), Code::kClosed);
  }
}

Task<void> LeaveProperly(Loop& loop, Context server, Context client) {
  const auto listener = Must(loop.Listen(AnyTcp(), ServeWith(std::move(server))));
  TaskScope scope(loop);
  scope.Spawn("server", [](Listener& from) -> Task<void> {
    const auto stream = Must(co_await from.Accept());
    Must(co_await stream->Write("all of it", Deadline::Never()));
  }(*listener));
  const auto stream =
      Must(co_await loop.Connect(listener->address(), Trusting(client), Deadline::Never()));
  EXPECT_EQ(Must(co_await ReadToEnd(*stream)), "all of it");
  EXPECT_TRUE(stream->hung_up());
  co_await scope.Join();
}

TEST_F(TlsTest, DestroyingAStreamIsAProperEnd) { Run(LeaveProperly(loop(), server_, client_)); }

Task<void> Watch(Loop& loop, Stream& stream, Code& ended) {
  stream.CancelOnHangup(&co_await ThisTask());
  ended = CodeOf(co_await loop.Sleep(hours(1)));
  stream.CancelOnHangup(nullptr);
}

Task<void> NoticeHangup(Loop& loop, Context server, Context client) {
  const auto listener = Must(loop.Listen(AnyTcp(), ServeWith(std::move(server))));
  TaskScope scope(loop);
  Code ended = Code::kInternal;
  scope.Spawn("server", [](Loop& on, Listener& from, Code& into) -> Task<void> {
    const auto stream = Must(co_await from.Accept());
    EXPECT_EQ(Must(co_await ReadExactly(*stream, 8)), "question");
    co_await Watch(on, *stream, into);
  }(loop, *listener, ended));
  auto stream =
      Must(co_await loop.Connect(listener->address(), Trusting(client), Deadline::Never()));
  Must(co_await stream->Write("question", Deadline::Never()));
  stream.reset();
  co_await scope.Join();
  EXPECT_EQ(ended, Code::kCancelled);
}

TEST_F(TlsTest, AClientThatVanishesIsNoticed) { Run(NoticeHangup(loop(), server_, client_)); }

TEST_F(TlsTest, FilesThatWillNotDoAreNamed) {
  const TestCertificate other("DNS:other.test");
  const std::string junk = ::testing::TempDir() + "penstock-tls-junk-" + std::to_string(getpid());
  std::ofstream(junk) << "no PEM at all\n";
  const auto expect = [](const Result<Context>& made, const std::string& file,
                         const std::string& why) {
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Code::kInvalidArgument);
    EXPECT_THAT(made.error().message, AllOf(HasSubstr(file), HasSubstr(why)));
  };
  expect(TlsContext::ForServer("/no/such.crt", certificate_.key_file()), "/no/such.crt",
         "No such file");
  expect(TlsContext::ForServer(certificate_.certificate_file(), "/no/such.key"), "/no/such.key",
         "No such file");
  expect(TlsContext::ForServer(junk, certificate_.key_file()), junk, "no PEM certificate");
  expect(TlsContext::ForServer(certificate_.certificate_file(), junk), junk, "no unencrypted PEM");
  expect(TlsContext::ForServer(certificate_.certificate_file(), other.key_file()), other.key_file(),
         "key values mismatch");
  expect(TlsContext::ForClient({.ca_file = "/no/such.ca"}), "/no/such.ca", "No such file");
  expect(TlsContext::ForClient({.ca_file = junk}), junk, "no PEM certificate");
  std::filesystem::remove(junk);
}

}  // namespace
}  // namespace penstock::io
