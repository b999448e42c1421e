// The metrics that Azure Monitor offers of Cognitive Services, and how the series gives them.
// Private to the meter's Azure files.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "meter/series_cell.h"

namespace penstock::meter::azure {

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
  Columns columns;  // That `part` reads.
  Part (*part)(const SeriesCell&, std::uint16_t status);
};

std::span<const Metric> Metrics();

// What Azure offers of a metric; the query itself gives any.
std::span<const std::string_view> AggregationsOf(const Metric& metric);

std::string Lower(std::string_view text);
// The parts between separators; empty ones are left out.
std::vector<std::string_view> Split(std::string_view text, char separator);

}  // namespace penstock::meter::azure
