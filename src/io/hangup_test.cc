// A peer that vanishes is noticed while nobody reads from it, on every kind of loop.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "io/io_testing.h"
#include "io/stream.h"

namespace penstock::io {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using testing::AnyUnix;
using testing::CodeOf;
using testing::ConnectPair;
using testing::Must;
using testing::Pair;

template <typename Kind>
class HangupTest : public testing::OnLoop<Kind> {};
TYPED_TEST_SUITE(HangupTest, testing::LoopKinds);

// A task that works for hours and only wants to know whether its client is still there.
Task<void> Work(Loop& loop, Stream& stream, Duration duration, Code& ended) {
  stream.CancelOnHangup(&co_await ThisTask());
  ended = CodeOf(co_await loop.Sleep(duration));
  stream.CancelOnHangup(nullptr);
}

enum class Farewell { kClose, kShutdown, kReset };

Task<void> PeerLeaves(Loop& loop, Address where, Farewell farewell, Duration pause) {
  Pair pair = co_await ConnectPair(loop, where);
  if (farewell == Farewell::kReset) {
    Must(co_await pair.server->Write("unread", Deadline::Never()));
    Must(co_await loop.Sleep(milliseconds(2)));
  }
  TaskScope scope(loop);
  Code ended = Code::kInternal;
  scope.Spawn("work", Work(loop, *pair.server, hours(5), ended));
  if (pause > Duration(0)) Must(co_await loop.Sleep(pause));
  if (farewell == Farewell::kShutdown) {
    pair.client->ShutdownWrite();
  } else {
    pair.client.reset();
  }
  co_await scope.Join();
  EXPECT_EQ(ended, Code::kCancelled);
  EXPECT_TRUE(pair.server->hung_up());
}

TYPED_TEST(HangupTest, CancelsTheTaskThatWatches) {
  for (const Farewell farewell : {Farewell::kClose, Farewell::kShutdown, Farewell::kReset}) {
    for (const Duration pause : {Duration(0), Duration(milliseconds(2))}) {
      this->Run(PeerLeaves(this->loop(), testing::AnyTcp(), farewell, pause));
      this->Run(PeerLeaves(this->loop(), AnyUnix(), farewell, pause));
    }
  }
}

Task<void> PeerLeftBefore(Loop& loop) {
  Pair pair = co_await ConnectPair(loop);
  EXPECT_FALSE(pair.server->hung_up());
  pair.client.reset();
  Must(co_await loop.Sleep(milliseconds(2)));
  EXPECT_TRUE(pair.server->hung_up());
  TaskScope scope(loop);
  Code ended = Code::kInternal;
  scope.Spawn("work", Work(loop, *pair.server, hours(5), ended));
  co_await scope.Join();
  EXPECT_EQ(ended, Code::kCancelled);
}

TYPED_TEST(HangupTest, CancelsAtOnceWhenThePeerHasLeft) { this->Run(PeerLeftBefore(this->loop())); }

Task<void> WatchEnded(Loop& loop) {
  Pair pair = co_await ConnectPair(loop);
  TaskState& own = co_await ThisTask();
  pair.server->CancelOnHangup(&own);
  pair.server->CancelOnHangup(nullptr);
  pair.client.reset();
  Must(co_await loop.Sleep(milliseconds(2)));
  EXPECT_FALSE(own.cancelled());
}

TYPED_TEST(HangupTest, AnEndedWatchCancelsNothing) { this->Run(WatchEnded(this->loop())); }

Task<void> PeerStays(Loop& loop) {
  const Pair pair = co_await ConnectPair(loop);
  TaskScope scope(loop);
  Code ended = Code::kCancelled;
  scope.Spawn("work", Work(loop, *pair.server, milliseconds(5), ended));
  Must(co_await pair.client->Write("bytes are no hang-up", Deadline::Never()));
  co_await scope.Join();
  EXPECT_EQ(ended, Code::kInternal) << "kInternal stands for no failure";
}

TYPED_TEST(HangupTest, BytesAreNone) { this->Run(PeerStays(this->loop())); }

Task<void> ReadWatched(Stream& stream, Result<std::size_t>& first, Code& second, Loop& loop) {
  stream.CancelOnHangup(&co_await ThisTask());
  std::array<char, 8> into{};
  first = co_await stream.Read(into, Deadline::Never());
  second = CodeOf(co_await loop.Sleep(hours(5)));
  stream.CancelOnHangup(nullptr);
}

// The read that waits gets the bytes, so only the watch can tell of the end that came with them.
Task<void> BytesAndEndTogether(Loop& loop) {
  Pair pair = co_await ConnectPair(loop);
  Result<std::size_t> first = 0;
  Code second = Code::kInternal;
  TaskScope scope(loop);
  scope.Spawn("reader", ReadWatched(*pair.server, first, second, loop));
  Must(co_await loop.Sleep(milliseconds(2)));
  Must(co_await pair.client->Write("x", Deadline::Never()));
  pair.client.reset();
  co_await scope.Join();
  EXPECT_EQ(first.value_or(0), 1u);
  EXPECT_EQ(second, Code::kCancelled);
}

TYPED_TEST(HangupTest, IsNoticedWhenItComesWithTheLastBytes) {
  this->Run(BytesAndEndTogether(this->loop()));
}

Task<void> WriteWatched(Stream& stream, Code& ended) {
  stream.CancelOnHangup(&co_await ThisTask());
  const std::string large(12'000'000, 'x');
  ended = CodeOf(co_await stream.Write(large, Deadline::Never()));
  stream.CancelOnHangup(nullptr);
}

Task<void> PeerLeavesAWriter(Loop& loop) {
  Pair pair = co_await ConnectPair(loop);
  Code ended = Code::kInternal;
  TaskScope scope(loop);
  scope.Spawn("writer", WriteWatched(*pair.server, ended));
  Must(co_await loop.Sleep(milliseconds(5)));
  pair.client->ShutdownWrite();
  co_await scope.Join();
  EXPECT_EQ(ended, Code::kCancelled);
}

TYPED_TEST(HangupTest, CancelsATaskThatIsWritingToThePeer) {
  this->Run(PeerLeavesAWriter(this->loop()));
}

}  // namespace
}  // namespace penstock::io
