// Streams behave alike on the real network and on the simulated one.
#include "io/stream.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "io/io_testing.h"

namespace penstock::io {
namespace {

using std::chrono::milliseconds;
using testing::AnyUnix;
using testing::CodeOf;
using testing::ConnectPair;
using testing::Must;
using testing::Noise;
using testing::Pair;
using testing::ReadExactly;
using testing::ReadToEnd;

template <typename Kind>
class StreamTest : public testing::OnLoop<Kind> {};
TYPED_TEST_SUITE(StreamTest, testing::LoopKinds);

Task<void> TalkBothWays(Loop& loop, Address where) {
  const Pair pair = co_await ConnectPair(loop, where);
  Must(co_await pair.client->Write("head ", "and body", Deadline::Never()));
  EXPECT_EQ(Must(co_await ReadExactly(*pair.server, 13)), "head and body");
  Must(co_await pair.server->Write("answer", Deadline::Never()));
  EXPECT_EQ(Must(co_await ReadExactly(*pair.client, 6)), "answer");
}

TYPED_TEST(StreamTest, TcpCarriesBytesBothWays) {
  this->Run(TalkBothWays(this->loop(), testing::AnyTcp()));
}

TYPED_TEST(StreamTest, UnixSocketsCarryBytesBothWays) {
  this->Run(TalkBothWays(this->loop(), AnyUnix()));
}

Task<void> WriteAfter(Loop& loop, Stream& stream, Duration pause, std::string text) {
  Must(co_await loop.Sleep(pause));
  Must(co_await stream.Write(text, Deadline::Never()));
}

Task<void> ReadWaits(Loop& loop) {
  const Pair pair = co_await ConnectPair(loop);
  const TimePoint before = loop.Now();
  TaskScope scope(loop);
  scope.Spawn("writer", WriteAfter(loop, *pair.server, milliseconds(5), "late"));
  EXPECT_EQ(Must(co_await ReadExactly(*pair.client, 4)), "late");
  EXPECT_GE(loop.Now() - before, milliseconds(5));
  EXPECT_GE(pair.client->received_at() - before, milliseconds(5));
  EXPECT_LE(pair.client->received_at(), loop.Now());
  co_await scope.Join();
}

TYPED_TEST(StreamTest, ReadWaitsForBytesAndStampsThem) { this->Run(ReadWaits(this->loop())); }

Task<void> ReadInSmallBuffers(Loop& loop) {
  const Pair pair = co_await ConnectPair(loop);
  Must(co_await pair.client->Write("abcdef", Deadline::Never()));
  std::string got;
  std::array<char, 2> small{};
  while (got.size() < 6) {
    const std::size_t count = Must(co_await pair.server->Read(small, Deadline::Never()));
    EXPECT_GE(count, 1u);
    got.append(small.data(), count);
  }
  EXPECT_EQ(got, "abcdef");
}

TYPED_TEST(StreamTest, WhatDoesNotFitIsReadNext) { this->Run(ReadInSmallBuffers(this->loop())); }

Task<void> HalfClose(Loop& loop, Address where) {
  const Pair pair = co_await ConnectPair(loop, where);
  Must(co_await pair.client->Write("question", Deadline::Never()));
  pair.client->ShutdownWrite();
  EXPECT_EQ(Must(co_await ReadToEnd(*pair.server)), "question");
  std::array<char, 8> more{};
  EXPECT_EQ(Must(co_await pair.server->Read(more, Deadline::Never())), 0u) << "the end stays";
  EXPECT_TRUE(pair.server->hung_up());
  Must(co_await pair.server->Write("answer", Deadline::Never()));
  EXPECT_EQ(Must(co_await ReadExactly(*pair.client, 6)), "answer");
  EXPECT_EQ(CodeOf(co_await pair.client->Write("more", Deadline::Never())), Code::kClosed);
}

TYPED_TEST(StreamTest, ShutdownEndsOneSideOnly) {
  this->Run(HalfClose(this->loop(), testing::AnyTcp()));
  this->Run(HalfClose(this->loop(), AnyUnix()));
}

Task<void> CloseAfterWriting(Loop& loop, Address where) {
  Pair pair = co_await ConnectPair(loop, where);
  Must(co_await pair.client->Write("last words", Deadline::Never()));
  pair.client.reset();
  EXPECT_EQ(Must(co_await ReadToEnd(*pair.server)), "last words");
}

TYPED_TEST(StreamTest, ClosingDeliversWhatWasWritten) {
  this->Run(CloseAfterWriting(this->loop(), testing::AnyTcp()));
  this->Run(CloseAfterWriting(this->loop(), AnyUnix()));
}

Task<void> CloseWithUnreadBytes(Loop& loop, Address where) {
  Pair pair = co_await ConnectPair(loop, where);
  Must(co_await pair.client->Write("nobody reads this", Deadline::Never()));
  char first = 0;
  EXPECT_EQ(Must(co_await pair.server->Read({&first, 1}, Deadline::Never())), 1u);
  pair.server.reset();
  const auto read = co_await ReadToEnd(*pair.client);
  EXPECT_EQ(CodeOf(read), Code::kClosed);
  EXPECT_TRUE(pair.client->hung_up());
}

TYPED_TEST(StreamTest, ClosingWithUnreadBytesResets) {
  this->Run(CloseWithUnreadBytes(this->loop(), testing::AnyTcp()));
  this->Run(CloseWithUnreadBytes(this->loop(), AnyUnix()));
}

Task<void> WriteToNobody(Loop& loop, Address where) {
  Pair pair = co_await ConnectPair(loop, where);
  pair.server.reset();
  Status written;
  for (int tries = 0; written && tries < 1000; ++tries) {
    written = co_await pair.client->Write("anyone there?", Deadline::Never());
    if (written) Must(co_await loop.Sleep(milliseconds(1)));
  }
  EXPECT_EQ(CodeOf(written), Code::kClosed);
}

TYPED_TEST(StreamTest, WritingToAClosedPeerFails) {
  this->Run(WriteToNobody(this->loop(), testing::AnyTcp()));
  this->Run(WriteToNobody(this->loop(), AnyUnix()));
}

Task<void> EmptyWrites(Loop& loop) {
  const Pair pair = co_await ConnectPair(loop);
  Must(co_await pair.client->Write("", Deadline::Never()));
  Must(co_await pair.client->Write("", "body", Deadline::Never()));
  EXPECT_EQ(Must(co_await ReadExactly(*pair.server, 4)), "body");
}

TYPED_TEST(StreamTest, EmptyPiecesAreNothing) { this->Run(EmptyWrites(this->loop())); }

Task<void> WriteLarge(Stream& stream, std::string text, Status& written) {
  // Two pieces, and gone before the write has ended: what the kernel did not take was copied.
  auto copy = std::make_unique<std::string>(std::move(text));
  const std::string_view all = *copy;
  auto write = stream.Write(all.substr(0, 10), all.substr(10), Deadline::Never());
  written = co_await write;
  stream.ShutdownWrite();
}

Task<void> BothDirectionsAtOnce(Loop& loop, Address where, std::size_t size) {
  const Pair pair = co_await ConnectPair(loop, where);
  const std::string up = Noise(size);
  const std::string down = Noise(size / 2);
  Status up_written = Fail(Code::kInternal, "not written");
  Status down_written = Fail(Code::kInternal, "not written");
  TaskScope scope(loop);
  scope.Spawn("up", WriteLarge(*pair.client, up, up_written));
  scope.Spawn("down", WriteLarge(*pair.server, down, down_written));
  Must(co_await loop.Sleep(milliseconds(2)));  // Both writers meet a full buffer.
  EXPECT_FALSE(up_written);
  EXPECT_TRUE(Must(co_await ReadToEnd(*pair.server)) == up);
  EXPECT_TRUE(Must(co_await ReadToEnd(*pair.client)) == down);
  co_await scope.Join();
  Must(up_written);
  Must(down_written);
}

TYPED_TEST(StreamTest, LargeWritesWaitForTheReader) {
  // More than the buffers on the way hold: a real socket's grow to megabytes.
  const std::size_t size = std::is_same_v<TypeParam, testing::RealKind> ? 12'000'000 : 200'000;
  this->Run(BothDirectionsAtOnce(this->loop(), testing::AnyTcp(), size));
  this->Run(BothDirectionsAtOnce(this->loop(), AnyUnix(), size));
}

Task<void> ReadAndDestroy(std::unique_ptr<Stream> stream, std::string& got) {
  got = Must(co_await ReadExactly(*stream, 1));
}

Task<void> ReaderEndsStream(Loop& loop) {
  Pair pair = co_await ConnectPair(loop);
  std::string got;
  TaskScope scope(loop);
  scope.Spawn("reader", ReadAndDestroy(std::move(pair.server), got));
  Must(co_await pair.client->Write("x", Deadline::Never()));
  EXPECT_EQ(Must(co_await ReadToEnd(*pair.client)), "");
  EXPECT_EQ(got, "x");
  co_await scope.Join();
}

TYPED_TEST(StreamTest, AReaderMayDestroyItsStreamWhenResumed) {
  this->Run(ReaderEndsStream(this->loop()));
}

Task<void> ReadUntilFailure(std::unique_ptr<Stream>& stream, Code& ended) {
  std::array<char, 64> into{};
  ended = CodeOf(co_await stream->Read(into, Deadline::Never()));
  stream.reset();
}

Task<void> WriteUntilFailure(std::unique_ptr<Stream>& stream, Code& ended) {
  const std::string large(12'000'000, 'x');
  ended = CodeOf(co_await stream->Write(large, Deadline::Never()));
}

// One event ends both; the reader destroys the stream before the writer has run.
Task<void> ResetReaderAndWriter(Loop& loop) {
  Pair pair = co_await ConnectPair(loop);
  Code read = Code::kInternal;
  Code written = Code::kInternal;
  TaskScope scope(loop);
  scope.Spawn("reader", ReadUntilFailure(pair.server, read));
  scope.Spawn("writer", WriteUntilFailure(pair.server, written));
  Must(co_await loop.Sleep(milliseconds(2)));
  pair.client.reset();  // With unread bytes: a reset.
  co_await scope.Join();
  EXPECT_EQ(read, Code::kClosed);
  EXPECT_EQ(written, Code::kClosed);
  EXPECT_EQ(pair.server, nullptr);
}

TYPED_TEST(StreamTest, OneEventMayEndReaderAndWriter) {
  this->Run(ResetReaderAndWriter(this->loop()));
}

Task<void> ReadThenDestroyOther(Stream& stream, std::unique_ptr<Stream>& other, int& reads) {
  Must(co_await ReadExactly(stream, 1));
  ++reads;
  other.reset();
}

Task<void> OneTaskEndsAnothersStream(Loop& loop) {
  Pair first = co_await ConnectPair(loop);
  Pair second = co_await ConnectPair(loop);
  int reads = 0;
  TaskScope scope(loop);
  scope.Spawn("first", ReadThenDestroyOther(*first.server, second.server, reads));
  Must(co_await loop.Sleep(milliseconds(1)));
  // Both become readable together, so that the second's event may be at hand when it is destroyed.
  Must(co_await first.client->Write("1", Deadline::Never()));
  Must(co_await second.client->Write("2", Deadline::Never()));
  co_await scope.Join();
  EXPECT_EQ(reads, 1);
  EXPECT_EQ(second.server, nullptr);
  Must(co_await loop.Sleep(milliseconds(1)));
}

TYPED_TEST(StreamTest, AStreamMayBeDestroyedWhileItsEventIsAtHand) {
  this->Run(OneTaskEndsAnothersStream(this->loop()));
}

}  // namespace
}  // namespace penstock::io
