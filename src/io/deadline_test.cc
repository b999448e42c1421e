// Deadlines and cancellation of everything that a task can wait for, on every kind of loop.
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "io/event.h"
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
using testing::ReadExactly;

template <typename Kind>
class DeadlineTest : public testing::OnLoop<Kind> {};
TYPED_TEST_SUITE(DeadlineTest, testing::LoopKinds);

Task<void> ReadTooLong(Loop& loop) {
  const Pair pair = co_await ConnectPair(loop);
  std::array<char, 8> into{};
  const TimePoint due = loop.Now() + milliseconds(20);
  const auto late = co_await pair.server->Read(into, Deadline(due));
  EXPECT_EQ(CodeOf(late), Code::kDeadline);
  EXPECT_GE(loop.Now(), due);
  Must(co_await pair.client->Write("on", Deadline::Never()));
  EXPECT_EQ(Must(co_await ReadExactly(*pair.server, 2)), "on") << "usable after a deadline";
}

TYPED_TEST(DeadlineTest, EndsAReadAndLeavesTheStreamUsable) {
  this->Run(ReadTooLong(this->loop()));
}

Task<void> WriteTooLong(Loop& loop) {
  const Pair pair = co_await ConnectPair(loop);
  const std::string large(12'000'000, 'x');
  const TimePoint due = loop.Now() + milliseconds(20);
  EXPECT_EQ(CodeOf(co_await pair.client->Write(large, Deadline(due))), Code::kDeadline);
  EXPECT_GE(loop.Now(), due);
}

TYPED_TEST(DeadlineTest, EndsAWriteThatThePeerDoesNotRead) {
  this->Run(WriteTooLong(this->loop()));
}

Task<void> DeadlineInThePast(Loop& loop) {
  const Pair pair = co_await ConnectPair(loop);
  Event event(loop);
  std::array<char, 8> into{};
  const Deadline past(loop.Now() - hours(1));
  EXPECT_EQ(CodeOf(co_await pair.server->Read(into, past)), Code::kDeadline);
  EXPECT_EQ(CodeOf(co_await event.Wait(past)), Code::kDeadline);
  Must(co_await loop.SleepUntil(past.at()));
}

TYPED_TEST(DeadlineTest, MayLieInThePast) { this->Run(DeadlineInThePast(this->loop())); }

// An early deadline leaves the stream's one timer armed; later reads must not suffer from it.
Task<void> LaterDeadlines(Loop& loop) {
  const Pair pair = co_await ConnectPair(loop);
  Must(co_await pair.client->Write("1", Deadline::Never()));
  EXPECT_EQ(Must(co_await ReadExactly(*pair.server, 1, Deadline(loop.Now() + milliseconds(10)))),
            "1");
  std::array<char, 8> into{};
  const TimePoint second = loop.Now() + milliseconds(40);
  EXPECT_EQ(CodeOf(co_await pair.server->Read(into, Deadline(second))), Code::kDeadline);
  EXPECT_GE(loop.Now(), second);
  // And an earlier one after a later one must not wait for it.
  Must(co_await pair.client->Write("2", Deadline::Never()));
  Must(co_await ReadExactly(*pair.server, 1, Deadline(loop.Now() + hours(10))));
  const auto soon = co_await pair.server->Read(into, Deadline(loop.Now() + milliseconds(10)));
  EXPECT_EQ(CodeOf(soon), Code::kDeadline);
}

TYPED_TEST(DeadlineTest, OfEachReadCountsAloneOnOneTimer) {
  this->Run(LaterDeadlines(this->loop()));
}

Task<void> ReadUntil(Stream& stream, Deadline deadline, Result<std::size_t>& result) {
  std::array<char, 8> into{};
  result = co_await stream.Read(into, deadline);
}

Task<void> DeadlineOfOneDirection(Loop& loop) {
  const Pair pair = co_await ConnectPair(loop);
  Result<std::size_t> read = 99;
  TaskScope scope(loop);
  scope.Spawn("reader", ReadUntil(*pair.client, Deadline(loop.Now() + hours(1)), read));
  const std::string large(12'000'000, 'x');
  const auto late = co_await pair.client->Write(large, Deadline(loop.Now() + milliseconds(10)));
  EXPECT_EQ(CodeOf(late), Code::kDeadline);
  EXPECT_EQ(read, 99u) << "the reader still waits";
  Must(co_await pair.server->Write("go on", Deadline::Never()));
  co_await scope.Join();
  EXPECT_GE(read.value_or(0), 1u);
}

TYPED_TEST(DeadlineTest, OfTheWriterLeavesTheReaderAlone) {
  this->Run(DeadlineOfOneDirection(this->loop()));
}

struct Outcomes {
  std::vector<Code> codes;
};

Task<void> WaitInVain(Loop& loop, Stream& reader, Stream& writer, Listener& listener, Event& event,
                      int which, Outcomes& outcomes) {
  std::array<char, 8> into{};
  const std::string large(12'000'000, 'x');
  switch (which) {
    case 0:
      outcomes.codes.push_back(CodeOf(co_await reader.Read(into, Deadline::Never())));
      break;
    case 1:
      outcomes.codes.push_back(CodeOf(co_await writer.Write(large, Deadline::Never())));
      break;
    case 2:
      outcomes.codes.push_back(CodeOf(co_await listener.Accept()));
      break;
    case 3:
      outcomes.codes.push_back(CodeOf(co_await event.Wait(Deadline::Never())));
      break;
    default:
      outcomes.codes.push_back(CodeOf(co_await loop.Sleep(hours(5))));
      break;
  }
  // Every later await fails the same way, even those that could succeed at once.
  Event set(loop);
  set.Set();
  outcomes.codes.push_back(CodeOf(co_await set.Wait(Deadline::Never())));
  outcomes.codes.push_back(CodeOf(co_await loop.SleepUntil(loop.Now())));
  outcomes.codes.push_back(CodeOf(co_await reader.Read(into, Deadline::Never())));
  outcomes.codes.push_back(CodeOf(co_await reader.Write("x", Deadline::Never())));
  outcomes.codes.push_back(CodeOf(co_await listener.Accept()));
  const auto connected = co_await loop.Connect(listener.address(), {}, Deadline::Never());
  outcomes.codes.push_back(CodeOf(connected));
}

