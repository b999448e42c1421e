#include "bench/report/table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "bench/record/test_records.h"

namespace penstock::bench {
namespace {

TEST(Table, LooksLikeThis) {
  EXPECT_EQ(
      RenderTable(Summarise(testing::MakeSweep({1, 4, 16}))),
      R"(               TTFT, ms               TPOT, ms               latency, s             tokens/s         requests
concurrency      p50    p90    p99      p50    p90    p99      p50    p90    p99    output  total     done  failed
          1      305    349    349     21.0   21.0   21.0     5.66   5.70   5.70      45.3    408        5       0    fastest
          4      350    400    400     24.0   24.0   24.0     6.47   6.52   6.52       159  1,428       20       0    balanced
         16      729    833  1,302     50.0   50.0   50.0     13.5   13.6   14.1       305  2,749       80       0    most throughput

doubt: at concurrency 1: fewer than 10 samples: p90 and p99 are the slowest single request; raise --requests
note: at concurrency 4, 16: fewer than 100 samples: p99 is the slowest single request; raise --requests

At most 305 output tokens/s (2,749 with input), at concurrency 16: latency p50 13.5 s, p90 13.6 s. Balanced: 159 output tokens/s (1,428 with input), at concurrency 4: latency p50 6.47 s, p90 6.52 s.
)");
}

TEST(Table, ColumnsLineUpWhateverTheNumbers) {
  RunRecords run = testing::MakeSweep({1, 128});
  run.requests[0].phase = Phase::kMeasured;
  run.requests[0].end_ns += 90'000 * testing::kMs;
  std::istringstream lines(RenderTable(Summarise(run)));
  std::string groups, titles, row;
  std::getline(lines, groups);
  std::getline(lines, titles);
  const std::size_t end_of_first = titles.find("concurrency") + 11;
  for (int level = 0; level < 2; ++level) {
    std::getline(lines, row);
    EXPECT_NE(row[end_of_first - 1], ' ') << row;
    EXPECT_EQ(row[end_of_first], ' ') << row;
  }
}

TEST(Table, SaysWhatIsWrong) {
  RunRecords run = testing::MakeSweep({1});
  run.header.environment.build_type = "Debug";
  run.requests[3].error = ErrorKind::kStatus;
  const std::string table = RenderTable(Summarise(run));
  EXPECT_NE(table.find("invalid: this load generator is a debug build"), std::string::npos)
      << table;
  EXPECT_NE(table.find("at concurrency 1: 1 of 6 requests failed (1 status)"), std::string::npos)
      << table;
  EXPECT_NE(table.find("INVALID"), std::string::npos);
}

TEST(Table, AnswersEvenWhereNothingSucceeded) {
  RunRecords run = testing::MakeSweep({2});
  for (RequestRecord& request : run.requests) request.error = ErrorKind::kConnect;
  const std::string table = RenderTable(Summarise(run));
  EXPECT_NE(table.find("No request succeeded"), std::string::npos) << table;
  EXPECT_NE(table.find("12 connect"), std::string::npos) << table;
}

}  // namespace
}  // namespace penstock::bench
