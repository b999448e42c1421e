// Receiving for many streams at once: the reader alone, and streams on a loop that uses it.
#include "io/epoll/batch_reader.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

#include "base/file.h"
#include "io/io_testing.h"

namespace penstock::io {
namespace {

using std::chrono::milliseconds;
using testing::CodeOf;
using testing::ConnectPair;
using testing::Must;
using testing::Pair;

struct SocketPair {
  SocketPair() {
    std::array<int, 2> both{};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, both.data()), 0);
    near = Descriptor(both[0]);
    far = Descriptor(both[1]);
  }
  void Send(const std::string& text) const {
    EXPECT_EQ(send(far.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
  Descriptor near;
  Descriptor far;
};

TEST(BatchReader, TellsOfEachWhatReceivingFromItWouldHave) {
  BatchReader reader;
  if (!reader.Usable()) GTEST_SKIP() << "this system has no io_uring";
  for (int round = 0; round < 3; ++round) {
    const SocketPair full;
    const SocketPair empty;
    SocketPair ended;
    const SocketPair long_one;
    full.Send("hello");
    long_one.Send(std::string(5000, 'x'));
    ended.far = Descriptor();
    reader.Clear();
    EXPECT_EQ(reader.Add(full.near.get(), false), 0u);
    EXPECT_EQ(reader.Add(empty.near.get(), false), 1u);
    EXPECT_EQ(reader.Add(ended.near.get(), true), 2u);
    EXPECT_EQ(reader.Add(-1, false), 3u);
    EXPECT_EQ(reader.Add(long_one.near.get(), true), 4u);
    reader.Receive();
    EXPECT_EQ(std::string(reader.at(0).bytes, 5), "hello");
    EXPECT_EQ(reader.at(0).result, 5);
    EXPECT_EQ(reader.at(1).result, -EAGAIN);
    EXPECT_EQ(reader.at(2).result, 0);
    EXPECT_EQ(reader.at(3).result, -EBADF);
    EXPECT_EQ(reader.at(4).result, static_cast<ssize_t>(BatchReader::kBytesMost));
    EXPECT_NE(reader.at(4).message, nullptr);
    EXPECT_TRUE(reader.Usable());
  }
}

class BatchReadTest : public testing::OnLoop<testing::RealKind> {};

std::string TextOf(std::size_t seed, std::size_t size) {
  Random random(seed + 1);
  std::string text(size, '\0');
  for (char& each : text) each = static_cast<char>(random.Next());
  return text;
}

Task<void> ReadAll(Stream& stream, std::size_t size, std::size_t room, std::string& got) {
  std::vector<char> into(room);
  while (got.size() < size) {
    const std::size_t count = Must(co_await stream.Read(into, Deadline::Never()));
    if (count == 0) co_return;
    got.append(into.data(), count);
  }
}

Task<std::vector<Pair>> ConnectPairs(Loop& loop, std::size_t count) {
  std::vector<Pair> pairs;
  for (std::size_t i = 0; i < count; ++i) {
    pairs.push_back(
        co_await ConnectPair(loop, i % 3 == 0 ? testing::AnyUnix() : testing::AnyTcp()));
    if (i % 2 == 0) pairs.back().server->EnableReceiveTimestamps();
  }
  co_return pairs;
}

// Pieces below, at and far above what is received at once, into buffers of any size.
Task<void> EveryPieceComesWhole(Loop& loop) {
  constexpr std::array<std::size_t, 4> kRooms = {7, 500, BatchReader::kBytesMost, 64 * 1024};
  constexpr std::array<std::size_t, 5> kSizes = {1, 220, BatchReader::kBytesMost,
                                                 BatchReader::kBytesMost + 1, 12'000};
  const std::vector<Pair> pairs = co_await ConnectPairs(loop, 80);
  std::vector<std::string> got(pairs.size());
  const auto size_of = [&](std::size_t i) { return kSizes[i % kSizes.size()]; };
  for (int round = 0; round < 5; ++round) {
    const TimePoint begin = Clock::now();
    TaskScope readers(loop);
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      got[i].clear();
      readers.Spawn("reader", ReadAll(*pairs[i].server, size_of(i), kRooms[i % 4], got[i]));
    }
    Must(co_await loop.Sleep(milliseconds(1)));  // All wait.
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      Must(co_await pairs[i].client->Write(TextOf(i, size_of(i)), Deadline::Never()));
    }
    co_await readers.Join();
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      EXPECT_TRUE(got[i] == TextOf(i, size_of(i))) << i;
      EXPECT_GE(pairs[i].server->received_at(), begin - milliseconds(1)) << i;
      EXPECT_LE(pairs[i].server->received_at(), Clock::now()) << i;
    }
  }
}

TEST_F(BatchReadTest, EveryPieceComesWhole) { Run(EveryPieceComesWhole(loop())); }

Task<void> ReadThenStop(Stream& stream, TaskScope& others) {
  std::array<char, 64> into{};
  Must(co_await stream.Read(into, Deadline::Never()));
  others.Stop();
}

Task<void> ReadUntilCancelled(Stream& stream, int& cancelled) {
  std::array<char, 64> into{};
  if (CodeOf(co_await stream.Read(into, Deadline::Never())) == Code::kCancelled) ++cancelled;
}

// The first reader has the others cancelled, whose bytes have come already: whoever reads from
// their streams next has them.
Task<void> CancelledReadersLoseNothing(Loop& loop) {
  const std::vector<Pair> pairs = co_await ConnectPairs(loop, 10);
  int cancelled = 0;
  TaskScope first(loop);
  TaskScope others(loop);
  first.Spawn("first", ReadThenStop(*pairs[0].server, others));
  for (std::size_t i = 1; i < pairs.size(); ++i) {
    others.Spawn("other", ReadUntilCancelled(*pairs[i].server, cancelled));
  }
  Must(co_await loop.Sleep(milliseconds(1)));
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Must(co_await pairs[i].client->Write(TextOf(i, 300), Deadline::Never()));
  }
  co_await first.Join();
  co_await others.Join();
  EXPECT_EQ(cancelled, 9);
  for (std::size_t i = 1; i < pairs.size(); ++i) {
    EXPECT_TRUE(pairs[i].server->MayHaveInput());
    Must(co_await pairs[i].client->Write(TextOf(i + 100, 200), Deadline::Never()));
    std::string got;
    co_await ReadAll(*pairs[i].server, 500, 64, got);
    EXPECT_TRUE(got == TextOf(i, 300) + TextOf(i + 100, 200)) << i;
  }
}

TEST_F(BatchReadTest, CancelledReadersLoseNothing) { Run(CancelledReadersLoseNothing(loop())); }

// Each end comes after what was sent before it, once.
Task<void> EndsAreSeen(Loop& loop) {
  std::vector<Pair> pairs = co_await ConnectPairs(loop, 40);
  std::vector<std::string> got(pairs.size());
  TaskScope readers(loop);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    readers.Spawn("reader", ReadAll(*pairs[i].server, 1'000'000, 4096, got[i]));
  }
  Must(co_await loop.Sleep(milliseconds(1)));
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    Must(co_await pairs[i].client->Write(TextOf(i, 50 * i + 1), Deadline::Never()));
    if (i % 2 == 0) pairs[i].client.reset();
  }
  Must(co_await loop.Sleep(milliseconds(5)));
  for (Pair& pair : pairs) pair.client.reset();
  co_await readers.Join();
  for (std::size_t i = 0; i < pairs.size(); ++i) EXPECT_TRUE(got[i] == TextOf(i, 50 * i + 1)) << i;
}

TEST_F(BatchReadTest, EndsAreSeen) { Run(EndsAreSeen(loop())); }

}  // namespace
}  // namespace penstock::io
