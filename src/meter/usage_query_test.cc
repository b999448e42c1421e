#include "meter/usage_query.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <string>

#include "base/random.h"
#include "base/test_folder.h"
#include "meter/databricks_metrics.h"
#include "meter/meter_service.h"
#include "meter/prediction_times.h"
#include "meter/series_check.h"
#include "meter/time_text.h"
#include "meter/usage_report.h"

namespace penstock::meter {
namespace {

using std::chrono::minutes;
using testing::HasSubstr;

const WallTime kStart = *ParseTime("2026-11-25T10:00:00Z", {}, "");

UsageRecord RecordOf(std::uint64_t number) {
  return {.id = {.high = 1, .low = number},
          .ended_at = kStart + minutes(number % 100),
          .endpoint = number % 2 == 0 ? "chat" : "code",
          .endpoint_id = "x",
          .served_entity = "m-1",
          .model = "main.default.m",
          .model_version = 1,
          .requester = number % 3 == 0 ? "alice" : "bob, \"the\" builder",
          .client_request_id = "c",
          .usage_context = R"({"team":"a,b"})",
          .source = number % 10 == 0 ? UsageSource::kNone : UsageSource::kUpstream,
          .status = static_cast<std::uint16_t>(number % 10 == 0 ? 429 : 200),
          .input_tokens = 10,
          .output_tokens = number,
          .input_bytes = 70,
          .output_bytes = 80,
          .duration_us = number,
          .queue_wait_us = number / 2,
          .ttft_us = number * 1000,
          .input_characters = 50,
          .output_characters = 60};
}

// A folder with 300 records, counted.
class UsageQueryTest : public testing::Test {
 protected:
  UsageQueryTest() {
    auto service = *MeterService::Open(folder_.path(), {.wall_now = [] { return kStart; }});
    auto writer = service->MakeWriter();
    service->Start();
    for (std::uint64_t i = 0; i < 300; ++i) writer->Record(RecordOf(i));
    writer.reset();
    service->Stop();
  }
  std::string ledger() const { return folder_.File("ledger"); }
  UsageFilter All() const { return {.from = kStart, .until = kStart + minutes(1000)}; }