Task<void> CancelEach(Loop& loop, int which, Duration pause) {
  const Pair pair = co_await ConnectPair(loop);
  const auto listener = Must(loop.Listen(AnyUnix(), {}));
  Event event(loop);
  Outcomes outcomes;
  TaskScope scope(loop);
  scope.Spawn("waiter",
              WaitInVain(loop, *pair.server, *pair.client, *listener, event, which, outcomes));
  if (pause > Duration(0)) Must(co_await loop.Sleep(pause));
  scope.Stop();
  scope.Stop();
  co_await scope.Join();
  EXPECT_EQ(outcomes.codes, std::vector<Code>(7, Code::kCancelled)) << "await " << which;
}

TYPED_TEST(DeadlineTest, CancellationEndsEveryWaitAndAllThatFollow) {
  for (int which = 0; which < 5; ++which)
    this->Run(CancelEach(this->loop(), which, milliseconds(2)));
}

TYPED_TEST(DeadlineTest, CancellationBeforeTheStartEndsTheFirstWait) {
  for (int which = 0; which < 5; ++which) this->Run(CancelEach(this->loop(), which, Duration(0)));
}

Task<void> ReadTwice(Stream& stream, Outcomes& outcomes) {
  std::array<char, 1> into{};
  outcomes.codes.push_back(CodeOf(co_await stream.Read(into, Deadline::Never())));
  outcomes.codes.push_back(CodeOf(co_await stream.Read(into, Deadline::Never())));
}

// A wait that is done but whose task has not run yet: the cancellation must not be lost.
Task<void> CancelBetweenDoneAndResumed(Loop& loop) {
  Event event(loop);
  Outcomes outcomes;
  TaskScope scope(loop);
  scope.Spawn("waiter", [](Loop& on, Event& waited, Outcomes& into) -> Task<void> {
    into.codes.push_back(CodeOf(co_await waited.Wait(Deadline::Never())));
    into.codes.push_back(CodeOf(co_await on.Sleep(hours(5))));
  }(loop, event, outcomes));
  Must(co_await loop.Sleep(milliseconds(1)));
  event.Set();
  scope.Stop();
  co_await scope.Join();
  // kInternal stands for "no failure".
  EXPECT_EQ(outcomes.codes, (std::vector{Code::kInternal, Code::kCancelled}));
}

TYPED_TEST(DeadlineTest, CancellationOfATaskThatIsAboutToRunIsKept) {
  this->Run(CancelBetweenDoneAndResumed(this->loop()));
}

Task<void> CancelWithBytesAtHand(Loop& loop) {
  const Pair pair = co_await ConnectPair(loop);
  Outcomes outcomes;
  Must(co_await pair.client->Write("bytes", Deadline::Never()));
  Must(co_await loop.Sleep(milliseconds(2)));
  TaskScope scope(loop);
  scope.Spawn("reader", ReadTwice(*pair.server, outcomes));
  scope.Stop();
  co_await scope.Join();
  EXPECT_EQ(outcomes.codes, std::vector(2, Code::kCancelled));
  EXPECT_EQ(Must(co_await ReadExactly(*pair.server, 5)), "bytes")
      << "a cancelled read takes nothing";
}

TYPED_TEST(DeadlineTest, ACancelledReadTakesNoBytes) {
  this->Run(CancelWithBytesAtHand(this->loop()));
}

Task<void> ConnectInVain(Loop& loop, Address address, Result<std::unique_ptr<Stream>>& result) {
  result = co_await loop.Connect(address, {}, Deadline::Never());
}

Task<void> CancelConnect(Loop& loop) {
  const auto listener = Must(loop.Listen(testing::AnyTcp(), {}));
  Result<std::unique_ptr<Stream>> result = nullptr;
  TaskScope scope(loop);
  scope.Spawn("connecting", ConnectInVain(loop, listener->address(), result));
  co_await scope.Join();
  EXPECT_TRUE(result);
  result = nullptr;
  TaskScope stopped(loop);
  stopped.Spawn("connecting", ConnectInVain(loop, listener->address(), result));
  stopped.Stop();
  co_await stopped.Join();
  EXPECT_EQ(CodeOf(result), Code::kCancelled);
}

Task<void> AcceptInVain(Listener& listener, Code& code) {
  code = CodeOf(co_await listener.Accept());
}

Task<void> CancelAcceptWithClientAtHand(Loop& loop) {
  const auto listener = Must(loop.Listen(testing::AnyTcp(), {}));
  const auto client = Must(co_await loop.Connect(listener->address(), {}, Deadline::Never()));
  Code code = Code::kInternal;
  TaskScope scope(loop);
  scope.Spawn("acceptor", AcceptInVain(*listener, code));
  scope.Stop();
  co_await scope.Join();
  EXPECT_EQ(code, Code::kCancelled);
  EXPECT_TRUE(co_await listener->Accept()) << "the client still waits";
}

TYPED_TEST(DeadlineTest, CancellationEndsAnAcceptThoughClientsWait) {
  this->Run(CancelAcceptWithClientAtHand(this->loop()));
}

TYPED_TEST(DeadlineTest, CancellationEndsAConnect) { this->Run(CancelConnect(this->loop())); }

}  // namespace
}  // namespace penstock::io
