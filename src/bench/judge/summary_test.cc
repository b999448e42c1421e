#include "bench/judge/summary.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/random.h"
#include "bench/record/test_records.h"

namespace penstock::bench {
namespace {

using testing::kMs;
using testing::MakeRecord;

RunRecords RunOf(std::vector<RequestRecord> requests) {
  return {.header = testing::MakeHeader(), .requests = std::move(requests), .levels = {}};
}

// Two workers, each with two requests of 200 ms: A at 0 and 200 ms, B at 50 and 250 ms. Eleven
// tokens each, the first after 100 ms, then one every 10 ms.
RunRecords TwoWorkers() {
  return RunOf({MakeRecord({.id = 0, .concurrency = 2, .sent_ms = 0}),
                MakeRecord({.id = 1, .concurrency = 2, .sent_ms = 50}),
                MakeRecord({.id = 2, .concurrency = 2, .sent_ms = 200}),
                MakeRecord({.id = 3, .concurrency = 2, .sent_ms = 250})});
}

TEST(Summary, TimesAreThoseOfTheDefinitions) {
  const RunSummary summary = Summarise(TwoWorkers());
  ASSERT_EQ(summary.levels.size(), 1u);
  const LevelSummary& level = summary.levels[0];
  EXPECT_EQ(level.succeeded, 4);
  EXPECT_DOUBLE_EQ(level.ttft_ms.p50, 100);
  EXPECT_DOUBLE_EQ(level.tpot_ms.p50, 10);
  EXPECT_EQ(level.icl_ms.count, 40);
  EXPECT_DOUBLE_EQ(level.icl_ms.maximum, 10);
  EXPECT_DOUBLE_EQ(level.latency_ms.p99, 200);
  EXPECT_DOUBLE_EQ(level.output_tokens_mean, 11);
  EXPECT_DOUBLE_EQ(level.input_tokens_mean, 100);
  EXPECT_NEAR(level.identity_residual_max, 0, 1e-12);
  // The common form counts one TPOT too many: (200 − (100 + 110)) / 200.
  EXPECT_NEAR(level.common_identity_residual_mean, -0.05, 1e-12);
}

TEST(Summary, ThroughputIsWhatFallsIntoTheSteadyWindow) {
  const RunSummary summary = Summarise(TwoWorkers());
  const LevelSummary& level = summary.levels[0];
  // Both are busy from 50 ms, when B begins, to 400 ms, when A ends for good.
  EXPECT_EQ(level.steady, (Window{50 * kMs, 400 * kMs}));
  // A gives 11 + 11 tokens in it, B 11 and then those at 350, 360 … 400 ms.
  EXPECT_NEAR(level.in_steady.output_tokens_per_s, 39 / 0.35, 1e-6);
  // Of A's first prompt half was read before the window.
  EXPECT_NEAR(level.in_steady.total_tokens_per_s, (39 + 350) / 0.35, 1e-6);
  EXPECT_NEAR(level.in_steady.requests_per_s, 3.5 / 0.35, 1e-6);
  EXPECT_NEAR(level.whole.output_tokens_per_s, 44 / 0.45, 1e-3);
  EXPECT_NEAR(level.whole.total_tokens_per_s, 444 / 0.45, 1e-3);
  EXPECT_EQ(&level.best_rates(), &level.in_steady);
}

TEST(Summary, WarmupLoadsButIsNotTimed) {
  RunRecords run = TwoWorkers();
  run.requests[0].phase = Phase::kWarmup;
  run.requests[1].phase = Phase::kWarmup;
  run.requests[0].scheduled_ns -= 50 * kMs;
  const LevelSummary level = Summarise(run).levels[0];
  EXPECT_EQ(level.measured, 2);
  EXPECT_EQ(level.warmup, 2);
  EXPECT_DOUBLE_EQ(level.ttft_ms.maximum, 100);
  // The window begins with the first measured request; B's warm-up tokens in it still count.
  EXPECT_EQ(level.steady, (Window{200 * kMs, 400 * kMs}));
  EXPECT_NEAR(level.in_steady.output_tokens_per_s, (11 + 5 + 6) / 0.2, 1e-6);
}

TEST(Summary, RequestsThatFitPromptsEnterNothing) {
  RunRecords run = TwoWorkers();
  RequestRecord fit = MakeRecord({.id = 1'000'000, .concurrency = 1, .sent_ms = 0});
  fit.phase = Phase::kFit;
  run.requests.push_back(fit);
  const RunSummary summary = Summarise(run);
  ASSERT_EQ(summary.levels.size(), 1u);
  EXPECT_EQ(summary.levels[0].concurrency, 2);
}

TEST(Summary, TtftCountsFromWhenTheRequestWasDue) {
  RunRecords run = RunOf({MakeRecord({.id = 0, .sent_ms = 30})});
  run.requests[0].scheduled_ns = 10 * kMs;
  const LevelSummary level = Summarise(run).levels[0];
  EXPECT_DOUBLE_EQ(level.ttft_ms.p50, 120);
  EXPECT_DOUBLE_EQ(level.ttft_service_ms.p50, 100);
  EXPECT_DOUBLE_EQ(level.latency_ms.p50, 220);
  EXPECT_DOUBLE_EQ(level.send_lag_ms.p50, 20);
}

TEST(Summary, FourTokensAChunkDoNotMakeTheServerLookSlower) {
  // 32 tokens in 8 chunks, one every 20 ms: 5 ms a token.
  RequestRecord record = MakeRecord({.id = 0, .gap_ms = 20, .tokens = 8});
  record.output_tokens = 32;
  record.first_chunk_tokens = 4;
  const LevelSummary level = Summarise(RunOf({record})).levels[0];
  EXPECT_DOUBLE_EQ(level.tpot_ms.p50, 5);
  EXPECT_DOUBLE_EQ(level.icl_ms.p50, 20);
  EXPECT_NEAR(level.identity_residual_max, 0, 1e-12);
}

TEST(Summary, AReplyOfOneChunkHasNoTpot) {
  RequestRecord record = MakeRecord({.id = 0, .tokens = 1});
  record.output_tokens = 5;
  record.first_chunk_tokens = 5;
  const LevelSummary level = Summarise(RunOf({record})).levels[0];
  EXPECT_EQ(level.tpot_ms.count, 0);
  EXPECT_DOUBLE_EQ(level.latency_ms.p50, 100);
  EXPECT_NEAR(level.identity_residual_max, 0, 1e-12);
}

TEST(Summary, ARecordThatContradictsItselfShowsInTheResidual) {
  RequestRecord record = MakeRecord({.id = 0});
  record.last_token_ns += 40 * kMs;
  record.chunks = 1;  // One chunk cannot have a last one that is later than its first.
  record.gaps_ns.clear();
  EXPECT_GT(Summarise(RunOf({record})).levels[0].identity_residual_max, 0.1);
}

TEST(Summary, FailuresEnterNoTimeAndTheirTokensAreCountedApart) {
  RunRecords run = TwoWorkers();
  run.requests[3].error = ErrorKind::kTruncated;
  run.requests[3].output_tokens = kUnknown;
  const LevelSummary level = Summarise(run).levels[0];
  EXPECT_EQ(level.succeeded, 3);
  EXPECT_EQ(level.failures(), 1);
  EXPECT_EQ(level.errors[static_cast<std::size_t>(ErrorKind::kTruncated)], 1);
  EXPECT_DOUBLE_EQ(level.error_share(), 0.25);
  EXPECT_EQ(level.ttft_ms.count, 3);
  EXPECT_NEAR(level.whole.output_tokens_per_s, 33 / 0.45, 1e-3);
  EXPECT_NEAR(level.failed_output_tokens_per_s, 11 / 0.45, 1e-3);
}

TEST(Summary, ARequestThatWasNeverSentTakesNoPartInTheWindow) {
  RunRecords run = TwoWorkers();
  RequestRecord refused;
  refused.id = 9;
  refused.concurrency = 2;
  refused.scheduled_ns = 0;
  refused.end_ns = 5000 * kMs;
  refused.error = ErrorKind::kConnect;
  run.requests.push_back(refused);
  const LevelSummary level = Summarise(run).levels[0];
  EXPECT_EQ(level.steady, (Window{50 * kMs, 400 * kMs}));
  EXPECT_NEAR(level.whole.seconds, 0.45, 1e-6);
}

TEST(Summary, WithoutEnoughRequestsThereIsNoSteadyWindow) {
  const LevelSummary level = Summarise(RunOf({MakeRecord({.id = 0, .concurrency = 4})})).levels[0];
  EXPECT_EQ(level.steady, Window{});
  EXPECT_EQ(&level.best_rates(), &level.whole);
}

TEST(Summary, RepliesInOnePieceSpreadOverTheirTime) {
  std::vector<RequestRecord> requests;
  for (int i = 0; i < 3; ++i) {
    RequestRecord record;
    record.id = static_cast<std::uint64_t>(i);
    record.concurrency = 1;
    record.streamed = false;
    record.scheduled_ns = record.sent_ns = i * 1000 * kMs;
    record.end_ns = (i + 1) * 1000 * kMs;
    record.output_tokens = record.output_tokens_wanted = 50;
    record.input_tokens = record.input_tokens_wanted = 200;
    requests.push_back(record);
  }
  const LevelSummary level = Summarise(RunOf(requests)).levels[0];
  EXPECT_EQ(level.ttft_ms.count, 0);
  EXPECT_DOUBLE_EQ(level.latency_ms.p50, 1000);
  EXPECT_NEAR(level.in_steady.output_tokens_per_s, 50, 1e-6);
  EXPECT_NEAR(level.in_steady.total_tokens_per_s, 250, 1e-6);
  EXPECT_NEAR(level.in_steady.requests_per_s, 1, 1e-6);
}

TEST(Summary, ClientLoadIsProcessorTimeOverThreadTime) {
  RunRecords run = TwoWorkers();
  run.levels = {
      {.concurrency = 2, .started_ns = 0, .ended_ns = 1000, .client_cpu_ns = 500, .threads = 2}};
  EXPECT_DOUBLE_EQ(Summarise(run).levels[0].client_load, 0.25);
}

TEST(Summary, PlacesOfASweep) {
  const RunSummary summary = Summarise(testing::MakeSweep({1, 2, 4, 8, 16, 32}));
  ASSERT_EQ(summary.levels.size(), 6u);
  EXPECT_EQ(summary.fastest, 0u);
  EXPECT_EQ(summary.levels[*summary.balanced].concurrency, 8);
  // 16 and 32 give a fraction of a per cent more, which is not more.
  EXPECT_EQ(summary.levels[*summary.highest].concurrency, 32);
  EXPECT_TRUE(summary.valid);
}

TEST(Summary, AHairMoreThroughputDoesNotMakeAHigherLevel) {
  // A token every millisecond for one worker; for each of two, one every 1.98 or 1.90 ms.
  const auto level = [](int concurrency, std::int64_t gap_us) {
    std::vector<RequestRecord> requests;
    for (int worker = 0; worker < concurrency; ++worker) {
      RequestRecord record = MakeRecord({.concurrency = concurrency, .ttft_ms = 0, .tokens = 1001});
      record.gaps_ns.assign(1000, gap_us * 1000);
      record.end_ns = record.last_token_ns = 1000 * gap_us * 1000;
      requests.push_back(record);
    }
    return requests;
  };
  std::vector<RequestRecord> requests = level(1, 1000);
  std::ranges::copy(level(2, 1980), std::back_inserter(requests));
  EXPECT_EQ(Summarise(RunOf(requests)).highest, 0u);
  requests = level(1, 1000);
  std::ranges::copy(level(2, 1900), std::back_inserter(requests));
  EXPECT_EQ(Summarise(RunOf(requests)).highest, 1u);
}

TEST(Summary, AnEmptyRunIsInvalidAndHasNoPlaces) {
  const RunSummary summary = Summarise(RunOf({}));
  EXPECT_FALSE(summary.valid);
  EXPECT_FALSE(summary.highest.has_value());
}

// Any closed loop: the window lies within the level, and the rates in it, times its length, never
// exceed what the requests produced.
TEST(Summary, WindowsHoldNoMoreThanTheLevel) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    Random random(seed);
    const int concurrency = static_cast<int>(1 + random.Below(6));
    std::vector<RequestRecord> requests;
    double tokens = 0;
    for (int worker = 0; worker < concurrency; ++worker) {
      auto at = static_cast<std::int64_t>(random.Below(50));
      for (std::uint64_t i = 0; i < 1 + random.Below(6); ++i) {
        requests.push_back(MakeRecord({.id = requests.size(),
                                       .concurrency = concurrency,
                                       .sent_ms = at,
                                       .ttft_ms = static_cast<std::int64_t>(1 + random.Below(90)),
                                       .gap_ms = static_cast<std::int64_t>(random.Below(20)),
                                       .tokens = static_cast<int>(1 + random.Below(30))}));
        at = requests.back().end_ns / kMs + static_cast<std::int64_t>(random.Below(3));
        tokens += requests.back().OutputTokens();
      }
    }
    const LevelSummary level = Summarise(RunOf(requests)).levels[0];
    EXPECT_LE(level.steady.seconds(), level.whole.seconds + 1e-9);
    EXPECT_LE(level.in_steady.output_tokens_per_s * level.steady.seconds(), tokens + 1e-6);
    EXPECT_NEAR(level.whole.output_tokens_per_s * level.whole.seconds, tokens, 1e-6 * tokens);
    EXPECT_LT(level.identity_residual_max, 1e-9);
  }
}

}  // namespace
}  // namespace penstock::bench
