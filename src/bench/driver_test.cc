// The driver on the simulated network, against a server that knows the truth: its clock is exact,
// so the figures must be.
#include "bench/driver.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "bench/fake_model.h"
#include "bench/fit.h"
#include "http/http_testing.h"
#include "io/sim/sim_loop.h"

namespace penstock::bench {
namespace {

using http::testing::Must;
using http::testing::Site;
using testing::FakeModel;
using testing::Fault;

constexpr std::int64_t kMs = 1'000'000;
constexpr std::int64_t kOneWay = kMs / 10;  // The network's latency, always.

io::SimOptions ExactNetwork() {
  io::SimOptions options;
  options.latency_min = options.latency_max = std::chrono::nanoseconds(kOneWay);
  return options;
}

// A driver and its server on one simulated loop.
struct Bed {
  Bed() : model(loop), corpus(Corpus::Shipped()) {}

  // What a test changes before Run().
  io::SimLoop loop{ExactNetwork()};
  FakeModel model;
  DriverSettings settings;
  Corpus corpus;
  bool server_listens = true;

  std::vector<RequestRecord> records;
  std::vector<RequestRecord> probes;  // Those of Phase::kFit.
  std::optional<Result<FitReport>> fitted;

  Driver MakeDriver(const io::Address& address) {
    settings.endpoint = Must(Endpoint::FromUrl("http://" + address.ToString()));
    settings.origin = Must(http::Origin::From(Must(http::Url::Parse(settings.endpoint.origin))));
    settings.model = "m";
    settings.start = loop.Now();
    return Driver(loop, settings, PromptPool(corpus, {.input_tokens = settings.input_tokens}),
                  [this](RequestRecord record) {
                    (record.phase == Phase::kFit ? probes : records).push_back(std::move(record));
                  });
  }
};

io::Task<void> LevelTask(Bed& bed, int concurrency, int warmup, int measured) {
  Site site(bed.loop, bed.model.handler());
  if (!bed.server_listens) co_await site.Close();
  {
    Driver driver = bed.MakeDriver(site.address);
    Tickets tickets(100, warmup, measured);
    co_await driver.RunLevel(tickets, concurrency, concurrency);
  }
  if (bed.server_listens) co_await site.Close();
}

void RunLevel(Bed& bed, int concurrency, int warmup, int measured) {
  io::RunBlocking(bed.loop, LevelTask(bed, concurrency, warmup, measured));
}

TEST(Driver, TimesAreTheServersAndTheNetworks) {
  Bed bed;
  bed.settings.output_tokens = 20;
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
  bed.settings.output_tokens = 5;
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
      {Fault::kHtml, ErrorKind::kMalformed, 0, "text/html came"},
  };
  for (const FaultCase& expected : cases) {
    SCOPED_TRACE(Name(expected.error));
    Bed bed;
    bed.model.fault = expected.fault;
    bed.settings.output_tokens = 10;
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
  bed.settings.output_tokens = 10;
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
  bed.settings.output_tokens = 2;
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
    co_await driver.RunLevel(tickets, 3, 3);
    co_await stopping.Join();
  }
  co_await site.Close();
}

TEST(Driver, StopEndsItAtOnceAndKeepsWhatWasBegun) {
  Bed bed;
  bed.settings.output_tokens = 21;  // 300 ms a request.
  io::RunBlocking(bed.loop, StoppedTask(bed));
  ASSERT_EQ(bed.records.size(), 6u);
  for (std::size_t i = 3; i < 6; ++i) {
    EXPECT_EQ(bed.records[i].error, ErrorKind::kCancelled);
    EXPECT_GT(bed.records[i].chunks, 0);
    EXPECT_EQ(bed.records[i].end_ns, 450 * kMs);
  }
}

io::Task<void> FitTask(Bed& bed, FitLimits limits, int requests) {
  Site site(bed.loop, bed.model.handler());
  {
    Driver driver = bed.MakeDriver(site.address);
    bed.fitted = co_await Fit(driver, limits, {});
    Tickets tickets(0, 0, requests);
    if (*bed.fitted) co_await driver.RunLevel(tickets, 1, 1);
  }
  co_await site.Close();
}

TEST(Fit, PromptsAreExactByTheTokenizer) {
  Bed bed;
  bed.model.has_tokenizer = true;
  bed.settings.output_tokens = 2;
  io::RunBlocking(bed.loop, FitTask(bed, {}, 30));
  ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
  EXPECT_TRUE((*bed.fitted)->by_tokenizer);
  EXPECT_EQ((*bed.fitted)->probes, 1);
  EXPECT_EQ(bed.probes.size(), 1u);
  EXPECT_EQ((*bed.fitted)->error_tokens_max, 0);
  for (const RequestRecord& record : bed.records) EXPECT_EQ(record.input_tokens, 2048);
}

TEST(Fit, PromptsAreExactByUsageAlone) {
  Bed bed;
  bed.settings.output_tokens = 2;
  io::RunBlocking(bed.loop, FitTask(bed, {.probes_max = 100}, 30));
  ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
  EXPECT_FALSE((*bed.fitted)->by_tokenizer);
  EXPECT_EQ((*bed.fitted)->error_tokens_max, 0);
  for (const RequestRecord& record : bed.records) EXPECT_EQ(record.input_tokens, 2048);
}

TEST(Fit, ASlowServerIsFittedByTheLoadItself) {
  Bed bed;
  bed.model.ttft = std::chrono::seconds(6);
  bed.settings.output_tokens = 2;
  io::RunBlocking(bed.loop, FitTask(bed, {}, 120));
  ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
  EXPECT_LE((*bed.fitted)->probes, 3);
  ASSERT_EQ(bed.records.size(), 120u);
  for (std::size_t i = 0; i < 120; ++i) {
    EXPECT_NEAR(bed.records[i].input_tokens, 2048, i < 80 ? 160 : 0) << i;
  }
}

TEST(Fit, LeavesOutWhatTheServerDoesNotTake) {
  Bed bed;
  bed.model.knows_ignore_eos = false;
  bed.settings.output_tokens = 2;
  io::RunBlocking(bed.loop, FitTask(bed, {}, 1));
  ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
  EXPECT_EQ(bed.model.last_body.find("ignore_eos"), std::string::npos);
  EXPECT_EQ(bed.records.at(0).error, ErrorKind::kNone);
}

TEST(Fit, WithoutUsageItTakesTheUsualRatio) {
  Bed bed;
  bed.model.tells_usage = false;
  bed.settings.output_tokens = 2;
  io::RunBlocking(bed.loop, FitTask(bed, {}, 1));
  ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
  EXPECT_EQ((*bed.fitted)->error_tokens_max, std::nullopt);
  EXPECT_EQ(bed.records.at(0).input_tokens, kUnknown);
}

TEST(Fit, AFirstRequestThatFailsIsToldInTheServersWords) {
  Bed bed;
  bed.model.key = "k";
  io::RunBlocking(bed.loop, FitTask(bed, {}, 1));
  ASSERT_FALSE(*bed.fitted);
  EXPECT_EQ(bed.fitted->error().code, Code::kUnauthenticated);
  EXPECT_NE(bed.fitted->error().message.find("who are you?"), std::string::npos);
}

}  // namespace
}  // namespace penstock::bench
