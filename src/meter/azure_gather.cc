#include "meter/azure_gather.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <utility>

#include "meter/time_text.h"

namespace penstock::meter::azure {
namespace {

namespace json = boost::json;

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

// Writes times of ascending minutes; a day's date is made once.
class TimeWriter {
 public:
  void Append(Minute minute, std::string& out) {
    const Minute day = minute / kMinutesPerDay;
    if (day != day_) date_ = FormatTime(TimeOf(day * kMinutesPerDay)).substr(0, 11);
    day_ = day;
    const auto of_day = static_cast<int>(minute % kMinutesPerDay);
    out += date_;
    for (const int digit : {of_day / 600, of_day / 60 % 10, -1, of_day % 60 / 10, of_day % 10}) {
      out += digit < 0 ? ':' : static_cast<char>('0' + digit);
    }
    out += ":00Z";
  }

 private:
  Minute day_ = -1;
  std::string date_;
};

void AppendNumber(double value, std::string& out) {
  if (value == std::floor(value) && std::abs(value) < 1e15) {
    const fmt::format_int text(static_cast<std::int64_t>(value));
    out.append(text.data(), text.size());
  } else {
    fmt::format_to(std::back_inserter(out), "{}", value);
  }
}

}  // namespace

void Point::Add(const Point& other) {
  total += other.total;
  minimum = std::min(minimum, other.minimum);
  maximum = std::max(maximum, other.maximum);
  count += other.count;
}

void Gatherer::Begin(Series::Range slice) { slice_ = slice; }

void Gatherer::Add(const std::string& endpoint, Minute minute, const EndpointMinute& content) {
  if (minute < slice_.from || minute >= slice_.until) return;
  if (metric_->kind == Kind::kGauge) {
    const GaugeStat& stat = content.gauges.utilisation_milli;
    if (stat.samples == 0 || content.gauges.provisioned_milli.maximum == 0) return;
    for (Group* const group : GaugeGroups(endpoint, content)) AddStat(*group, minute, stat);
    return;
  }
  const bool stats = metric_->kind == Kind::kStat || metric_->kind == Kind::kSpeed;
  for (const auto& [key, cell] : content.cells) {
    Group* const group = GroupOf(endpoint, key);
    if (group == nullptr) continue;
    const Part part = metric_->part(cell, key.status);
    if (stats) {
      if (part.stat.samples != 0) AddStat(*group, minute, part.stat);
      continue;
    }
    if (group->shares.empty()) {
      group->shares.resize(static_cast<std::size_t>(slice_.until - slice_.from));
    }
    Share& share = group->shares[static_cast<std::size_t>(minute - slice_.from)];
    share.number += part.number;
    share.whole += part.whole;
    share.any = true;
  }
}

// Counts and ratios are values of whole minutes.
void Gatherer::End() {
  const bool ratio = metric_->kind == Kind::kRatio;
  for (auto& [values, group] : groups_) {
    for (std::size_t i = 0; i < group.shares.size(); ++i) {
      const Share& share = group.shares[i];
      if (!share.any || (ratio && share.whole <= 0)) continue;
      const double value = share.number / (ratio ? share.whole : 1) * metric_->scale;
      PointAt(group, slice_.from + static_cast<Minute>(i))
          .Add({.total = value, .minimum = value, .maximum = value, .count = 1});
    }
    group.shares.clear();
  }
}

void Gatherer::Finish(std::span<const std::string_view> aggregations, std::string& out) {
  if (groups_.empty() && query_->filter.empty()) groups_[{}];
  out += '[';
  bool first = true;
  for (const auto& [values, group] : groups_) {
    if (!first) out += ',';
    first = false;
    AppendGroup(values, group, aggregations, out);
  }
  out += ']';
}

void Gatherer::AppendGroup(const Values& values, const Group& group,
                           std::span<const std::string_view> aggregations, std::string& out) const {
  json::array dimensions;
  std::size_t i = 0;
  for (const auto& [dimension, condition] : query_->filter) {
    const std::string name = Lower(dimension);
    dimensions.push_back(
        {{"name", {{"value", name}, {"localizedValue", name}}}, {"value", values[i++]}});
  }
  out += "{\"metadatavalues\":" + json::serialize(dimensions) + ",\"data\":";
  AppendData(group, aggregations, out);
  out += '}';
}

Point& Gatherer::PointAt(Group& group, Minute minute) const {
  if (group.points.empty()) group.points.resize(IntervalOf(query_->range.until - 1) + 1);
  return group.points[IntervalOf(minute)];
}

Gatherer::Group* Gatherer::GroupOf(const std::string& endpoint, const SeriesKey& key) {
  if (endpoint != endpoint_) {
    known_.clear();
    endpoint_ = endpoint;
  }
  for (const Known& known : known_) {
    if (known.key == key) return known.group;
  }
  known_.push_back({.key = key, .group = FindGroup(endpoint, key)});
  return known_.back().group;
}

Gatherer::Group* Gatherer::FindGroup(const std::string& endpoint, const SeriesKey& key) {
  Values values;
  for (const auto& [dimension, condition] : query_->filter) {
    values.push_back(DimensionOf(dimension, endpoint, key, *region_));
    if (!condition.Passes(values.back())) return nullptr;
  }
  if (const auto found = groups_.find(values); found != groups_.end()) return &found->second;
  const std::size_t points = IntervalOf(query_->range.until - 1) + 1;
  overflowed_ = overflowed_ || groups_.size() >= kAzureSeriesMax ||
                (groups_.size() + 1) * points > kAzurePointsMax;
  return overflowed_ ? nullptr : &groups_[std::move(values)];
}

const std::vector<Gatherer::Group*>& Gatherer::GaugeGroups(const std::string& endpoint,
                                                           const EndpointMinute& content) {
  static const SeriesKey no_key;
  std::vector<Group*>& groups = gauge_groups_[endpoint];
  const auto add = [&](const SeriesKey& key) {
    Group* const group = GroupOf(endpoint, key);
    if (group != nullptr && std::ranges::find(groups, group) == groups.end()) {
      groups.push_back(group);
    }
  };
  if (!content.cells.empty()) groups.clear();
  for (const auto& [key, cell] : content.cells) add(key);
  if (content.cells.empty() && groups.empty()) add(no_key);
  return groups;
}

void Gatherer::AddStat(Group& group, Minute minute, const GaugeStat& stat) const {
  const auto samples = static_cast<double>(stat.samples);
  const auto scaled = [this](std::uint64_t value) {
    return static_cast<double>(value) * metric_->scale;
  };
  Point point{.total = scaled(stat.sum),
              .minimum = scaled(stat.minimum),
              .maximum = scaled(stat.maximum),
              .count = samples};
  if (metric_->kind == Kind::kSpeed) {
    const auto inverse = [this](double value) { return metric_->scale / std::max(value, 1.0); };
    point = {.total = inverse(static_cast<double>(stat.sum) / samples) * samples,
             .minimum = inverse(static_cast<double>(stat.maximum)),
             .maximum = inverse(static_cast<double>(stat.minimum)),
             .count = samples};
  }
  PointAt(group, minute).Add(point);
}

void Gatherer::AppendData(const Group& group, std::span<const std::string_view> aggregations,
                          std::string& out) const {
  TimeWriter times;
  out += '[';
  for (Minute at = query_->range.from; at < query_->range.until; at += query_->interval.count()) {
    out += at == query_->range.from ? "{\"timeStamp\":\"" : ",{\"timeStamp\":\"";
    times.Append(at, out);
    out += '"';
    const Point none;
    const Point& point = group.points.empty() ? none : group.points[IntervalOf(at)];
    for (const std::string_view aggregation : aggregations) {
      // Nothing happened: a count of it is 0, an average of it there is none.
      const bool zero = metric_->kind == Kind::kCount && aggregation != "average";
      if (point.count == 0 && !zero) continue;
      out.append(",\"").append(aggregation).append("\":");
      AppendNumber(point.count == 0           ? 0
                   : aggregation == "total"   ? point.total
                   : aggregation == "minimum" ? point.minimum
                   : aggregation == "maximum" ? point.maximum
                   : aggregation == "count"   ? point.count
                                              : point.total / point.count,
                   out);
    }
    out += '}';
  }
  out += ']';
}

}  // namespace penstock::meter::azure
