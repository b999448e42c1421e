#include "meter/azure_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <span>
#include <utility>

#include "meter/azure_gather.h"
#include "meter/azure_table.h"
#include "meter/time_text.h"

namespace penstock::meter {
namespace {

namespace json = boost::json;

using azure::Gatherer;
using azure::Kind;
using azure::Lower;
using azure::Metric;
using azure::Split;

constexpr std::array<std::string_view, 5> kAggregations = {"total", "average", "minimum", "maximum",
                                                           "count"};

bool HasDimension(const Metric& metric, std::string_view dimension) {
  return std::ranges::count(Split(metric.dimensions, ' '), dimension) > 0;
}

Status CheckFilter(const AzureQuery& query) {
  for (const std::size_t index : query.metrics) {
    for (const auto& [dimension, condition] : query.filter) {
      if (HasDimension(azure::Metrics()[index], dimension)) continue;
      return Fail(Code::kInvalidArgument,
                  fmt::format("$filter: metric {} has no dimension '{}'; it has {}",
                              azure::Metrics()[index].name, dimension.substr(0, 64),
                              azure::Metrics()[index].dimensions),
                  "$filter");
    }
  }
  return {};
}

Status ReadNames(const AzureParameters& parameters, AzureQuery& query) {
  for (const std::string_view name : Split(parameters.metric_names, ',')) {
    const auto all = azure::Metrics();
    const auto found = std::ranges::find_if(
        all, [&](const Metric& metric) { return Lower(metric.name) == Lower(name); });
    if (found == all.end()) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("metricnames: there is no metric '{}'", name.substr(0, 80)),
                  "metricnames");
    }
    query.metrics.push_back(static_cast<std::size_t>(found - all.begin()));
  }
  if (query.metrics.empty()) query.metrics.push_back(0);
  for (const std::string_view word : Split(parameters.aggregation, ',')) {
    query.aggregations.push_back(Lower(word));
    if (std::ranges::count(kAggregations, query.aggregations.back()) == 0) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("aggregation: '{}' is none of {}", word.substr(0, 40),
                              fmt::join(kAggregations, ", ")),
                  "aggregation");
    }
  }
  return {};
}

Status ReadTimes(const AzureParameters& parameters, WallTime now, AzureQuery& query) {
  WallTime from = now - std::chrono::hours(1);
  WallTime until = now;
  const std::string_view span = parameters.timespan;
  const std::size_t slash = span.find('/');
  if (slash != std::string_view::npos) {
    const auto first = ParseTime(span.substr(0, slash), now, "timespan");
    const auto second = ParseTime(span.substr(slash + 1), now, "timespan");
    if (!first) return Fail(first.error());
    if (!second) return Fail(second.error());
    from = *first;
    until = *second;
  } else if (!span.empty()) {
    const auto period = ParsePeriod(span, "timespan");
    if (!period) return Fail(period.error());
    from = now - *period;
  }
  query.range = {.from = MinuteOf(from),
                 .until = MinuteOf(until + std::chrono::minutes(1) - std::chrono::milliseconds(1))};
  if (query.range.from >= query.range.until) {
    return Fail(Code::kInvalidArgument, "timespan: it ends before it begins", "timespan");
  }
  if (Lower(parameters.interval) == "full") {
    query.interval = std::chrono::minutes(query.range.until - query.range.from);
  } else if (!parameters.interval.empty()) {
    const auto period = ParsePeriod(parameters.interval, "interval");
    if (!period) return Fail(period.error());
    if (period->count() % 60 != 0) {
      return Fail(Code::kInvalidArgument, "interval: the finest is PT1M", "interval");
    }
    query.interval = std::chrono::duration_cast<std::chrono::minutes>(*period);
  }
  // Intervals begin where the clock would have them.
  const Minute length = query.interval.count();
  if (Lower(parameters.interval) != "full") query.range.from -= query.range.from % length;
  const auto points = static_cast<std::size_t>((query.range.until - query.range.from) / length);
  if (points * query.metrics.size() > kAzurePointsMax) {
    return Fail(Code::kTooLarge,
                fmt::format("timespan: over {} points; ask for a longer interval or less time",
                            kAzurePointsMax),
                "timespan");
  }
  return {};
}

// The object with a comma in place of its end, for it goes on.
std::string Open(const json::object& object) {
  std::string text = json::serialize(object);
  text.back() = ',';
  return text;
}

