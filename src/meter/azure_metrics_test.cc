#include "meter/azure_metrics.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <map>
#include <string>

#include "meter/rollup.h"
#include "meter/time_text.h"

namespace penstock::meter {
namespace {

namespace json = boost::json;

const WallTime kStart = *ParseTime("2026-11-25T10:00:00Z", {}, "");
constexpr const char* kSpan = "2026-11-25T10:00:00Z/2026-11-25T10:05:00Z";

UsageRecord RecordOf(const char* endpoint, int minute, std::uint64_t input, std::uint64_t output,
                     std::uint16_t status = 200) {
  return {.ended_at = kStart + std::chrono::minutes(minute) + std::chrono::seconds(5),
          .endpoint = endpoint,
          .endpoint_id = "x",
          .model = "main.default.m",
          .model_version = 2,
          .operation = Operation::kChat,
          .source = status == 200 ? UsageSource::kUpstream : UsageSource::kNone,
          .stream = true,
          .status = status,
          .input_tokens = input,
          .output_tokens = output,
          .duration_us = 2'000'000,
          .ttft_us = status == 200 ? std::optional(input * 1000) : std::nullopt,
          .tpot_ns = status == 200 ? std::optional<std::uint64_t>(20'000'000) : std::nullopt};
}

Rollup Sample() {
  Rollup rollup;
  rollup.Add(RecordOf("chat", 0, 100, 10));
  rollup.Add(RecordOf("chat", 0, 300, 30));
  rollup.Add(RecordOf("chat", 2, 600, 60));
  rollup.Add(RecordOf("chat", 2, 0, 0, 429));
  rollup.Add(RecordOf("code", 2, 50, 5));
  rollup.Add(RecordOf("code", 2, 0, 0, 500));
  GaugeRecord gauges{.at = kStart, .endpoint = "chat"};
  gauges.utilisation_milli.Add(400);
  gauges.utilisation_milli.Add(800);
  gauges.provisioned_milli.Add(1000);
  rollup.Add(gauges);
  return rollup;
}

Result<json::value> Ask(AzureParameters parameters, const Rollup& rollup = Sample()) {
  parameters.resource = "/subscriptions/s/resourceGroups/g/providers/a/accounts/x";
  if (parameters.timespan.empty()) parameters.timespan = kSpan;
  const auto query = ParseAzureQuery(parameters, kStart + std::chrono::minutes(5));
  if (!query) return Fail(query.error());
  const auto answer = AnswerAzureQuery(
      parameters, *query, [&](Series::Range range, Columns, const Series::Visit& visit) {
        for (const auto& [endpoint, minutes] : rollup.endpoints()) {
          for (const auto& [minute, content] : minutes) {
            if (minute >= range.from && minute < range.until) visit(endpoint, minute, content);
          }
        }
        return Status();
      });
  if (!answer) return Fail(answer.error());
  return json::parse(*answer);
}

// The values of `aggregation` of the metric's time series `series`; -1 where there is none.
std::vector<double> Values(const Result<json::value>& answer, const char* aggregation,
                           std::size_t series = 0) {
  std::vector<double> values;
  EXPECT_TRUE(answer) << (answer ? "" : answer.error().message);
  if (!answer) return values;
  const auto& all = answer->at("value").at(0).at("timeseries").as_array();
  if (series >= all.size()) return values;
  for (const json::value& point : all[series].at("data").as_array()) {
    const json::value* const value = point.as_object().if_contains(aggregation);
    values.push_back(value == nullptr ? -1 : value->to_number<double>());
  }
  return values;
}

using Doubles = std::vector<double>;

TEST(AzureMetrics, CountsByTheMinute) {
  const auto answer = Ask({.metric_names = "AzureOpenAIRequests"});
  EXPECT_EQ(Values(answer, "total"), (Doubles{2, 0, 4, 0, 0}));
  EXPECT_EQ(answer->at("interval").as_string(), "PT1M");
  EXPECT_EQ(answer->at("timespan").as_string(), kSpan);
  const json::value& metric = answer->at("value").at(0);
  EXPECT_EQ(metric.at("name").at("value").as_string(), "AzureOpenAIRequests");
  EXPECT_EQ(metric.at("unit").as_string(), "Count");
  EXPECT_EQ(metric.at("timeseries").at(0).at("data").at(0).at("timeStamp").as_string(),
            "2026-11-25T10:00:00Z");
}

// The seed's question: minimum, average and maximum of tokens over the minutes of a longer span.
TEST(AzureMetrics, ExtremesOfALongerIntervalAreOverItsMinutes) {
  const auto answer = Ask({.metric_names = "ProcessedPromptTokens",
                           .aggregation = "Total,Minimum,Average,Maximum,Count",
                           .interval = "FULL"});
  EXPECT_EQ(Values(answer, "total"), Doubles{1050});
  EXPECT_EQ(Values(answer, "minimum"), Doubles{400});
  EXPECT_EQ(Values(answer, "average"), Doubles{525});
  EXPECT_EQ(Values(answer, "maximum"), Doubles{650});
}

TEST(AzureMetrics, AStarSplitsAndAValueChooses) {
  const auto split =
      Ask({.metric_names = "GeneratedTokens", .filter = "ModelDeploymentName eq '*'"});
  EXPECT_EQ(Values(split, "total", 0), (Doubles{40, 0, 60, 0, 0}));
  EXPECT_EQ(Values(split, "total", 1), (Doubles{0, 0, 5, 0, 0}));
  const json::value& meta = split->at("value").at(0).at("timeseries").at(0).at("metadatavalues");
  EXPECT_EQ(meta.at(0).at("name").at("value").as_string(), "modeldeploymentname");
  EXPECT_EQ(meta.at(0).at("value").as_string(), "chat");
  const auto one = Ask({.metric_names = "AzureOpenAIRequests",
                        .filter = "ModelDeploymentName eq 'chat' and (StatusCode eq '429' or "
                                  "StatusCode eq '500')"});
  EXPECT_EQ(Values(one, "total"), (Doubles{0, 0, 1, 0, 0}));
  const auto other = Ask({.metric_names = "AzureOpenAIRequests",
                          .filter = "ModelDeploymentName ne 'chat' and StreamType eq '*'"});
  EXPECT_EQ(Values(other, "total"), (Doubles{0, 0, 2, 0, 0}));
}

TEST(AzureMetrics, LatenciesAreThoseOfRequests) {
  const auto answer = Ask({.metric_names = "AzureOpenAITimeToResponse",
                           .aggregation = "average,minimum,maximum",
                           .filter = "ModelDeploymentName eq 'chat' and StatusCode eq '200'"});
  EXPECT_EQ(Values(answer, "average"), (Doubles{200, -1, 600, -1, -1}));
  EXPECT_EQ(Values(answer, "minimum"), (Doubles{100, -1, 600, -1, -1}));
  EXPECT_EQ(Values(answer, "maximum"), (Doubles{300, -1, 600, -1, -1}));
  const auto speed = Ask({.metric_names = "AzureOpenAITokenPerSecond"});
  EXPECT_EQ(Values(speed, "average")[0], 50);
  const auto normalised = Ask({.metric_names = "AzureOpenAINormalizedTTFTInMS"});
  EXPECT_EQ(Values(normalised, "average")[0], 1);
}

TEST(AzureMetrics, RatesAndUtilisation) {
  const auto available = Ask({.metric_names = "AzureOpenAIAvailabilityRate"});
  EXPECT_EQ(Values(available, "average"), (Doubles{100, -1, 75, -1, -1}));
  const auto used = Ask({.metric_names = "AzureOpenAIProvisionedManagedUtilizationV2",
                         .aggregation = "Average,Maximum",
                         .filter = "ModelDeploymentName eq 'chat'"});
  EXPECT_EQ(Values(used, "average")[0], 60);
  EXPECT_EQ(Values(used, "maximum")[0], 80);
}

// A gauge has no kind of stream: it counts for those that the minute's requests had, and in a
// silent minute for those of the last one that had any.
TEST(AzureMetrics, UtilisationBySeveralKindsOfStream) {
  Rollup rollup = Sample();
  UsageRecord whole = RecordOf("chat", 0, 100, 10);
  whole.stream = false;
  rollup.Add(whole);
  GaugeRecord silent{.at = kStart + std::chrono::minutes(1), .endpoint = "chat"};
  silent.utilisation_milli.Add(300);
  silent.provisioned_milli.Add(1000);
  rollup.Add(silent);
  for (const char* kind : {"Streaming", "Non-Streaming"}) {
    const auto used = Ask({.metric_names = "AzureOpenAIProvisionedManagedUtilizationV2",
                           .aggregation = "Average",
                           .filter = std::string("StreamType eq '") + kind + "'"},
                          rollup);
    EXPECT_EQ(Values(used, "average"), (Doubles{60, 30, -1, -1, -1})) << kind;
  }
}

// As Microsoft lists them (reference of Microsoft.CognitiveServices/accounts).
TEST(AzureMetrics, DefinitionsNameAggregationsAndDimensions) {
  const auto definitions = json::parse(AzureMetricDefinitions("x"));
  std::map<std::string, std::string> dimensions;
  std::map<std::string, std::string> aggregations;
  for (const json::value& definition : definitions.at("value").as_array()) {
    const std::string name(definition.at("name").at("value").as_string());
    for (const json::value& dimension : definition.at("dimensions").as_array()) {
      dimensions[name] += std::string(dimension.at("value").as_string()) + " ";
    }
    for (const json::value& aggregation : definition.at("supportedAggregationTypes").as_array()) {
      aggregations[name] += std::string(aggregation.as_string()) + " ";
    }
  }
  EXPECT_EQ(aggregations["ActiveTokens"], "Total Minimum Maximum Average ");
  EXPECT_EQ(aggregations["ProcessedPromptTokens"], "Total ");
  EXPECT_EQ(aggregations["AzureOpenAITimeToResponse"], "Minimum Maximum Average ");
  EXPECT_EQ(dimensions["AzureOpenAIContextTokensCacheMatchRate"],
            "Region ModelDeploymentName ModelName ModelVersion ");
  EXPECT_EQ(dimensions["AzureOpenAIProvisionedManagedUtilizationV2"],
            "Region StreamType ModelDeploymentName ModelName ModelVersion ");
  EXPECT_EQ(dimensions["ProcessedPromptTokens"],
            "ApiName ModelDeploymentName FeatureName UsageChannel Region ModelVersion "
            "ServiceTierRequest ServiceTierResponse ");
  EXPECT_EQ(dimensions["AzureOpenAITimeToResponse"].find("IsSpillover"), std::string::npos);
}

TEST(AzureMetrics, SeveralMetricsAtOnce) {
  const auto answer = Ask({.metric_names = "TokenTransaction,ActiveTokens"});
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->at("value").as_array().size(), 2u);
}

// What a metric reads of a minute, it names: minutes of which nothing else is read tell the same.
TEST(AzureMetrics, TheColumnsOfAMetricSuffice) {
  const Rollup rollup = Sample();
  std::map<Minute, EndpointMinute> day = rollup.endpoints().at("chat");
  const Minute begins = day.begin()->first / kMinutesPerDay * kMinutesPerDay;
  const DayBytes bytes = PackDay(day, begins, true);
  const auto definitions = json::parse(AzureMetricDefinitions("x"));
  for (const json::value& definition : definitions.at("value").as_array()) {
    const AzureParameters parameters{
        .resource = "x",
        .metric_names = std::string(definition.at("name").at("value").as_string()),
        .aggregation = "total,average,minimum,maximum,count",
        .timespan = kSpan};
    const auto query = ParseAzureQuery(parameters, kStart + std::chrono::minutes(5));
    ASSERT_TRUE(query);
    const auto ask = [&](bool all) {
      return *AnswerAzureQuery(
          parameters, *query, [&](Series::Range, Columns columns, const Series::Visit& visit) {
            return UnpackDay(bytes.numbers, {}, begins, all ? Columns::Numbers() : columns,
                             [&](Minute minute, const EndpointMinute& content) {
                               visit("chat", minute, content);
                             });
          });
    };
    EXPECT_EQ(ask(false), ask(true));
    EXPECT_NE(ask(true).find("\"maximum\":"), std::string::npos) << parameters.metric_names;
  }
}

// A range of several days is read day by day; an interval may span them.
TEST(AzureMetrics, IntervalsSpanDays) {
  const AzureParameters parameters{.metric_names = "GeneratedTokens",
                                   .aggregation = "total,minimum,maximum,count",
                                   .interval = "P1D",
                                   .timespan = "2026-11-24T12:00:00Z/2026-11-26T12:00:00Z"};
  const auto query = ParseAzureQuery(parameters, kStart);
  ASSERT_TRUE(query);
  std::size_t reads = 0;
  const auto answer = AnswerAzureQuery(
      parameters, *query, [&](Series::Range range, Columns, const Series::Visit& visit) {
        EXPECT_LE(range.until - range.from, kMinutesPerDay);
        ++reads;
        EndpointMinute minute;
        minute.cells.resize(1);
        for (Minute at = range.from; at < range.until; ++at) {
          minute.cells[0].cell.output.sum = static_cast<std::uint64_t>(at % 7);
          visit("chat", at, minute);
          visit("chat", at, minute);  // Parts add up.
        }
        return Status();
      });
  ASSERT_TRUE(answer);
  EXPECT_EQ(reads, 3u);
  const auto data = json::parse(*answer).at("value").at(0).at("timeseries").at(0).at("data");
  ASSERT_EQ(data.as_array().size(), 3u);
  EXPECT_EQ(data.at(1).at("timeStamp").as_string(), "2026-11-25T00:00:00Z");
  EXPECT_EQ(data.at(1).at("count").as_int64(), 1440);
  EXPECT_EQ(data.at(1).at("maximum").as_int64(), 12);
  EXPECT_EQ(data.at(1).at("minimum").as_int64(), 0);
}

TEST(AzureMetrics, TooManySeriesAreRefused) {
  const AzureParameters parameters{.metric_names = "AzureOpenAIRequests",
                                   .timespan = kSpan,
                                   .filter = "ModelDeploymentName eq '*'"};
  const auto query = ParseAzureQuery(parameters, kStart);
  ASSERT_TRUE(query);
  const auto ask = [&](std::size_t endpoints) {
    return AnswerAzureQuery(parameters, *query,
                            [&](Series::Range range, Columns, const Series::Visit& visit) {
                              EndpointMinute minute;
                              minute.cells.resize(1);
                              for (std::size_t i = 0; i < endpoints; ++i)
                                visit(std::to_string(i), range.from, minute);
                              return Status();
                            });
  };
  EXPECT_TRUE(ask(kAzureSeriesMax));
  const auto refused = ask(kAzureSeriesMax + 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kTooLarge);
  EXPECT_EQ(refused.error().field, "$filter");
}

TEST(AzureMetrics, BadParametersNameThemselves) {
  const auto field = [](AzureParameters parameters) {
    const auto answer = Ask(std::move(parameters));
    return answer ? std::string("none") : answer.error().field;
  };
  EXPECT_EQ(field({.metric_names = "Nonsense"}), "metricnames");
  EXPECT_EQ(field({.aggregation = "median"}), "aggregation");
  EXPECT_EQ(field({.interval = "PT10S"}), "interval");
  EXPECT_EQ(field({.interval = "1m"}), "interval");
  EXPECT_EQ(field({.timespan = "x/y"}), "timespan");
  EXPECT_EQ(field({.timespan = "2026-11-25T10:00:00Z/2026-11-24T10:00:00Z"}), "timespan");
  EXPECT_EQ(field({.timespan = "2020-11-25T10:00:00Z/2026-11-24T10:00:00Z"}), "timespan");
  EXPECT_EQ(field({.filter = "ModelDeploymentName"}), "$filter");
  EXPECT_EQ(field({.filter = "ModelDeploymentName eq 'a"}), "$filter");
  EXPECT_EQ(field({.filter = "(ModelDeploymentName eq 'a'"}), "$filter");
  EXPECT_EQ(field({.filter = "Colour eq 'red'"}), "$filter");
  EXPECT_EQ(field({.metric_names = "ActiveTokens", .filter = "StatusCode eq '200'"}), "$filter");
}

TEST(AzureFilter, QuotesAreDoubledInside) {
  const auto filter = ParseAzureFilter("ModelDeploymentName eq 'it''s'");
  ASSERT_TRUE(filter);
  EXPECT_EQ(filter->at("ModelDeploymentName").wanted, std::vector<std::string>{"it's"});
}

TEST(TimeText, TimesComeAndGo) {
  const WallTime now = kStart;
  for (const char* text : {"2026-11-25T10:00:00Z", "2026-11-25T10:00Z", "2026-11-25T12:00:00+02:00",
                           "2026-11-25 10:00", "now", "0s", "2026-11-25T05:30:00.000-0430"}) {
    const auto time = ParseTime(text, now, "--from");
    ASSERT_TRUE(time) << text;
    EXPECT_EQ(FormatTime(*time), "2026-11-25T10:00:00Z") << text;
  }
  EXPECT_EQ(FormatTime(*ParseTime("2026-02-28T23:59:59.25Z", now, "")), "2026-02-28T23:59:59.250Z");
  EXPECT_EQ(*ParseTime("36h", now, ""), now - std::chrono::hours(36));
  for (const char* text : {"", "yesterday", "2026-13-01", "2026-02-30", "2026-11-25T", "5", "-1h",
                           "2026-11-25T10:00:00Zx", "2026-11-25T10:61Z", "99999999999999999d"}) {
    EXPECT_FALSE(ParseTime(text, now, "--from")) << text;
  }
}

TEST(TimeText, Periods) {
  EXPECT_EQ(ParsePeriod("PT1M", "")->count(), 60);
  EXPECT_EQ(ParsePeriod("P1DT2H", "")->count(), 26 * 3600);
  EXPECT_EQ(FormatPeriod(std::chrono::hours(6)), "PT6H");
  EXPECT_EQ(FormatPeriod(std::chrono::hours(24)), "P1D");
  for (const char* text : {"", "P", "PT", "1M", "PT0M", "P1M", "PTM", "PT1X"}) {
    EXPECT_FALSE(ParsePeriod(text, "interval")) << text;
  }
}

}  // namespace
}  // namespace penstock::meter
