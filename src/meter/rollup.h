// Rollup: usage records into minutes. Pure.
//
// A record belongs to the minute in which it was written. Records may come in any order.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>

#include "meter/series_cell.h"
#include "meter/usage_record.h"

namespace penstock::meter {

class Rollup {
 public:
  // By endpoint, then by minute.
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>{}(text);
    }
  };
  using Minutes = std::map<Minute, EndpointMinute>;
  using Endpoints = std::unordered_map<std::string, Minutes, Hash, std::equal_to<>>;

  void Add(const UsageRecord& record);
  void Add(const GaugeRecord& record);
  void Merge(std::string_view endpoint, Minute minute, const EndpointMinute& other);
  void Clear() { endpoints_.clear(); }

  const Endpoints& endpoints() const { return endpoints_; }
  bool empty() const { return endpoints_.empty(); }

 private:
  EndpointMinute& Find(std::string_view endpoint, Minute minute);

  Endpoints endpoints_;
};

// The endpoint under which a record counts: "" for one that does not exist, lest clients make up
// series by making up names.
std::string_view SeriesEndpoint(const UsageRecord& record);

}  // namespace penstock::meter
