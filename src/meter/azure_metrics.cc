#include "meter/azure_metrics.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <cctype>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "meter/time_text.h"

namespace penstock::meter {
namespace {

namespace json = boost::json;

// How a metric's values come about.
enum class Kind : std::uint8_t {
  kCount,  // A number a minute, from the cells.
  kStat,   // Values with their own minimum, maximum and sum, from the cells.
  kRatio,  // A ratio a minute, from the cells.
  kSpeed,  // 1 ÷ the values of a stat.
  kGauge,  // Of the endpoint, not of its requests.
};

// What a minute gives to a metric: of a count, the number; of a ratio, both parts.
struct Part {
  double number = 0;
  double whole = 0;
  GaugeStat stat;
};

struct Metric {
  std::string_view name;
  std::string_view display;
  std::string_view unit;
  Kind kind;
  double scale;  // From the series' unit to the metric's.
  std::string_view dimensions;
  Part (*part)(const SeriesCell&, std::uint16_t status);
};

constexpr std::string_view kAll =
    "ApiName OperationName Region StreamType ModelDeploymentName ModelName ModelVersion StatusCode "
    "IsSpillover ServiceTierRequest ServiceTierResponse";
constexpr std::string_view kNoStatus =
    "ApiName OperationName Region StreamType ModelDeploymentName ModelName ModelVersion";
constexpr std::string_view kTokens =
    "ApiName ModelDeploymentName FeatureName UsageChannel Region ModelName ModelVersion "
    "ServiceTierRequest ServiceTierResponse";
constexpr std::string_view kModel =
    "Region ModelDeploymentName ModelName ModelVersion StreamType ServiceTierRequest "
    "ServiceTierResponse";

constexpr std::array kMetrics = {
    Metric{"AzureOpenAIRequests", "Azure OpenAI Requests", "Count", Kind::kCount, 1, kAll,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.requests)};
           }},
    Metric{"AzureOpenAIAvailabilityRate", "Azure OpenAI AvailabilityRate", "Percent", Kind::kRatio,
           100, kNoStatus,
           [](const SeriesCell& c, std::uint16_t status) {
             const auto whole = static_cast<double>(c.requests);
             return Part{.number = status >= 500 ? 0 : whole, .whole = whole};
           }},
    Metric{"ProcessedPromptTokens", "Processed Prompt Tokens", "Count", Kind::kCount, 1, kTokens,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.input.sum)};
           }},
    Metric{"GeneratedTokens", "Generated Completion Tokens", "Count", Kind::kCount, 1, kTokens,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.output.sum)};
           }},
    Metric{"TokenTransaction", "Processed Inference Tokens", "Count", Kind::kCount, 1, kTokens,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.total.sum)};
           }},
    Metric{"ActiveTokens", "Active Tokens", "Count", Kind::kCount, 1, kModel,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.total.sum - c.cached.sum)};
           }},
    Metric{"AzureOpenAIContextTokensCacheMatchRate", "Prompt Token Cache Match Rate", "Percent",
           Kind::kRatio, 100, kModel,
           [](const SeriesCell& c, std::uint16_t) {
             return Part{.number = static_cast<double>(c.cached.sum),
                         .whole = static_cast<double>(c.input.sum)};
           }},
    Metric{"AzureOpenAIProvisionedManagedUtilizationV2", "Provisioned-managed Utilization V2",
           "Percent", Kind::kGauge, 0.1, kModel, nullptr},
    Metric{"AzureOpenAIProvisionedManagedUtilization", "Provisioned-managed Utilization", "Percent",
           Kind::kGauge, 0.1, kModel, nullptr},
    Metric{"AzureOpenAITimeToResponse", "Time to Response", "MilliSeconds", Kind::kStat, 1e-3, kAll,
           [](const SeriesCell& c, std::uint16_t) {
             // Of what is no stream, the first response is the whole.
             return Part{.stat = c.ttft_us.stat.samples != 0 ? c.ttft_us.stat : c.duration_us.stat};
           }},
    Metric{"AzureOpenAINormalizedTTFTInMS", "Normalized Time to First Byte", "MilliSeconds",
           Kind::kStat, 1e-6, kModel,
           [](const SeriesCell& c, std::uint16_t) { return Part{.stat = c.ttft_per_token_ns}; }},
    Metric{"AzureOpenAINormalizedTBTInMS", "Time Between Tokens", "MilliSeconds", Kind::kStat, 1e-3,
           kModel, [](const SeriesCell& c, std::uint16_t) { return Part{.stat = c.tpot_us.stat}; }},
    Metric{"AzureOpenAITokenPerSecond", "Tokens Per Second", "Count", Kind::kSpeed, 1e6, kModel,
           [](const SeriesCell& c, std::uint16_t) { return Part{.stat = c.tpot_us.stat}; }},
    Metric{"AzureOpenAITTLTInMS", "Time to Last Byte", "MilliSeconds", Kind::kStat, 1e-3, kModel,
           [](const SeriesCell& c, std::uint16_t) { return Part{.stat = c.duration_us.stat}; }},
};

