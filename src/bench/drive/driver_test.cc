// The driver on the simulated network, against a server that knows the truth: its clock is exact,
// so the figures must be.
#include "bench/drive/driver.h"

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bench/drive/driver_bed.h"

namespace penstock::bench {
namespace {

using http::testing::Site;
using testing::Bed;
using testing::Fault;
using testing::kOneWay;
using testing::RunLevel;

constexpr std::int64_t kMs = 1'000'000;

TEST(Driver, TimesAreTheServersAndTheNetworks) {
  Bed bed;
  bed.output_tokens = 20;
  RunLevel(bed, 1, 1, 3);
  ASSERT_EQ(bed.records.size(), 4u);
  EXPECT_EQ(bed.records[0].phase, Phase::kWarmup);
  for (const RequestRecord& record : bed.records) {
    EXPECT_EQ(record.error, ErrorKind::kNone) << record.error_message;
    EXPECT_EQ(record.first_byte_ns - record.sent_ns, 2 * kOneWay);
    EXPECT_EQ(record.first_token_ns - record.sent_ns, 100 * kMs + 2 * kOneWay);
    EXPECT_EQ(record.last_token_ns - record.first_token_ns, 190 * kMs);
    EXPECT_EQ(record.gaps_ns, std::vector<std::int64_t>(19, 10 * kMs));
    EXPECT_EQ(record.end_ns, record.last_token_ns);
    EXPECT_EQ(record.chunks, 20);
    EXPECT_EQ(record.output_tokens, 20);
    EXPECT_EQ(record.output_tokens_wanted, 20);
    EXPECT_EQ(record.first_chunk_tokens, 1);
    EXPECT_EQ(record.finish_reason, "length");
    EXPECT_EQ(record.concurrency, 1);
    EXPECT_EQ(record.shared_reads, 0);
  }
  EXPECT_EQ(bed.records[1].id, 101u);
  EXPECT_EQ(bed.records[1].phase, Phase::kMeasured);
  // A closed loop: the next is due as the last one ends, and the connection is there already.
  EXPECT_EQ(bed.records[2].scheduled_ns, bed.records[1].end_ns);
  EXPECT_EQ(bed.records[2].sent_ns, bed.records[2].scheduled_ns);
}

TEST(Driver, KeepsItsWorkersBusyAndNoMore) {
  Bed bed;
  bed.output_tokens = 5;
  RunLevel(bed, 8, 8, 40);
  EXPECT_EQ(bed.records.size(), 48u);
  EXPECT_EQ(bed.model.in_flight_max, 8);
  EXPECT_EQ(bed.model.requests, 48);
}

struct FaultCase {
  Fault fault;
  ErrorKind error;
  int chunks;
  std::string message;
};

TEST(Driver, FaultsAreNamedAndTheRunGoesOn) {
  const FaultCase cases[] = {
      {Fault::kCut, ErrorKind::kTruncated, 5, "closed the connection within the body"},
      {Fault::kErrorEvent, ErrorKind::kStream, 5, "out of memory"},
      {Fault::kStall, ErrorKind::kTimeout, 5, ""},
      {Fault::kStatus429, ErrorKind::kRateLimited, 0, "status 429: not now"},
      {Fault::kStatus500, ErrorKind::kStatus, 0, "status 500: not now"},
      {Fault::kStatus401, ErrorKind::kStatus, 0, "status 401: not now"},
      {Fault::kStatus404, ErrorKind::kStatus, 0, "status 404: not now"},
      {Fault::kStatus503, ErrorKind::kStatus, 0, "status 503: not now"},
      {Fault::kHtml, ErrorKind::kNotStream, 0, "text/html came"},
      {Fault::kBadJson, ErrorKind::kMalformed, 5, "an event is not a JSON object"},
      {Fault::kSplitUtf8, ErrorKind::kMalformed, 5, "an event is not UTF-8"},
  };
  for (const FaultCase& expected : cases) {
    SCOPED_TRACE(Name(expected.error));
    Bed bed;
    bed.model.fault = expected.fault;
    bed.output_tokens = 10;
    bed.settings.timeout = std::chrono::seconds(5);
    RunLevel(bed, 2, 0, 6);
    ASSERT_EQ(bed.records.size(), 6u);
    for (const RequestRecord& record : bed.records) {
      EXPECT_EQ(record.error, expected.error) << record.error_message;
      EXPECT_EQ(record.chunks, expected.chunks);
      EXPECT_NE(record.error_message.find(expected.message), std::string::npos)
          << record.error_message;
      EXPECT_GT(record.end_ns, record.scheduled_ns);
    }
  }
}

// Answers that are usable, from a server that breaks its contract.
TEST(Driver, OdditiesAreNotedAndTheAnswerCounts) {
  const std::pair<Fault, Oddity> cases[] = {{Fault::kNoDone, Oddity::kNoDone},
                                            {Fault::kUsageSmall, Oddity::kUsageTooSmall},
                                            {Fault::kUsageLarge, Oddity::kUsageTooLarge}};
  for (const auto& [fault, oddity] : cases) {
    SCOPED_TRACE(Name(oddity));
    Bed bed;
    bed.model.fault = fault;
    bed.output_tokens = 10;
    RunLevel(bed, 1, 0, 2);
    ASSERT_EQ(bed.records.size(), 2u);
    EXPECT_EQ(bed.records[1].error, ErrorKind::kNone) << bed.records[1].error_message;
    EXPECT_TRUE(bed.records[1].oddities.Has(oddity));
    EXPECT_EQ(bed.records[1].chunks, 10);
  }
  Bed bed;
  bed.output_tokens = 10;
  RunLevel(bed, 1, 0, 1);
  EXPECT_TRUE(bed.records.at(0).oddities.empty());
}

TEST(Driver, ARefusalsRetryAfterIsKept) {
  Bed bed;
  bed.model.fault = Fault::kStatus429;
  bed.output_tokens = 10;
  RunLevel(bed, 1, 0, 1);
  EXPECT_EQ(bed.records.at(0).retry_after_ms, 7000);
}

TEST(Driver, AServerThatIsNotThereIsAConnectError) {
  Bed bed;
  bed.server_listens = false;
  RunLevel(bed, 2, 0, 4);
  ASSERT_EQ(bed.records.size(), 4u);
  for (const RequestRecord& record : bed.records) {
    EXPECT_EQ(record.error, ErrorKind::kConnect) << record.error_message;
    EXPECT_EQ(record.sent_ns, kNever);
    EXPECT_EQ(record.http_status, 0);
  }
}

TEST(Driver, RepliesInOnePieceAreTimedAsAWhole) {
  Bed bed;
  bed.settings.streamed = false;
  bed.output_tokens = 10;
  RunLevel(bed, 1, 0, 2);
  ASSERT_EQ(bed.records.size(), 2u);
  EXPECT_EQ(bed.records[0].error, ErrorKind::kNone) << bed.records[0].error_message;
  EXPECT_EQ(bed.records[0].end_ns - bed.records[0].sent_ns, 190 * kMs + 2 * kOneWay);
  EXPECT_EQ(bed.records[0].output_tokens, 10);
}

TEST(Driver, TheKeyTravelsAsABearerToken) {
  Bed bed;
  bed.model.key = "s3cret";
  bed.settings.api_key = "s3cret";
  bed.output_tokens = 2;
  RunLevel(bed, 1, 0, 1);
  EXPECT_EQ(bed.records.at(0).error, ErrorKind::kNone) << bed.records[0].error_message;
  bed.settings.api_key = "wrong";
  RunLevel(bed, 1, 0, 1);
  EXPECT_EQ(bed.records.at(1).error_message, "status 401: who are you?");
}

io::Task<void> StopAfter(io::Loop& loop, Driver& driver, Duration wait) {
  static_cast<void>(co_await loop.Sleep(wait));
  driver.Stop();
}

io::Task<void> StoppedTask(Bed& bed) {
  Site site(bed.loop, bed.model.handler());
  {
    Driver driver = bed.MakeDriver(site.address);
    Tickets tickets(0, 0, 1000);
    io::TaskScope stopping(bed.loop);
    stopping.Spawn("stop", StopAfter(bed.loop, driver, std::chrono::milliseconds(450)));
    co_await driver.RunLevel(tickets, {.concurrency = 3, .start = bed.loop.Now()}, 3);
    co_await stopping.Join();
  }
  co_await site.Close();
}

TEST(Driver, StopEndsItAtOnceAndKeepsWhatWasBegun) {
  Bed bed;
  bed.output_tokens = 21;  // 300 ms a request.
  io::RunBlocking(bed.loop, StoppedTask(bed));
  ASSERT_EQ(bed.records.size(), 6u);
  for (std::size_t i = 3; i < 6; ++i) {
    EXPECT_EQ(bed.records[i].error, ErrorKind::kCancelled);
    EXPECT_GT(bed.records[i].chunks, 0);
    EXPECT_EQ(bed.records[i].end_ns, 450 * kMs);
  }
}

io::Task<void> OpenTask(Bed& bed, const Schedule& schedule, LevelTimes times) {
  Site site(bed.loop, bed.model.handler());
  {
    Driver driver = bed.MakeDriver(site.address);
    std::atomic<bool> closed = false;
    const LevelMark mark{.number = 3, .start = bed.loop.Now() + std::chrono::milliseconds(50)};
    co_await driver.RunOpenLevel(
        {.schedule = &schedule, .first_id = 7, .times = times, .closed = &closed}, mark);
    bed.unsent = driver.unsent();
  }
  co_await site.Close();
}

Schedule EvenSchedule(int requests, std::int64_t gap_ns) {
  Schedule schedule;
  for (int i = 0; i < requests; ++i) schedule.dues.push_back({.at_ns = i * gap_ns});
  schedule.span_ns = requests * gap_ns;
  return schedule;
}

TEST(OpenLoop, SendsWhenDueWhateverBecameOfTheOthers) {
  Bed bed;
  bed.output_tokens = 20;  // 290 ms an answer, and one is due every 10 ms.
  const Schedule schedule = EvenSchedule(30, 10 * kMs);
  io::RunBlocking(
      bed.loop, OpenTask(bed, schedule,
                         {.warmup_ns = 100 * kMs, .cooldown_ns = 250 * kMs, .end_ns = 300 * kMs}));
  ASSERT_EQ(bed.records.size(), 30u);
  EXPECT_EQ(bed.unsent, 0);
  std::array<int, 4> phases{};
  for (const RequestRecord& record : bed.records) {
    EXPECT_EQ(record.error, ErrorKind::kNone) << record.error_message;
    EXPECT_EQ(record.scheduled_ns, 50 * kMs + static_cast<std::int64_t>(record.id - 7) * 10 * kMs);
    // The connection costs a round trip, which the user waits for.
    EXPECT_LE(record.sent_ns - record.scheduled_ns, 2 * kOneWay + kMs / 100);
    EXPECT_EQ(record.level, 3);
    EXPECT_EQ(record.concurrency, 0);
    ++phases[static_cast<std::size_t>(record.phase)];
  }
  EXPECT_EQ(phases, (std::array<int, 4>{0, 10, 15, 5}));
  EXPECT_GE(bed.model.in_flight_max, 28);
}

TEST(OpenLoop, AStallIsLatencyAndNotFewerRequests) {
  Bed bed;
  bed.output_tokens = 2;
  bed.settings.in_flight_max = 1;
  const Schedule schedule = EvenSchedule(10, 10 * kMs);
  io::RunBlocking(bed.loop,
                  OpenTask(bed, schedule, {.cooldown_ns = 100 * kMs, .end_ns = 100 * kMs}));
  ASSERT_EQ(bed.records.size(), 10u);
  EXPECT_EQ(bed.model.in_flight_max, 1);
  // Each waits for all before it: about 110 ms each, while one is due every 10 ms.
  const RequestRecord& last = bed.records.back();
  EXPECT_GT(last.sent_ns - last.scheduled_ns, 850 * kMs);
  EXPECT_EQ(last.scheduled_ns, 50 * kMs + 90 * kMs);
}

TEST(OpenLoop, SpendsNoMoreTokensThanAllowed) {
  Bed bed;
  bed.output_tokens = 10;
  bed.mix.parts.front().input = Lengths::Fixed(90);
  bed.settings.spending = std::make_shared<Spending>(1050);
  const Schedule schedule = EvenSchedule(100, 500 * kMs);
  io::RunBlocking(bed.loop,
                  OpenTask(bed, schedule, {.cooldown_ns = 100 * kMs, .end_ns = 100 * kMs}));
  std::int64_t spent = 0;
  for (const RequestRecord& record : bed.records) spent += record.input_tokens + 10;
  EXPECT_GT(spent, 700);
  EXPECT_LE(spent, 1100);
  EXPECT_TRUE(bed.settings.spending->exhausted());
  EXPECT_EQ(bed.unsent + std::ssize(bed.records), 99);  // One was refused when it was due.
}

TEST(Conversation, ALaterTurnHoldsTheReplyAndWaitsForTheUser) {
  Bed bed;
  bed.output_tokens = 4;
  bed.mix.parts.front().input = Lengths::Fixed(80);
  bed.mix.parts.front().turns = Lengths::Fixed(3);
  bed.mix.parts.front().think_ms = 2000;
  const Schedule schedule = EvenSchedule(1, 10 * kMs);
  io::RunBlocking(bed.loop, OpenTask(bed, schedule, {.cooldown_ns = 10 * kMs, .end_ns = 10 * kMs}));
  ASSERT_EQ(bed.records.size(), 3u);
  for (int turn = 1; turn <= 3; ++turn) {
    const RequestRecord& record = bed.records[static_cast<std::size_t>(turn) - 1];
    EXPECT_EQ(record.turn, turn);
    EXPECT_EQ(record.error, ErrorKind::kNone) << record.error_message;
    if (turn == 1) continue;
    const RequestRecord& before = bed.records[static_cast<std::size_t>(turn) - 2];
    EXPECT_EQ(record.scheduled_ns, before.end_ns + 2000 * kMs);
    EXPECT_GT(record.input_tokens, before.input_tokens + 50);
    EXPECT_NE(record.id, before.id);
  }
  EXPECT_NE(bed.model.last_body.find(R"("role":"assistant","content":" tok tok tok tok")"),
            std::string::npos)
      << bed.model.last_body.substr(bed.model.last_body.size() - 600);
}

TEST(Driver, AStallIsToldFromATimeout) {
  Bed bed;
  bed.model.fault = Fault::kStall;
  bed.output_tokens = 10;
  bed.settings.stall_timeout = std::chrono::seconds(2);
  RunLevel(bed, 1, 0, 2);
  ASSERT_EQ(bed.records.size(), 2u);
  EXPECT_EQ(bed.records[0].error, ErrorKind::kStalled);
  EXPECT_EQ(bed.records[0].error_message, "nothing came for 2 s");
  EXPECT_EQ(bed.records[0].chunks, 5);
}

TEST(Driver, KeysAreScrubbedFromWhatTheServerSays) {
  Bed bed;
  bed.model.key = "other";
  bed.model.echoes_key = true;
  bed.settings.api_key = "s3cret";
  bed.output_tokens = 2;
  RunLevel(bed, 1, 0, 1);
  EXPECT_EQ(bed.records.at(0).error_message, "status 401: who is Bearer ***?");
}

TEST(Driver, TextsAreKeptForATokenizer) {
  Bed bed;
  bed.settings.keep_text = true;
  bed.output_tokens = 3;
  RunLevel(bed, 1, 0, 1);
  ASSERT_EQ(bed.texts.size(), 1u);
  EXPECT_EQ(bed.texts[0].input.size(), 1u);
  EXPECT_EQ(bed.texts[0].output, " tok tok tok");
}

}  // namespace
}  // namespace penstock::bench
