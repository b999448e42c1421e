// Gatherer: one metric's time series out of minutes. Private to the meter's Azure files.
#pragma once

#include <cstddef>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "meter/azure_metrics.h"
#include "meter/azure_table.h"

namespace penstock::meter::azure {

// One interval of one time series.
struct Point {
  double total = 0;
  double minimum = std::numeric_limits<double>::max();
  double maximum = std::numeric_limits<double>::lowest();
  double count = 0;

  void Add(const Point& other);
};

// A number and its whole, of one minute.
struct Share {
  double number = 0;
  double whole = 0;
  bool any = false;
};

// By the values of the dimensions that the filter names, then by time. Minutes come slice by slice;
// within a slice in any order, and in parts.
class Gatherer {
 public:
  // All are borrowed.
  Gatherer(const Metric& metric, const AzureQuery& query, const std::string& region)
      : metric_(&metric), query_(&query), region_(&region) {}

  // What is added next lies within `slice`, a part of the query's range.
  void Begin(Series::Range slice);
  void Add(const std::string& endpoint, Minute minute, const EndpointMinute& content);
  // Nothing of the slice is to come.
  void End();
  // More time series or points than an answer may have: what came after them was left out.
  bool overflowed() const { return overflowed_; }
  // The metric's `timeseries`, as JSON.
  void Finish(std::span<const std::string_view> aggregations, std::string& out);

 private:
  struct Group {
    std::vector<Share> shares;  // By the slice's minute; of counts and ratios.
    std::vector<Point> points;  // By the interval.
  };
  using Values = std::vector<std::string>;  // Of the filter's dimensions.
  // Which group a kind of request belongs to, if any: asked again for every minute.
  struct Known {
    SeriesKey key;
    Group* group;
  };

  std::size_t IntervalOf(Minute minute) const {
    return static_cast<std::size_t>((minute - query_->range.from) / query_->interval.count());
  }
  Point& PointAt(Group& group, Minute minute) const;
  Group* GroupOf(const std::string& endpoint, const SeriesKey& key);
  Group* FindGroup(const std::string& endpoint, const SeriesKey& key);
  // The groups that an endpoint's gauges belong to: those of the requests of this minute, or of the
  // last one that had any; a gauge itself has neither model nor kind of stream.
  const std::vector<Group*>& GaugeGroups(const std::string& endpoint,
                                         const EndpointMinute& content);
  void AddStat(Group& group, Minute minute, const GaugeStat& stat) const;
  void AppendGroup(const Values& values, const Group& group,
                   std::span<const std::string_view> aggregations, std::string& out) const;
  void AppendData(const Group& group, std::span<const std::string_view> aggregations,
                  std::string& out) const;

  const Metric* metric_;
  const AzureQuery* query_;
  const std::string* region_;
  Series::Range slice_;
  std::map<Values, Group> groups_;
  std::string endpoint_;      // Of known_.
  std::vector<Known> known_;  // Groups are borrowed of groups_.
  std::map<std::string, std::vector<Group*>, std::less<>> gauge_groups_;  // By the endpoint.
  bool overflowed_ = false;
};

}  // namespace penstock::meter::azure