constexpr std::array<std::string_view, 5> kAggregations = {"total", "average", "minimum", "maximum",
                                                           "count"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(separator));
    text.remove_prefix(std::min(text.size(), part.size() + 1));
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

bool HasDimension(const Metric& metric, std::string_view dimension) {
  return std::ranges::count(Split(metric.dimensions, ' '), dimension) > 0;
}

std::string_view OperationName(Operation operation) {
  switch (operation) {
    case Operation::kChat:
      return "ChatCompletions_Create";
    case Operation::kCompletions:
      return "Completions_Create";
    case Operation::kEmbeddings:
      return "Embeddings_Create";
    case Operation::kUnknown:
      break;
  }
  return "Unknown";
}

std::string DimensionOf(std::string_view dimension, const std::string& endpoint,
                        const SeriesKey& key, const std::string& region) {
  if (dimension == "ModelDeploymentName") return endpoint;
  if (dimension == "ModelName") return key.model;
  if (dimension == "ModelVersion") return fmt::format("{}", key.model_version);
  if (dimension == "OperationName") return std::string(OperationName(key.operation));
  if (dimension == "StreamType") return key.stream ? "Streaming" : "Non-Streaming";
  if (dimension == "StatusCode") return fmt::format("{}", key.status);
  if (dimension == "IsSpillover") return key.spilled ? "True" : "False";
  if (dimension == "Region") return region;
  if (dimension == "ApiName") return "Azure OpenAI";
  return "Default";  // Service tiers, features, channels: there is one of each.
}

// One interval of one time series.
struct Point {
  double total = 0;
  double minimum = std::numeric_limits<double>::max();
  double maximum = std::numeric_limits<double>::lowest();
  double count = 0;

  void Add(double value) { Add({.total = value, .minimum = value, .maximum = value, .count = 1}); }
  void Add(const Point& other) {
    total += other.total;
    minimum = std::min(minimum, other.minimum);
    maximum = std::max(maximum, other.maximum);
    count += other.count;
  }
};

// Of one metric: by the values of the dimensions that the filter names, then by time.
class Gatherer {
 public:
  Gatherer(const Metric& metric, const AzureQuery& query, const std::string& region)
      : metric_(metric), query_(query), region_(region) {}

