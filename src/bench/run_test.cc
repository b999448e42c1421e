// Whole runs over loopback, against a server on a thread of its own.
#include "bench/run.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "bench/drive/load_shape.h"
#include "bench/drive/loopback_model.h"
#include "bench/record/records_file.h"

namespace penstock::bench {
namespace {

using testing::LoopbackModel;

BenchOptions QuickOptions(const std::string& url) {
  BenchOptions options;
  options.url = url;
  options.model = "m";
  options.input_tokens = 256;
  options.output_tokens = 8;
  options.progress = false;
  return options;
}

std::string PathFor(const std::string& name) {
  return (std::filesystem::path(::testing::TempDir()) / ("bench_run_" + name)).string();
}

TEST(Run, MeasuresEachLevelAndKeepsRecordsAndReport) {
  LoopbackModel server;
  BenchOptions options = QuickOptions(server.Start());
  options.concurrency = {1, 4};
  options.threads = 2;
  options.records_path = PathFor("records.jsonl");
  options.report_path = PathFor("report.html");
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->stop_reason, StopReason::kListDone);
  ASSERT_EQ(outcome->summary.levels.size(), 2u);
  for (const LevelSummary& level : outcome->summary.levels) {
    EXPECT_EQ(level.failures(), 0);
    EXPECT_EQ(level.succeeded, level.concurrency == 1 ? 10 : 16);
    EXPECT_EQ(level.warmup, level.concurrency);
    EXPECT_EQ(level.input_tokens_mean, 256);
    EXPECT_EQ(level.output_tokens_mean, 8);
    EXPECT_GE(level.ttft_ms.minimum, 5);
    EXPECT_GT(level.steady.seconds(), 0);
    EXPECT_GT(level.client_load, 0);
  }
  // The records alone give the same summary.
  const auto again = LoadSummary(options.records_path);
  ASSERT_TRUE(again) << again.error().message;
  ASSERT_EQ(again->levels.size(), 2u);
  EXPECT_EQ(again->levels[1].ttft_ms, outcome->summary.levels[1].ttft_ms);
  EXPECT_EQ(again->header, outcome->summary.header);
  std::ifstream report(options.report_path);
  const std::string page{std::istreambuf_iterator<char>(report), {}};
  EXPECT_NE(page.find("</html>"), std::string::npos);
  std::filesystem::remove(options.records_path);
  std::filesystem::remove(options.report_path);
}

TEST(Run, DoublesTheConcurrencyUpToItsLimit) {
  LoopbackModel server;
  BenchOptions options = QuickOptions(server.Start());
  options.concurrency_max = 4;
  options.requests = 6;
  options.warmup = 0;
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  ASSERT_GE(outcome->summary.levels.size(), 1u);
  EXPECT_EQ(outcome->summary.levels.front().concurrency, 1);
  EXPECT_LE(outcome->summary.levels.back().concurrency, 4);
}

TEST(Run, StoppingIsNoErrorAndShowsWhatWasDone) {
  LoopbackModel server;
  server.model.gap = std::chrono::hours(1);
  BenchOptions options = QuickOptions(server.Start());
  options.concurrency = {2, 4};
  std::atomic<bool> stop = false;
  std::optional<Result<BenchOutcome>> outcome;
  std::jthread running([&] { outcome = RunBench(options, stop); });
  // The first level's requests hang after their first token; nothing else can end this run.
  stop = true;
  running.join();
  ASSERT_TRUE(outcome.has_value());
  if (*outcome) {
    EXPECT_EQ((*outcome)->stop_reason, StopReason::kNotStopped);
  } else {
    EXPECT_EQ(outcome->error().code, Code::kCancelled);
    EXPECT_NE(outcome->error().message.find("no load was sent"), std::string::npos)
        << outcome->error().message;
  }
}

TEST(Run, NothingToTalkToIsAnError) {
  const std::atomic<bool> stop = false;
  BenchOptions options = QuickOptions("unix:/nowhere/penstock.sock");
  const auto outcome = RunBench(options, stop);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::kUnavailable) << outcome.error().message;
}

struct BadOption {
  std::string field;
  void (*spoil)(BenchOptions&);
};

