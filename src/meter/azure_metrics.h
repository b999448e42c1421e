// AzureMetrics: the minute series as Azure Monitor's metrics API tells them.
//
// Names, units, aggregations and dimensions are those of Microsoft.CognitiveServices/accounts.
// Counts (requests, tokens) are totals of a minute; minimum, maximum and average of a longer
// interval are over the minutes' totals. Pure: parameters and minutes in, JSON out.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "meter/series.h"

namespace penstock::meter {

// The query's parameters as they came, decoded.
struct AzureParameters {
  std::string resource;  // /subscriptions/…/accounts/NAME
  std::string metric_names;
  std::string aggregation;
  std::string interval;
  std::string timespan;
  std::string filter;
  std::string region = "local";
};

// One condition of $filter: a dimension, and the values that pass.
struct AzureCondition {
  bool split = false;                 // '*': every value, each a time series of its own.
  std::vector<std::string> wanted;    // eq
  std::vector<std::string> unwanted;  // ne

  bool Passes(std::string_view value) const;
};
using AzureFilter = std::map<std::string, AzureCondition, std::less<>>;

// "ModelDeploymentName eq 'chat' and (StatusCode eq '200' or StatusCode eq '429')". Errors:
// kInvalidArgument.
Result<AzureFilter> ParseAzureFilter(std::string_view text);

struct AzureQuery {
  std::vector<std::size_t> metrics;       // Indices into the table of metrics.
  std::vector<std::string> aggregations;  // Lower case; empty: each metric's own.
  std::chrono::minutes interval{1};
  Series::Range range;
  AzureFilter filter;
};

// Of an answer: points of a metric in all of its time series, and time series of a metric.
inline constexpr std::size_t kAzurePointsMax = 200'000;
inline constexpr std::size_t kAzureSeriesMax = 2'000;

// Errors: kInvalidArgument, naming the parameter.
Result<AzureQuery> ParseAzureQuery(const AzureParameters& parameters, WallTime now);

// What `read` gives, as the API's answer; it is asked for a day at a time. Errors: those of `read`,
// and kTooLarge beyond kAzurePointsMax and kAzureSeriesMax.
Result<std::string> AnswerAzureQuery(
    const AzureParameters& parameters, const AzureQuery& query,
    const std::function<Status(Series::Range, Columns, const Series::Visit&)>& read);

// The answer of …/metricDefinitions.
std::string AzureMetricDefinitions(std::string_view resource);

}  // namespace penstock::meter
