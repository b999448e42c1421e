#include "app/usage_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace penstock::app {
namespace {

using testing::HasSubstr;

const boost::json::value kSummary = boost::json::parse(R"({
  "from": "2026-11-25T10:00:00Z", "until": "2026-11-25T11:00:00Z", "damaged_bytes": 0,
  "rows": [{"endpoint": "chat", "key": "a,b", "requests": 12, "refused": 1, "failed": 0,
            "disconnected": 0, "input_tokens": 3456, "cached_tokens": 0, "output_tokens": 78,
            "total_tokens": 3534, "cost": 3768.0, "ttft_ms": {"p50": 12.34, "p95": 56.78},
            "tpot_ms": null}]})");

TEST(UsageTable, AlignsItsColumns) {
  EXPECT_EQ(SummaryTable(kSummary, "endpoint,key"),
            "2026-11-25T10:00:00Z to 2026-11-25T11:00:00Z\n\n"
            "endpoint  key  requests  429  failed  left  input  cached  output    cost  "
            "TTFT p50 ms   p95  TPOT p50 ms  p95\n"
            "chat      a,b        12    1       0     0   3456       0      78  3768.0  "
            "       12.3  56.8            -    -\n");
}

TEST(UsageTable, CsvQuotesWhatNeedsIt) {
  const std::string csv = SummaryCsv(kSummary, "endpoint,key");
  EXPECT_THAT(csv, HasSubstr("endpoint,key,requests,refused"));
  EXPECT_THAT(csv, HasSubstr("\nchat,\"a,b\",12,1,0,0,3456,0,78,3534,3768.0,"));
}

TEST(UsageTable, TheCheckSaysWhatToDo) {
  const auto good = boost::json::parse(
      R"({"agree": true, "records": 5, "minutes": 2, "differences": 0, "examples": []})");
  EXPECT_EQ(CheckText(good), "5 records, 2 minutes of endpoints: ledger and series agree.\n");
  const auto bad = boost::json::parse(
      R"({"agree": false, "records": 5, "minutes": 2, "differences": 1, "examples": ["m"]})");
  EXPECT_THAT(CheckText(bad), HasSubstr("1 difference.\n  m\nTo make the series again"));
  const auto killed = boost::json::parse(
      R"({"agree": true, "records": 1, "minutes": 1, "differences": 0, "examples": [],
          "pending": 7, "pending_from": "2026-11-25T10:07:00Z"})");
  EXPECT_EQ(CheckText(killed),
            "1 record, 1 minute of endpoints: ledger and series agree.\n"
            "Not compared: 7 records from 2026-11-25T10:07:00Z on, which the server did not get to "
            "count before it ended; its next start adds them.\n");
}

TEST(UsageTable, EndpointsThatThereAreNotShareARow) {
  const auto summary = boost::json::parse(
      R"({"from": "a", "until": "b", "damaged_bytes": 0, "rows": [{"endpoint": "", "requests": 3}]})");
  EXPECT_THAT(SummaryTable(summary, "endpoint"), HasSubstr("\n(unknown)         3"));
}

}  // namespace
}  // namespace penstock::app