  void Add(const std::string& endpoint, Minute minute, const EndpointMinute& content) {
    if (minute != minute_) Flush();
    minute_ = minute;
    if (metric_.kind == Kind::kGauge) {
      const GaugeStat& stat = content.gauges.utilisation_milli;
      if (stat.samples == 0 || content.gauges.provisioned_milli.maximum == 0) return;
      SeriesKey key;
      if (!content.cells.empty()) key = content.cells.front().key;
      if (auto group = GroupOf(endpoint, key)) AddStat(*group, stat);
      return;
    }
    for (const auto& [key, cell] : content.cells) {
      const auto group = GroupOf(endpoint, key);
      if (!group) continue;
      const Part part = metric_.part(cell, key.status);
      if (metric_.kind == Kind::kStat || metric_.kind == Kind::kSpeed) {
        if (part.stat.samples != 0) AddStat(*group, part.stat);
      } else {
        Part& sum = present_[*group];
        sum.number += part.number;
        sum.whole += part.whole;
      }
    }
  }

  json::array Finish(std::span<const std::string_view> aggregations) {
    Flush();
    json::array series;
    if (points_.empty() && query_.filter.empty()) points_[{}];
    for (const auto& [group, by_time] : points_) {
      json::array values;
      std::size_t i = 0;
      for (const auto& [dimension, condition] : query_.filter) {
        values.push_back(
            {{"name", {{"value", Lower(dimension)}, {"localizedValue", Lower(dimension)}}},
             {"value", group[i++]}});
      }
      series.push_back(
          {{"metadatavalues", std::move(values)}, {"data", Data(by_time, aggregations)}});
    }
    return series;
  }

 private:
  using Group = std::vector<std::string>;
  using ByTime = std::map<Minute, Point>;

  std::optional<Group> GroupOf(const std::string& endpoint, const SeriesKey& key) const {
    Group group;
    for (const auto& [dimension, condition] : query_.filter) {
      group.push_back(DimensionOf(dimension, endpoint, key, region_));
      if (!condition.Passes(group.back())) return {};
    }
    return group;
  }

  Minute Begin() const {
    const Minute length = query_.interval.count();
    return query_.range.from + (minute_ - query_.range.from) / length * length;
  }

  void AddStat(const Group& group, const GaugeStat& stat) {
    const auto samples = static_cast<double>(stat.samples);
    const auto scaled = [this](std::uint64_t value) {
      return static_cast<double>(value) * metric_.scale;
    };
    Point point{.total = scaled(stat.sum),
                .minimum = scaled(stat.minimum),
                .maximum = scaled(stat.maximum),
                .count = samples};
    if (metric_.kind == Kind::kSpeed) {
      const auto inverse = [this](double value) { return metric_.scale / std::max(value, 1.0); };
      point = {.total = inverse(static_cast<double>(stat.sum) / samples) * samples,
               .minimum = inverse(static_cast<double>(stat.maximum)),
               .maximum = inverse(static_cast<double>(stat.minimum)),
               .count = samples};
    }
    points_[group][Begin()].Add(point);
  }

  // The counts of a minute are whole once the next one begins.
  void Flush() {
    for (const auto& [group, sum] : present_) {
      if (metric_.kind == Kind::kRatio) {
        if (sum.whole > 0) points_[group][Begin()].Add(sum.number / sum.whole * metric_.scale);
      } else {
        points_[group][Begin()].Add(sum.number * metric_.scale);
      }
    }
    present_.clear();
  }

  json::array Data(const ByTime& by_time, std::span<const std::string_view> aggregations) const {
    json::array data;
    for (Minute at = query_.range.from; at < query_.range.until; at += query_.interval.count()) {
      json::object object = {{"timeStamp", FormatTime(TimeOf(at))}};
      const auto found = by_time.find(at);
      for (const std::string_view aggregation : aggregations) {
        if (found == by_time.end()) {
          // Nothing happened: a count of it is 0, an average of it there is none.
          if (metric_.kind == Kind::kCount && aggregation != "average") object[aggregation] = 0;
          continue;
        }
        const Point& point = found->second;
        object[aggregation] = aggregation == "total"     ? point.total
                              : aggregation == "minimum" ? point.minimum
                              : aggregation == "maximum" ? point.maximum
                              : aggregation == "count"   ? point.count
                                                         : point.total / point.count;
      }
      data.push_back(std::move(object));
    }
    return data;
  }