  TestFolder folder_;
};

TEST_F(UsageQueryTest, SumsUpByWhatIsAskedFor) {
  const auto summary = SummariseUsage(ledger(), All(), {GroupBy::kEndpoint, GroupBy::kStatus});
  ASSERT_TRUE(summary);
  ASSERT_EQ(summary->rows.size(), 3u);
  EXPECT_EQ(summary->rows[0].groups, (std::vector<std::string>{"chat", "200"}));
  EXPECT_EQ(summary->rows[0].sum.requests, 120u);
  EXPECT_EQ(summary->rows[1].refused, 30u);
  EXPECT_EQ(summary->rows[2].groups, (std::vector<std::string>{"code", "200"}));
  const auto value =
      boost::json::parse(ToJson(*summary, {GroupBy::kEndpoint, GroupBy::kStatus}, All()));
  EXPECT_EQ(value.at("rows").at(0).at("endpoint").as_string(), "chat");
  EXPECT_EQ(value.at("rows").at(0).at("input_tokens").to_number<int>(), 1200);
}

TEST_F(UsageQueryTest, FiltersHold) {
  UsageFilter filter = All();
  filter.endpoint = "chat";
  filter.requester = "alice";
  filter.until = kStart + minutes(50);
  const auto summary = SummariseUsage(ledger(), filter, {});
  ASSERT_TRUE(summary);
  ASSERT_EQ(summary->rows.size(), 1u);
  std::uint64_t expected = 0;
  for (std::uint64_t i = 0; i < 300; ++i) {
    expected += i % 2 == 0 && i % 3 == 0 && i % 100 < 50;
  }
  EXPECT_EQ(summary->rows[0].sum.requests, expected);
}

TEST_F(UsageQueryTest, GroupsHaveNames) {
  EXPECT_EQ(ParseGroups("endpoint,day")->size(), 2u);
  EXPECT_TRUE(ParseGroups("")->empty());
  EXPECT_FALSE(ParseGroups("colour"));
  EXPECT_THAT(ParseGroups("colour").error().message, HasSubstr("served_entity"));
}

TEST_F(UsageQueryTest, TheNewestRecordsComeFirst) {
  const auto text = RecordsToJson(ledger(), All(), 2);
  ASSERT_TRUE(text);
  const auto records = boost::json::parse(*text).at("records").as_array();
  ASSERT_EQ(records.size(), 2u);
  EXPECT_EQ(records[0].at("output_tokens").to_number<int>(), 299);
  EXPECT_EQ(records[0].at("usage_context").at("team").as_string(), "a,b");
}

TEST_F(UsageQueryTest, DatabricksRowsAreCsv) {
  std::string row;
  AppendDatabricksRow(RecordOf(1), row);
  EXPECT_EQ(row,
            ",,c,00000000000000010000000000000001,\"bob, \"\"the\"\" builder\",200,"
            "2026-11-25T10:01:00Z,10,1,50,60,\"{\"\"team\"\":\"\"a,b\"\"}\",false,m-1\n");
  EXPECT_EQ(std::ranges::count(DatabricksHeader(), ','), 13);
}

TEST_F(UsageQueryTest, TheCheckAgreesAndFindsWhatIsWrong) {
  auto series = *Series::Open(folder_.File("series.db"));
  const auto read = [&series](Series::Range range, const Series::Visit& visit) {
    return series.Read(std::nullopt, range, Columns::All(), visit);
  };
  const Series::Range range{.from = 0, .until = MinuteOf(kStart) + 1000};
  auto check = CheckSeries(ledger(), range, read);
  ASSERT_TRUE(check);
  EXPECT_EQ(check->records, 300u);
  EXPECT_EQ(check->differences, 0u) << check->examples.at(0);

  // Thinned days still agree.
  while (*series.Compact(kStart + std::chrono::days(30))) continue;
  check = CheckSeries(ledger(), range, read);
  EXPECT_EQ(check->differences, 0u);

  Rollup more;
  more.Add(RecordOf(1000));
  ASSERT_TRUE(series.Commit(more, {}));
  check = CheckSeries(ledger(), range, read);
  ASSERT_EQ(check->differences, 1u);
  EXPECT_THAT(check->examples[0], HasSubstr("'chat': 3 requests in the ledger, 4 in the series"));
}

// A server that was killed left records that its series has not counted: they are told, and what
// was counted is compared.
TEST_F(UsageQueryTest, TheCheckLeavesOutWhatIsYetToBeCounted) {
  {
    auto service = *MeterService::Open(folder_.path(), {.wall_now = [] { return kStart; }});
    auto writer = service->MakeWriter();  // Not started: nobody counts.
    for (std::uint64_t i = 1000; i < 1010; ++i) {
      UsageRecord record = RecordOf(i);
      record.ended_at = kStart + minutes(200 + i % 10);
      writer->Record(record);
    }
    writer.reset();
  }
  auto series = *Series::Open(folder_.File("series.db"));
  const auto read = [&series](Series::Range range, const Series::Visit& visit) {
    return series.Read(std::nullopt, range, Columns::All(), visit);
  };
  const Series::Range range{.from = 0, .until = MinuteOf(kStart) + 1000};
  const Positions counted = *series.ReadPositions();
  const auto check = CheckSeries(ledger(), range, read, &counted);
  ASSERT_TRUE(check);
  EXPECT_EQ(check->differences, 0u) << check->examples.at(0);
  EXPECT_EQ(check->records, 300u);
  EXPECT_EQ(check->pending, 10u);
  EXPECT_EQ(check->pending_from, MinuteOf(kStart) + 200);
  EXPECT_THAT(ToJson(*check), HasSubstr("\"pending_from\":\"2026-11-25T13:20:00Z\""));
  // A server that runs counts all.
  EXPECT_EQ(CheckSeries(ledger(), range, read)->differences, 10u);
}

TEST_F(UsageQueryTest, MinutesAreJson) {
  auto series = *Series::Open(folder_.File("series.db"));
  const auto text =
      MinutesToJson("chat", {.from = MinuteOf(kStart), .until = MinuteOf(kStart) + 10},
                    [&series](Series::Range range, const Series::Visit& visit) {
                      return series.Read("chat", range, Columns::All(), visit);
                    });
  ASSERT_TRUE(text);
  const auto all = boost::json::parse(*text).at("minutes").as_array();
  ASSERT_EQ(all.size(), 5u);
  EXPECT_EQ(all[1].at("minute").as_string(), "2026-11-25T10:02:00Z");
  EXPECT_EQ(all[1].at("requests").at(0).at("requests").to_number<int>(), 3);
}

TEST(DatabricksMetrics, AreGaugesWithTheirTime) {
  EndpointMinute minute;
  SeriesCell& good = minute.CellOf({.status = 200});
  good.requests = 3;
  for (const std::uint64_t us : {4000, 40'000, 400'000}) good.duration_us.Add(us);
  minute.CellOf({.status = 429}).requests = 2;
  minute.CellOf({.status = 503}).requests = 1;
  Distribution predictions;
  for (const std::uint64_t us : {3000, 30'000}) predictions.Add(us);
  const std::string text =
      DatabricksMetrics("chat", 1000, minute, predictions, {.cpu_percent = 12.5});
  EXPECT_THAT(text, HasSubstr("# TYPE request_count_total gauge\n"
                              "request_count_total{endpoint_name=\"chat\"} 6 60060000\n"));
  EXPECT_THAT(text, HasSubstr("request_4xx_count_total{endpoint_name=\"chat\"} 2 "));
  EXPECT_THAT(text, HasSubstr("request_5xx_count_total{endpoint_name=\"chat\"} 1 "));
  EXPECT_THAT(text, HasSubstr("cpu_usage_percentage{endpoint_name=\"chat\"} 12.5 "));
  EXPECT_THAT(text, HasSubstr("request_latency_ms_bucket{endpoint_name=\"chat\",le=\"50\"} 2 "));
  EXPECT_THAT(text, HasSubstr("request_latency_ms_count{endpoint_name=\"chat\"} 3 "));
  EXPECT_THAT(text, HasSubstr("model_prediction_latency_ms_bucket{endpoint_name=\"chat\",le=\"5\"} "
                              "1 60060000\n"));
  EXPECT_THAT(text, HasSubstr("model_prediction_latency_ms_sum{endpoint_name=\"chat\"} 33 "));
  EXPECT_THAT(text, testing::Not(HasSubstr("mem_usage")));
  EXPECT_THAT(text, testing::Not(HasSubstr("gpu_")));
}

TEST(DatabricksMetrics, TellOfEachGpuWhatItTells) {
  const HostUse host{.gpus = {{.busy_percent = 91, .memory_percent = 40.5}, {.memory_percent = 2}}};
  const std::string text = DatabricksMetrics("chat", 1000, {}, {}, host);
  EXPECT_THAT(text, HasSubstr("# TYPE gpu_usage_percentage gauge\n"
                              "gpu_usage_percentage{endpoint_name=\"chat\",gpu=\"gpu0\"} 91 "
                              "60060000\n# HELP gpu_memory_usage_percentage"));
  EXPECT_THAT(text,
              HasSubstr("gpu_memory_usage_percentage{endpoint_name=\"chat\",gpu=\"gpu0\"} "
                        "40.5 60060000\n"
                        "gpu_memory_usage_percentage{endpoint_name=\"chat\",gpu=\"gpu1\"} 2 "));
}

// A minute's records, without those that no model answered, and without the wait.
TEST_F(UsageQueryTest, PredictionTimesAreWhatReplicasTook) {
  PredictionTimes times(ledger());
  const Minute minute = MinuteOf(kStart) + 1;
  for (const int seconds : {61, 121, 1000}) {  // Just ended, settled, kept.
    const auto found = times.Of("code", minute, TimeOf(minute) + std::chrono::seconds(seconds));
    ASSERT_TRUE(found);
    EXPECT_EQ(found->stat.samples, 3u);
    EXPECT_EQ(found->stat.sum, (1u + 101u + 201u) - (0u + 50u + 100u));
  }
  const auto refused = times.Of("chat", minute + 9, TimeOf(minute + 100));
  ASSERT_TRUE(refused);
  EXPECT_EQ(refused->stat.samples, 0u);
}

}  // namespace
}  // namespace penstock::meter
