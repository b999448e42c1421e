#include "bench/report/exports.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "bench/drive/optimization_info.h"
#include "bench/record/test_records.h"
#include "bench/report/compare.h"
#include "bench/report/compare_report.h"

namespace penstock::bench {
namespace {

RunRecords Sweep() {
  RunRecords run = testing::MakeSweep({1, 4, 16});
  run.header.settings.budget = "ttft_p95<500ms";
  return run;
}

TEST(Exports, CsvHasOneFullLinePerLevel) {
  std::istringstream lines(RenderCsv(Summarise(Sweep())));
  std::string line;
  std::getline(lines, line);
  EXPECT_EQ(line.substr(0, 40), "concurrency,rate_per_s,within_budget,out");
  const auto commas = std::ranges::count(line, ',');
  for (const char* begin : {"1,0,true,", "4,0,true,", "16,0,false,"}) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_TRUE(line.starts_with(begin)) << line;
    EXPECT_EQ(std::ranges::count(line, ','), commas);
    EXPECT_EQ(line.back(), '\r');
  }
  EXPECT_FALSE(std::getline(lines, line));
}

TEST(Exports, PrometheusTextIsWellFormed) {
  RunRecords run = Sweep();
  run.header.settings.model = "a\"b\\c";
  std::istringstream lines(RenderPrometheus(Summarise(run)));
  int samples = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("# ")) continue;
    ++samples;
    EXPECT_TRUE(line.starts_with("penstock_bench_")) << line;
    if (line.starts_with("penstock_bench_valid")) continue;
    EXPECT_NE(line.find("{model=\"a\\\"b\\\\c\",concurrency=\""), std::string::npos) << line;
  }
  EXPECT_GT(samples, 100);
  EXPECT_NE(RenderPrometheus(Summarise(run)).find("quantile=\"0.95\"} "), std::string::npos);
}

TEST(Exports, MarkdownHoldsTheAnswerAndEveryLevel) {
  const std::string text = RenderMarkdown(Summarise(Sweep()));
  EXPECT_NE(text.find("Within ttft_p95<500ms"), std::string::npos) << text;
  EXPECT_NE(text.find("| concurrency 16 |"), std::string::npos);
  EXPECT_NE(text.find("over the budget"), std::string::npos);
  EXPECT_NE(text.find("penstock bench http://127.0.0.1:8080"), std::string::npos);
}

TEST(Compare, FindsWhatIsSlowerAndNothingElse) {
  const RunRecords base = testing::MakeSweep({4, 16});
  RunRecords slower = base;
  for (RequestRecord& record : slower.requests) {
    if (record.concurrency != 16) continue;
    record.first_token_ns += 300 * testing::kMs;
    record.last_token_ns += 300 * testing::kMs;
    record.end_ns += 300 * testing::kMs;
  }
  const Comparison same = Compare({{"a", base}, {"b", base}});
  for (const LevelComparison& level : same.levels) {
    for (const Difference& difference : level.differences) {
      EXPECT_EQ(difference.change, Change::kNone) << difference.metric;
      EXPECT_DOUBLE_EQ(difference.ratio, 1);
    }
  }
  const Comparison comparison = Compare({{"a", base}, {"b", slower}});
  ASSERT_EQ(comparison.levels.size(), 2u);
  EXPECT_EQ(comparison.levels[0].load, "concurrency 4");
  EXPECT_EQ(comparison.levels[0].differences[0].change, Change::kNone);
  const Difference& ttft = comparison.levels[1].differences[0];
  EXPECT_EQ(ttft.metric, "TTFT");
  EXPECT_EQ(ttft.change, Change::kWorse);
  EXPECT_GT(ttft.ratio_95.low, 1.2);
  EXPECT_LT(ttft.p, 0.001);
  EXPECT_EQ(comparison.levels[1].differences[1].change, Change::kNone);  // TPOT is the same.
  EXPECT_NE(ComparisonAnswer(comparison).find("TTFT is worse at 1 of 2 levels"), std::string::npos)
      << ComparisonAnswer(comparison);
  const std::string page = RenderComparisonReport(comparison);
  EXPECT_NE(page.find("They differ, and not by chance"), std::string::npos);
  EXPECT_EQ(page.find("<script"), std::string::npos);
}

TEST(Compare, SaysWhereRunsAreNotAlike) {
  const RunRecords base = testing::MakeSweep({4});
  RunRecords other = testing::MakeSweep({4, 8, 16});
  other.header.settings.input_tokens = 512;
  const Comparison comparison = Compare({{"a", base}, {"b", other}});
  std::string remarks;
  for (const std::string& remark : comparison.remarks) remarks += remark + "\n";
  EXPECT_NE(remarks.find("input tokens is 512 and not 2048"), std::string::npos) << remarks;
  EXPECT_NE(remarks.find("b: run here only: concurrency 8, concurrency 16"), std::string::npos)
      << remarks;
}

TEST(OptimizationInfo, ReadsAnswersAndRefusesOthers) {
  const auto info = ParseOptimizationInfo(
      R"({"optimizable":true,"model_type":"llama","throughput_chunk_size":1580})");
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->optimizable);
  EXPECT_EQ(info->model_type, "llama");
  EXPECT_EQ(info->throughput_chunk_size, 1580);
  EXPECT_EQ(ParseOptimizationInfo("{}")->throughput_chunk_size, 0);
  EXPECT_FALSE(ParseOptimizationInfo("[]"));
  EXPECT_FALSE(ParseOptimizationInfo("<html>"));
  EXPECT_FALSE(ParseOptimizationInfo(R"({"throughput_chunk_size":-5})"));
  EXPECT_EQ(*OptimizationInfoTarget("system.ai.llama/3"),
            "/api/2.0/serving-endpoints/get-model-optimization-info/system.ai.llama/3");
  for (const char* bad : {"", "llama", "/3", "llama/", "a b/3", "a/3?x"}) {
    EXPECT_EQ(OptimizationInfoTarget(bad).error().field, "optimization-info") << bad;
  }
}

}  // namespace
}  // namespace penstock::bench