  const Metric& metric_;
  const AzureQuery& query_;
  const std::string& region_;
  Minute minute_ = 0;
  std::map<Group, Part> present_;  // Of minute_.
  std::map<Group, ByTime> points_;
};

Status CheckFilter(const AzureQuery& query) {
  for (const std::size_t index : query.metrics) {
    for (const auto& [dimension, condition] : query.filter) {
      if (HasDimension(kMetrics[index], dimension)) continue;
      return Fail(
          Code::kInvalidArgument,
          fmt::format("$filter: metric {} has no dimension '{}'; it has {}", kMetrics[index].name,
                      dimension.substr(0, 64), kMetrics[index].dimensions),
          "$filter");
    }
  }
  return {};
}

Status ReadNames(const AzureParameters& parameters, AzureQuery& query) {
  for (const std::string_view name : Split(parameters.metric_names, ',')) {
    const auto* const found = std::ranges::find_if(
        kMetrics, [&](const Metric& metric) { return Lower(metric.name) == Lower(name); });
    if (found == kMetrics.end()) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("metricnames: there is no metric '{}'", name.substr(0, 80)),
                  "metricnames");
    }
    query.metrics.push_back(static_cast<std::size_t>(found - kMetrics.begin()));
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
    const std::function<Status(Series::Range, Sketches, const Series::Visit&)>& read) {
  std::vector<Gatherer> gatherers;
  for (const std::size_t index : query.metrics) {
    gatherers.emplace_back(kMetrics[index], query, parameters.region);
  }
  // Minutes must come whole and in order: those of several endpoints are counted together.
  std::map<Minute, std::map<std::string, EndpointMinute>> minutes;
  const Status done =
      read(query.range, Sketches::kWithout,
           [&](const std::string& endpoint, Minute minute, const EndpointMinute& content) {
             minutes[minute][endpoint].Merge(content);
           });
  if (!done) return Fail(done.error());
  for (const auto& [minute, endpoints] : minutes) {
    for (const auto& [endpoint, content] : endpoints) {
      for (Gatherer& gatherer : gatherers) gatherer.Add(endpoint, minute, content);
    }
  }
  json::array values;
  for (std::size_t i = 0; i < gatherers.size(); ++i) {
    const Metric& metric = kMetrics[query.metrics[i]];
    std::vector<std::string_view> aggregations(query.aggregations.begin(),
                                               query.aggregations.end());
    if (aggregations.empty()) aggregations = OwnAggregations(metric);
    values.push_back({{"id", fmt::format("{}/providers/Microsoft.Insights/metrics/{}",
                                         parameters.resource, metric.name)},
                      {"type", "Microsoft.Insights/metrics"},
                      {"name", {{"value", metric.name}, {"localizedValue", metric.display}}},
                      {"displayDescription", metric.display},
                      {"unit", metric.unit},
                      {"timeseries", gatherers[i].Finish(aggregations)},
                      {"errorCode", "Success"}});
  }
  return json::serialize(
      json::value{{"cost", 0},
                  {"timespan", fmt::format("{}/{}", FormatTime(TimeOf(query.range.from)),
                                           FormatTime(TimeOf(query.range.until)))},
                  {"interval", FormatPeriod(query.interval)},
                  {"namespace", "Microsoft.CognitiveServices/accounts"},
                  {"resourceregion", parameters.region},
                  {"value", std::move(values)}});
}

std::string AzureMetricDefinitions(std::string_view resource) {
  json::array values;
  for (const Metric& metric : kMetrics) {
    json::array dimensions;
    for (const std::string_view dimension : Split(metric.dimensions, ' ')) {
      dimensions.push_back({{"value", dimension}, {"localizedValue", dimension}});
    }
    const bool count = metric.kind == Kind::kCount;
    json::array aggregations;
    if (!count) aggregations = {"Minimum", "Maximum", "Average"};
    if (count) aggregations = {"Total"};
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