TEST(Run, BadOptionsAreNamedBeforeAnythingIsSent) {
  const BadOption cases[] = {
      {"url", [](BenchOptions& o) { o.url = "nonsense"; }},
      {"concurrency", [](BenchOptions& o) { o.concurrency = {1, 0}; }},
      {"concurrency", [](BenchOptions& o) { o.concurrency = {100'001}; }},
      {"concurrency-max", [](BenchOptions& o) { o.concurrency_max = 0; }},
      {"requests", [](BenchOptions& o) { o.requests = -1; }},
      {"warmup", [](BenchOptions& o) { o.warmup = -2; }},
      {"input-tokens", [](BenchOptions& o) { o.input_tokens = 63; }},
      {"output-tokens", [](BenchOptions& o) { o.output_tokens = 0; }},
      {"timeout-s", [](BenchOptions& o) { o.timeout = Duration(1); }},
      {"threads", [](BenchOptions& o) { o.threads = 0; }},
      {"api-key", [](BenchOptions& o) { o.api_key = "a\r\nb"; }},
      {"corpus", [](BenchOptions& o) { o.corpus_path = "/nowhere/text"; }},
      {"records", [](BenchOptions& o) { o.records_path = "/nowhere/records"; }},
      {"report", [](BenchOptions& o) { o.report_path = "/nowhere/report"; }},
  };
  for (const BadOption& bad : cases) {
    SCOPED_TRACE(bad.field);
    BenchOptions options = QuickOptions("http://127.0.0.1:1");
    bad.spoil(options);
    const std::atomic<bool> stop = false;
    const auto outcome = RunBench(options, stop);
    ASSERT_FALSE(outcome);
    EXPECT_EQ(outcome.error().field, bad.field) << outcome.error().message;
    EXPECT_NE(outcome.error().message.find(bad.field), std::string::npos);
  }
}

TEST(Run, CommandsAreKeptWithoutTheirKeys) {
  EXPECT_EQ(WithoutKeys({"penstock", "bench", "--api-key", "secret", "http://h", "--api-key=x"}),
            "penstock bench --api-key *** http://h --api-key=***");
  // The neighbour's of a proof, too, and what stands in addresses.
  EXPECT_EQ(WithoutKeys({"prove", "https://me:secret@h:1/v1?key=secret", "--neighbour-api-key",
                         "secret", "--neighbour-url=http://me:secret@h/v1", "--neighbour-api-key=x",
                         "--api-key-file", "path", "http://h/d?api-version=2024-10-21"}),
            "prove https://***@h:1/v1?*** --neighbour-api-key *** --neighbour-url=http://***@h/v1 "
            "--neighbour-api-key=*** --api-key-file path http://h/d?api-version=2024-10-21");
}

TEST(Run, AnOpenLoopHasALevelForEachRate) {
  LoopbackModel server;
  BenchOptions options = QuickOptions(server.Start());
  options.shape.rates = {40, 80};
  options.shape.warmup = Duration{};
  options.requests = 12;
  options.records_path = PathFor("open.jsonl");
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->stop_reason, StopReason::kListDone);
  ASSERT_EQ(outcome->summary.levels.size(), 2u);
  EXPECT_EQ(outcome->summary.header.settings.mode, "poisson");
  for (const LevelSummary& level : outcome->summary.levels) {
    EXPECT_EQ(level.concurrency, 0);
    EXPECT_EQ(level.succeeded, 12);
    EXPECT_EQ(level.rate_per_s, level.number == 1 ? 40 : 80);
  }
  // What was sent is what the seed says, to the nanosecond.
  const auto shape = MakeOpenShape(options.shape, 12, options.seed);
  const auto run = ReadRecords(options.records_path);
  ASSERT_TRUE(shape && run);
  std::vector<std::int64_t> due;
  for (const RequestRecord& record : run->requests) {
    if (record.level == 1) due.push_back(record.scheduled_ns);
  }
  std::ranges::sort(due);
  ASSERT_EQ(due.size(), 12u);
  for (std::size_t i = 1; i < 12; ++i) {
    EXPECT_EQ(due[i] - due[0],
              shape->levels[0].schedule.dues[i].at_ns - shape->levels[0].schedule.dues[0].at_ns);
  }
  // And it can be replayed.
  options.shape = {};
  options.shape.trace_path = options.records_path;
  options.requests = 10;
  options.records_path.clear();
  const auto replay = RunBench(options, stop);
  ASSERT_TRUE(replay) << replay.error().message;
  EXPECT_EQ(replay->summary.header.settings.mode, "replay");
  std::filesystem::remove(PathFor("open.jsonl"));
}

TEST(Run, NoSecretStandsInAnythingThatItWrites) {
  LoopbackModel server;
  server.model.key = "another";
  server.model.echoes_key = true;
  BenchOptions options = QuickOptions(server.Start());
  options.api_key = "k3y-secret";
  options.target.headers = {"x-token: hidden-value"};
  options.command = WithoutKeys(
      {"bench", "--api-key", "k3y-secret", "--header=x-token: hidden-value", "--agent-key", "a"});
  EXPECT_EQ(options.command, "bench --api-key *** --header=*** --agent-key ***");
  options.records_path = PathFor("secret.jsonl");
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().message.find("k3y-secret"), std::string::npos);
  std::ifstream file(options.records_path);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(text.find("who is Bearer ***?"), std::string::npos);
  EXPECT_EQ(text.find("k3y-secret"), std::string::npos);
  EXPECT_EQ(text.find("hidden-value"), std::string::npos);
  std::filesystem::remove(options.records_path);
}

TEST(Run, StoppingWhilePromptsAreFittedIsNoError) {
  LoopbackModel server;
  server.model.ttft = std::chrono::hours(1);
  const BenchOptions options = QuickOptions(server.Start());
  std::atomic<bool> stop = false;
  std::optional<Result<BenchOutcome>> outcome;
  std::jthread running([&] { outcome = RunBench(options, stop); });
  stop = true;
  running.join();
  ASSERT_TRUE(outcome.has_value());
  ASSERT_TRUE(outcome->has_value()) << outcome->error().message;
  EXPECT_EQ((*outcome)->stop_reason, StopReason::kNotStopped);
  EXPECT_TRUE((*outcome)->summary.levels.empty());
}

TEST(Run, RepeatsEachLevelRoundAfterRound) {
  LoopbackModel server;
  BenchOptions options = QuickOptions(server.Start());
  options.concurrency = {1, 2};
  options.requests = 6;
  options.repeats = 3;
  options.records_path = PathFor("repeats.jsonl");
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  ASSERT_EQ(outcome->summary.levels.size(), 2u);
  for (const LevelSummary& level : outcome->summary.levels) {
    EXPECT_EQ(level.repeats.count, 3);
    EXPECT_EQ(level.succeeded, 18);
    const Interval& output = level.repeats.output_tokens_per_s;
    EXPECT_LT(output.low, output.high);
    EXPECT_TRUE(output.Contains(level.best_rates().output_tokens_per_s));
  }
  const auto run = ReadRecords(options.records_path);
  ASSERT_TRUE(run) << run.error().message;
  std::vector<int> order;
  for (const LevelRecord& level : run->levels) order.push_back(level.concurrency);
  EXPECT_EQ(order, (std::vector<int>{1, 2, 1, 2, 1, 2}));
  // The records alone give the same again.
  EXPECT_EQ(Summarise(*run).levels.at(1).repeats.output_tokens_per_s,
            outcome->summary.levels.at(1).repeats.output_tokens_per_s);
}

TEST(Run, RepeatsTheLoadThatASearchFound) {
  LoopbackModel server;
  BenchOptions options = QuickOptions(server.Start());
  options.budget = "errors<20%";
  options.concurrency_max = 2;
  options.requests = 12;
  options.repeats = 3;
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  ASSERT_TRUE(outcome->summary.within_budget);
  const LevelSummary& best = outcome->summary.levels[*outcome->summary.within_budget];
  EXPECT_EQ(best.concurrency, 2);
  EXPECT_EQ(best.repeats.count, 3);
}

TEST(Run, AProbeEndsAtItsLimitOfTime) {
  LoopbackModel server;
  server.model.ttft = std::chrono::milliseconds(30);
  BenchOptions options = QuickOptions(server.Start());
  options.budget = "ttft_p95<10s";
  options.concurrency_max = 1;
  options.probe_time_max = std::chrono::seconds(1);  // 130 requests would take five.
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  ASSERT_TRUE(outcome->summary.within_budget);
  const LevelSummary& best = outcome->summary.levels[*outcome->summary.within_budget];
  EXPECT_FALSE(best.verdict.proven);
  EXPECT_LT(best.succeeded, 130);
  EXPECT_GT(best.succeeded, 0);
  for (const Warning& warning : best.warnings) EXPECT_NE(warning.name, "interrupted");
}

TEST(Run, ASearchEndsAtItsLimitOfTime) {
  LoopbackModel server;
  server.model.ttft = std::chrono::milliseconds(300);
  BenchOptions options = QuickOptions(server.Start());
  options.budget = "ttft_p95<10s";
  options.search_time_max = std::chrono::seconds(1);  // A scout alone takes longer.
  const std::atomic<bool> stop = false;
  const auto outcome = RunBench(options, stop);
  ASSERT_TRUE(outcome) << outcome.error().message;
  EXPECT_EQ(outcome->stop_reason, StopReason::kTimeMax);
  EXPECT_FALSE(outcome->summary.within_budget);
}

}  // namespace
}  // namespace penstock::bench
