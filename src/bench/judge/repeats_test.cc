// Repeats: which records are one load, and how its figures scatter.
#include "bench/judge/repeats.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "bench/judge/answer.h"
#include "bench/judge/summary.h"
#include "bench/record/test_records.h"
#include "bench/report/exports.h"
#include "bench/report/report.h"
#include "bench/report/summary_json.h"
#include "bench/report/table.h"

namespace penstock::bench {
namespace {

using testing::kMs;

struct Level {
  int number = 1;
  int concurrency = 1;
  std::int64_t ttft_ms = 100;
  bool scout = false;
  int repeats = 0;
  int requests = 20;
};

// One worker after the other, back to back; each level begins where the last one ended.
RunRecords RunOf(const std::vector<Level>& levels, bool open = false) {
  RunRecords run{.header = testing::MakeHeader()};
  std::int64_t at_ms = 0;
  std::uint64_t id = 0;
  for (const Level& level : levels) {
    LevelRecord& record = run.levels.emplace_back();
    record.number = level.number;
    record.concurrency = open ? 0 : level.concurrency;
    record.rate_per_s = open ? level.concurrency : 0;
    record.started_ns = at_ms * kMs;
    record.scout = level.scout;
    record.repeats = level.repeats;
    for (int i = 0; i < level.requests; ++i) {
      RequestRecord request = testing::MakeRecord(
          {.id = id++, .concurrency = 1, .sent_ms = at_ms, .ttft_ms = level.ttft_ms});
      request.level = level.number;
      request.concurrency = open ? 0 : level.concurrency;
      at_ms += level.ttft_ms + 100;
      run.requests.push_back(request);
    }
    record.ended_ns = at_ms * kMs;
  }
  return run;
}

TEST(Repeats, EachRunOfALoadIsOneSample) {
  // Eleven tokens in 200, 250 and 300 ms: 55, 44 and 36.7 tokens/s.
  const RunSummary summary = Summarise(RunOf({{.number = 1, .ttft_ms = 100},
                                              {.number = 2, .ttft_ms = 150, .repeats = 1},
                                              {.number = 3, .ttft_ms = 200, .repeats = 1}}));
  ASSERT_EQ(summary.levels.size(), 1u);
  const LevelSummary& level = summary.levels.front();
  EXPECT_EQ(level.succeeded, 60);
  EXPECT_EQ(level.numbers, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(level.repeats.count, 3);
  // Worked out by hand: 150 ± 4.303 × 50 ÷ √3.
  EXPECT_NEAR(level.repeats.ttft_p50_ms.low, 150 - 4.303 * 50 / std::sqrt(3), 1e-9);
  EXPECT_NEAR(level.repeats.ttft_p50_ms.high, 150 + 4.303 * 50 / std::sqrt(3), 1e-9);
  EXPECT_NEAR(level.repeats.latency_p50_ms.low + level.repeats.latency_p50_ms.high, 2 * 250, 1e-9);
  EXPECT_EQ(level.repeats.tpot_p50_ms, (Interval{10, 10}));
  const Interval& output = level.repeats.output_tokens_per_s;
  EXPECT_NEAR((output.low + output.high) / 2, (55 + 44 + 11 / 0.3) / 3, 0.2);
  EXPECT_TRUE(output.Contains(level.best_rates().output_tokens_per_s));
  // The pauses between the repeats count for nothing: each has a steady window of its own.
  EXPECT_EQ(level.steady_windows.size(), 3u);
  EXPECT_NEAR(level.in_steady.seconds, 20 * (0.2 + 0.25 + 0.3), 0.01);
}

TEST(Repeats, StandInEveryOutputAndSayTheirMethod) {
  const RunSummary summary = Summarise(RunOf({{.number = 1, .ttft_ms = 100},
                                              {.number = 2, .ttft_ms = 102, .repeats = 1},
                                              {.number = 3, .ttft_ms = 98, .repeats = 1}}));
  EXPECT_NE(Answer(summary).find(" ± "), std::string::npos) << Answer(summary);
  EXPECT_NE(Answer(summary).find("95 % of 3 repeats"), std::string::npos) << Answer(summary);
  const std::string table = RenderTable(summary);
  EXPECT_NE(table.find("95 % intervals (Student's t)"), std::string::npos) << table;
  EXPECT_NE(table.find("concurrency 1        3"), std::string::npos) << table;
  const std::string json = RenderJson(summary);
  EXPECT_NE(json.find("\"repeats\":{\"count\":3,\"method\":\"student_t\",\"confidence\":0.95"),
            std::string::npos)
      << json;
  EXPECT_NE(RenderReport(summary).find("How much it scatters"), std::string::npos);
  EXPECT_NE(RenderMarkdown(summary).find("± is the 95 % interval"), std::string::npos);
  EXPECT_NE(RenderCsv(summary).find("output_tokens_per_s_low"), std::string::npos);
  EXPECT_NE(RenderPrometheus(summary).find("penstock_bench_repeats{"), std::string::npos);
}

TEST(Repeats, ARunWithoutThemClaimsNone) {
  const RunSummary summary = Summarise(RunOf({{.number = 1}}));
  EXPECT_EQ(summary.levels.front().repeats.count, 0);
  EXPECT_EQ(Answer(summary).find("±"), std::string::npos);
  EXPECT_EQ(RenderTable(summary).find("Student"), std::string::npos);
  EXPECT_EQ(RenderReport(summary).find("How much it scatters"), std::string::npos);
  EXPECT_EQ(RenderJson(summary).find("\"repeats\""), std::string::npos);
}

TEST(Repeats, OfAnOpenLoopBelongToTheLevelThatTheyName) {
  const RunSummary summary = Summarise(RunOf({{.number = 1, .concurrency = 4},
                                              {.number = 2, .concurrency = 5},
                                              {.number = 3, .concurrency = 4, .repeats = 1},
                                              {.number = 4, .concurrency = 5, .repeats = 2}},
                                             true));
  ASSERT_EQ(summary.levels.size(), 2u);
  EXPECT_EQ(summary.levels[0].rate_per_s, 4);
  EXPECT_EQ(summary.levels[0].numbers, (std::vector<int>{1, 3}));
  EXPECT_EQ(summary.levels[1].numbers, (std::vector<int>{2, 4}));
  EXPECT_EQ(summary.levels[1].repeats.count, 2);
}

TEST(Repeats, WhatAScoutSawOfAJudgedLoadIsLeftOut) {
  const RunSummary summary =
      Summarise(RunOf({{.number = 1, .concurrency = 1, .scout = true, .requests = 3},
                       {.number = 2, .concurrency = 2, .scout = true, .requests = 3},
                       {.number = 3, .concurrency = 2, .requests = 30}}));
  ASSERT_EQ(summary.levels.size(), 2u);
  EXPECT_TRUE(summary.levels[0].scout);
  EXPECT_FALSE(summary.levels[1].scout);
  EXPECT_EQ(summary.levels[1].succeeded, 30);
  EXPECT_EQ(summary.levels[1].repeats.count, 0);
}

}  // namespace
}  // namespace penstock::bench
