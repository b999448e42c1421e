// The simulated network: ordered faults, and histories that a seed repeats.
#include "io/sim/sim_network.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "io/io_testing.h"

namespace penstock::io {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AnyTcp;
using testing::CodeOf;
using testing::ConnectPair;
using testing::Must;
using testing::Noise;
using testing::Pair;
using testing::ReadExactly;
using testing::ReadToEnd;

// What became of a small conversation, as its two sides saw it.
struct Outcome {
  Status client = Fail(Code::kInternal, "never ended");
  Status server = Fail(Code::kInternal, "never ended");
  std::string answer;
};

Task<Status> Serve(Listener& listener) {
  auto stream = co_await listener.Accept();
  if (!stream) co_return Fail(stream.error());
  auto question = co_await ReadToEnd(**stream);
  if (!question) co_return Fail(question.error());
  co_return co_await (*stream)->Write("re: ", *question, Deadline::Never());
}

Task<Status> Ask(Loop& loop, Address address, std::string question, std::string& answer) {
  auto stream = co_await loop.Connect(address, {}, Deadline(loop.Now() + seconds(10)));
  if (!stream) co_return Fail(stream.error());
  const Status written = co_await (*stream)->Write(question, Deadline(loop.Now() + seconds(10)));
  if (!written) co_return written;
  (*stream)->ShutdownWrite();
  auto read = co_await ReadToEnd(**stream, Deadline(loop.Now() + seconds(10)));
  if (!read) co_return Fail(read.error());
  answer = std::move(*read);
  co_return Status{};
}

Task<void> RunServer(Listener& listener, Outcome& outcome) {
  outcome.server = co_await Serve(listener);
}

Task<void> RunClient(Loop& loop, Address address, std::string question, Outcome& outcome) {
  outcome.client = co_await Ask(loop, address, std::move(question), outcome.answer);
}

Task<void> Converse(Loop& loop, std::string question, Outcome& outcome) {
  const auto listener = Must(loop.Listen(AnyTcp(), {}));
  TaskScope scope(loop);
  scope.Spawn("server", RunServer(*listener, outcome));
  TaskScope clients(loop);
  clients.Spawn("client", RunClient(loop, listener->address(), std::move(question), outcome));
  co_await clients.Join();
  scope.Stop();
  co_await scope.Join();
}

TEST(SimNetwork, EveryOperationMayFailAndBothSidesEnd) {
  bool passed_all = false;
  for (std::uint64_t failing = 1; !passed_all; ++failing) {
    SCOPED_TRACE(::testing::Message() << "failing operation " << failing);
    ASSERT_LT(failing, 100u);
    SimLoop loop({.buffer_size = 40});
    loop.network().FailOperation(failing);
    Outcome outcome;
    RunBlocking(loop, Converse(loop, Noise(100), outcome));
    passed_all = loop.network().operations() < failing;
    EXPECT_EQ(outcome.client.has_value(), passed_all);
    if (passed_all) EXPECT_EQ(outcome.answer, "re: " + Noise(100));
    if (!passed_all) EXPECT_NE(CodeOf(outcome.client), Code::kInternal);
  }
}

TEST(SimNetwork, AConnectionMayBeCutAfterAnyByte) {
  const std::string question = Noise(50);
  for (std::uint64_t bytes = 0; bytes <= 104; ++bytes) {
    SCOPED_TRACE(::testing::Message() << "cut after " << bytes << " bytes");
    SimLoop loop({.segment_size_max = 9});
    loop.network().CutConnection(0, bytes);
    Outcome outcome;
    RunBlocking(loop, Converse(loop, question, outcome));
    EXPECT_EQ(CodeOf(outcome.client), Code::kClosed);
    // The answer's last byte arrives with its connection's end: whole, but not known to be.
    EXPECT_EQ(CodeOf(outcome.server), bytes < 50 ? Code::kClosed : CodeOf(outcome.server));
  }
  SimLoop loop;
  loop.network().CutConnection(0, 105);
  Outcome outcome;
  RunBlocking(loop, Converse(loop, question, outcome));
  Must(outcome.client);
}

TEST(SimNetwork, ConnectsMayBeRefused) {
  SimLoop loop;
  loop.network().RefuseConnects(true);
  Outcome outcome;
  RunBlocking(loop, Converse(loop, "?", outcome));
  EXPECT_EQ(CodeOf(outcome.client), Code::kUnavailable);
  EXPECT_EQ(CodeOf(outcome.server), Code::kCancelled);
}

TEST(SimNetwork, APeerMayFallSilent) {
  for (const Duration after : {Duration(0), Duration(std::chrono::microseconds(300)),
                               Duration(std::chrono::microseconds(600))}) {
    SimLoop loop({.latency_min = std::chrono::microseconds(100),
                  .latency_max = std::chrono::microseconds(100)});
    loop.At(loop.Now() + after, [&loop] { loop.network().BlackHole(true); });
    Outcome outcome;
    RunBlocking(loop, Converse(loop, "?", outcome));
    if (after == Duration(std::chrono::microseconds(600))) {
      Must(outcome.client);
    } else {
      EXPECT_EQ(CodeOf(outcome.client), Code::kDeadline);
    }
  }
}

Task<void> AcceptOne(Listener& listener, TimePoint& accepted_at, Loop& loop) {
  Must(co_await listener.Accept());
  accepted_at = loop.Now();
}

Task<void> AcceptDuringExhaustion(SimLoop& loop) {
  const auto listener = Must(loop.Listen(AnyTcp(), {}));
  const auto client = Must(co_await loop.Connect(listener->address(), {}, Deadline::Never()));
  const TimePoint begin = loop.Now();
  loop.network().ExhaustDescriptors(true);
  loop.At(begin + seconds(5), [&loop] { loop.network().ExhaustDescriptors(false); });
  EXPECT_EQ(CodeOf(co_await loop.Connect(listener->address(), {}, Deadline::Never())),
            Code::kExhausted);
  TimePoint accepted_at{};
  TaskScope scope(loop);
  scope.Spawn("acceptor", AcceptOne(*listener, accepted_at, loop));
  co_await scope.Join();
  EXPECT_EQ(accepted_at - begin, seconds(5));
}

TEST(SimNetwork, WithoutDescriptorsAcceptWaits) {
  SimLoop loop;
  RunBlocking(loop, AcceptDuringExhaustion(loop));
}

TEST(SimNetwork, AnAcceptThatFindsNoDescriptorTriesAgain) {
  SimLoop loop;
  Outcome outcome;
  loop.network().FailOperation(2, EMFILE);  // The connect is the first, the accept the second.
  RunBlocking(loop, Converse(loop, "?", outcome));
  Must(outcome.client);
  EXPECT_GE(loop.Now() - SimLoop::kStart, milliseconds(50));
}

Task<void> FillBacklog(Loop& loop) {
  ListenOptions options;
  options.backlog = 2;
  const auto listener = Must(loop.Listen(AnyTcp(), options));
  std::vector<std::unique_ptr<Stream>> clients;
  for (int i = 0; i < 2; ++i) {
    clients.push_back(Must(co_await loop.Connect(listener->address(), {}, Deadline::Never())));
  }
  const Deadline soon(loop.Now() + seconds(1));
  EXPECT_EQ(CodeOf(co_await loop.Connect(listener->address(), {}, soon)), Code::kDeadline);
}

TEST(SimNetwork, AFullBacklogKeepsClientsWaiting) {
  SimLoop loop;
  RunBlocking(loop, FillBacklog(loop));
}

// Many conversations under everything that chance may do; returns the history's fingerprint.
std::uint64_t History(std::uint64_t seed) {
  SimLoop loop({.seed = seed,
                .buffer_size = 500,
                .segment_size_max = 100,
                .short_read = 0.3,
                .short_write = 0.3,
                .coalesce = 0.5,
                .cut = 0.02});
  for (int i = 0; i < 10; ++i) {
    Outcome outcome;
    RunBlocking(loop, Converse(loop, Noise(1000), outcome));
    if (outcome.client) EXPECT_EQ(outcome.answer, "re: " + Noise(1000));
    if (!outcome.client) EXPECT_EQ(CodeOf(outcome.client), Code::kClosed);
  }
  return loop.trace_hash();
}

TEST(SimNetwork, ASeedIsAHistory) {
  std::set<std::uint64_t> histories;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    const std::uint64_t history = History(seed);
    EXPECT_EQ(History(seed), history);
    histories.insert(history);
  }
  EXPECT_EQ(histories.size(), 20u);
}

Task<void> ReadSegments(Loop& loop, std::vector<std::size_t>& sizes) {
  const Pair pair = co_await ConnectPair(loop);
  Must(co_await pair.client->Write("12", Deadline::Never()));
  Must(co_await pair.client->Write("345", Deadline::Never()));
  Must(co_await loop.Sleep(milliseconds(5)));
  for (std::size_t total = 0; total < 5;) {
    std::array<char, 100> into{};
    sizes.push_back(Must(co_await pair.server->Read(into, Deadline::Never())));
    total += sizes.back();
  }
}

TEST(SimNetwork, SegmentsCoalesceOrNotAsOrdered) {
  std::vector<std::size_t> sizes;
  SimLoop joined({.coalesce = 1});
  RunBlocking(joined, ReadSegments(joined, sizes));
  EXPECT_EQ(sizes, std::vector<std::size_t>{5});
  sizes.clear();
  SimLoop apart({.coalesce = 0});
  RunBlocking(apart, ReadSegments(apart, sizes));
  EXPECT_EQ(sizes, (std::vector<std::size_t>{2, 3}));
}

}  // namespace
}  // namespace penstock::io
