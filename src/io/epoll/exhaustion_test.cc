// Running out of descriptors: clients wait in the backlog, nothing spins, and all are served later.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "io/epoll/batch_reader.h"
#include "io/epoll/socket.h"
#include "io/io_testing.h"

namespace penstock::io {
namespace {

using std::chrono::milliseconds;
using testing::CodeOf;
using testing::Must;
using testing::ReadExactly;

// Lowers the limit on descriptors to those in use now, while it lives.
class NoDescriptorLeft {
 public:
  NoDescriptorLeft() {
    // The sanitizers open a pipe when they first meet a type, which would fail below.
    const Address nowhere{.kind = Address::Kind::kUnix, .host = "/"};
    Log().warn("{}: {}", "a test is running out of descriptors",
               SocketError("as if on", nowhere, EMFILE).message);
    getrlimit(RLIMIT_NOFILE, &before_);
    const Descriptor next(open("/dev/null", O_RDONLY | O_CLOEXEC));
    rlimit low = before_;
    low.rlim_cur = static_cast<rlim_t>(next.get());
    setrlimit(RLIMIT_NOFILE, &low);
  }
  ~NoDescriptorLeft() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptorLeft(const NoDescriptorLeft&) = delete;
  NoDescriptorLeft& operator=(const NoDescriptorLeft&) = delete;

 private:
  rlimit before_{};
};

Duration ProcessorTime() {
  timespec used{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) + std::chrono::nanoseconds(used.tv_nsec);
}

class ExhaustionTest : public testing::OnLoop<testing::RealKind> {};

Task<void> AcceptAll(Listener& listener, std::vector<std::unique_ptr<Stream>>& accepted,
                     std::size_t count) {
  while (accepted.size() < count) accepted.push_back(Must(co_await listener.Accept()));
}

Task<void> AcceptWithoutDescriptors(Loop& loop) {
  constexpr std::size_t kClients = 5;
  const auto listener = Must(loop.Listen(testing::AnyTcp(), {}));
  std::vector<std::unique_ptr<Stream>> clients;
  for (std::size_t i = 0; i < kClients; ++i) {
    clients.push_back(Must(co_await loop.Connect(listener->address(), {}, Deadline::Never())));
    Must(co_await clients.back()->Write("hello", Deadline::Never()));
  }
  std::vector<std::unique_ptr<Stream>> accepted;
  TaskScope scope(loop);
  {
    const NoDescriptorLeft exhausted;
    scope.Spawn("acceptor", AcceptAll(*listener, accepted, kClients));
    const TimePoint begin = loop.Now();
    const Duration used = ProcessorTime();
    Must(co_await loop.Sleep(milliseconds(300)));
    EXPECT_TRUE(accepted.empty());
    // A spinning acceptor would have used the whole time; this one wakes every 50 ms.
    EXPECT_LT(ProcessorTime() - used, (loop.Now() - begin) / 4);
    EXPECT_EQ(CodeOf(co_await loop.Connect(listener->address(), {}, Deadline::Never())),
              Code::kExhausted);
  }
  co_await scope.Join();
  EXPECT_EQ(accepted.size(), kClients);
  for (const auto& stream : accepted) EXPECT_EQ(Must(co_await ReadExactly(*stream, 5)), "hello");
}

TEST_F(ExhaustionTest, AcceptWaitsWithoutSpinningAndGoesOn) {
  Run(AcceptWithoutDescriptors(loop()));
}

// Receiving for many at once takes a descriptor of its own: without it, one after another.
Task<void> ReadWithoutDescriptors(Loop& loop) {
  std::vector<testing::Pair> pairs;
  for (int i = 0; i < 20; ++i) pairs.push_back(co_await testing::ConnectPair(loop));
  std::size_t read = 0;
  TaskScope scope(loop);
  for (const testing::Pair& pair : pairs) {
    scope.Spawn("reader", [](Stream& stream, std::size_t& count) -> Task<void> {
      EXPECT_EQ(Must(co_await ReadExactly(stream, 5)), "hello");
      ++count;
    }(*pair.server, read));
  }
  Must(co_await loop.Sleep(milliseconds(1)));
  {
    const NoDescriptorLeft exhausted;
    BatchReader reader;
    EXPECT_FALSE(reader.Usable());
    for (const testing::Pair& pair : pairs) {
      Must(co_await pair.client->Write("hello", Deadline::Never()));
    }
    co_await scope.Join();
  }
  EXPECT_EQ(read, pairs.size());
}

TEST_F(ExhaustionTest, ManyStreamsAreReadOneAfterAnother) { Run(ReadWithoutDescriptors(loop())); }

Task<void> CancelWithoutDescriptors(Loop& loop) {
  const auto listener = Must(loop.Listen(testing::AnyTcp(), {}));
  const auto client = Must(co_await loop.Connect(listener->address(), {}, Deadline::Never()));
  Result<std::unique_ptr<Stream>> accepted = nullptr;
  const NoDescriptorLeft exhausted;
  TaskScope scope(loop);
  scope.Spawn("acceptor", [](Listener& from, Result<std::unique_ptr<Stream>>& into) -> Task<void> {
    into = co_await from.Accept();
  }(*listener, accepted));
  Must(co_await loop.Sleep(milliseconds(5)));
  scope.Stop();
  co_await scope.Join();
  EXPECT_EQ(CodeOf(accepted), Code::kCancelled);
}

TEST_F(ExhaustionTest, AWaitingAcceptCanBeCancelled) { Run(CancelWithoutDescriptors(loop())); }

}  // namespace
}  // namespace penstock::io