// Day by day, so that what a minute adds up to need not be kept for long.
Status Gather(const AzureQuery& query,
              const std::function<Status(Series::Range, Columns, const Series::Visit&)>& read,
              std::vector<Gatherer>& gatherers) {
  Columns columns;
  for (const std::size_t index : query.metrics) columns = columns | azure::Metrics()[index].columns;
  for (Minute from = query.range.from; from < query.range.until;) {
    const Minute until = std::min(query.range.until, (from / kMinutesPerDay + 1) * kMinutesPerDay);
    for (Gatherer& gatherer : gatherers) gatherer.Begin({.from = from, .until = until});
    const Status done =
        read({.from = from, .until = until}, columns,
             [&](const std::string& endpoint, Minute minute, const EndpointMinute& content) {
               for (Gatherer& gatherer : gatherers) gatherer.Add(endpoint, minute, content);
             });
    if (!done) return done;
    for (Gatherer& gatherer : gatherers) gatherer.End();
    if (std::ranges::any_of(gatherers, &Gatherer::overflowed)) {
      return Fail(
          Code::kTooLarge,
          fmt::format("$filter: over {} time series, or {} points in them; split by less, or ask "
                      "for a longer interval or less time",
                      kAzureSeriesMax, kAzurePointsMax),
          "$filter");
    }
    from = until;
  }
  return {};
}

std::vector<std::string_view> OwnAggregations(const Metric& metric) {
  if (metric.kind == Kind::kCount) return {"total"};
  return {"average"};
}

}  // namespace

Result<AzureQuery> ParseAzureQuery(const AzureParameters& parameters, WallTime now) {
  AzureQuery query;
  if (Status read = ReadNames(parameters, query); !read) return Fail(read.error());
  if (Status read = ReadTimes(parameters, now, query); !read) return Fail(read.error());
  auto filter = ParseAzureFilter(parameters.filter);
  if (!filter) return Fail(filter.error());
  query.filter = std::move(*filter);
  if (Status good = CheckFilter(query); !good) return Fail(good.error());
  return query;
}

Result<std::string> AnswerAzureQuery(
    const AzureParameters& parameters, const AzureQuery& query,
    const std::function<Status(Series::Range, Columns, const Series::Visit&)>& read) {
  std::vector<Gatherer> gatherers;
  gatherers.reserve(query.metrics.size());
  for (const std::size_t index : query.metrics) {
    gatherers.emplace_back(azure::Metrics()[index], query, parameters.region);
  }
  if (Status done = Gather(query, read, gatherers); !done) return Fail(done.error());
  const json::object head = {{"cost", 0},
                             {"timespan", fmt::format("{}/{}", FormatTime(TimeOf(query.range.from)),
                                                      FormatTime(TimeOf(query.range.until)))},
                             {"interval", FormatPeriod(query.interval)},
                             {"namespace", "Microsoft.CognitiveServices/accounts"},
                             {"resourceregion", parameters.region}};
  std::string out = Open(head) + "\"value\":[";
  for (std::size_t i = 0; i < gatherers.size(); ++i) {
    const Metric& metric = azure::Metrics()[query.metrics[i]];
    std::vector<std::string_view> aggregations(query.aggregations.begin(),
                                               query.aggregations.end());
    if (aggregations.empty()) aggregations = OwnAggregations(metric);
    if (i > 0) out += ',';
    out += Open({{"id", fmt::format("{}/providers/Microsoft.Insights/metrics/{}",
                                    parameters.resource, metric.name)},
                 {"type", "Microsoft.Insights/metrics"},
                 {"name", {{"value", metric.name}, {"localizedValue", metric.display}}},
                 {"displayDescription", metric.display},
                 {"unit", metric.unit},
                 {"errorCode", "Success"}});
    out += "\"timeseries\":";
    gatherers[i].Finish(aggregations, out);
    out += '}';
  }
  return out + "]}";
}

std::string AzureMetricDefinitions(std::string_view resource) {
  json::array values;
  for (const Metric& metric : azure::Metrics()) {
    json::array dimensions;
    for (const std::string_view dimension : Split(metric.dimensions, ' ')) {
      dimensions.push_back({{"value", dimension}, {"localizedValue", dimension}});
    }
    const bool count = metric.kind == Kind::kCount;
    const auto offered = azure::AggregationsOf(metric);
    json::array aggregations(offered.begin(), offered.end());
    values.push_back({{"id", fmt::format("{}/providers/Microsoft.Insights/metricDefinitions/{}",
                                         resource, metric.name)},
                      {"resourceId", resource},
                      {"namespace", "Microsoft.CognitiveServices/accounts"},
                      {"name", {{"value", metric.name}, {"localizedValue", metric.display}}},
                      {"unit", metric.unit},
                      {"primaryAggregationType", count ? "Total" : "Average"},
                      {"supportedAggregationTypes", std::move(aggregations)},
                      {"isDimensionRequired", false},
                      {"metricAvailabilities", {{{"timeGrain", "PT1M"}, {"retention", "P93D"}}}},
                      {"dimensions", std::move(dimensions)}});
  }
  return json::serialize(json::value{{"value", std::move(values)}});
}

}  // namespace penstock::meter
