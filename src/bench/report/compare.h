// Compare: two or more runs, level by level: what differs, by how much, and whether by chance.
// Pure.
//
// Levels are paired by their load. Of requests' times, Mann-Whitney's test says whether one run's
// tend to be longer, and a bootstrap in which interval the ratio of medians lies; throughput is
// compared over ten slices of each steady window. All tests of a comparison are adjusted together
// (Holm), so that many of them do not raise false alarms.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "bench/judge/significance.h"
#include "bench/judge/summary.h"
#include "bench/record/record.h"

namespace penstock::bench {

inline constexpr double kAlarmP = 0.05;
inline constexpr double kAlarmRatio = 0.01;  // A smaller change is told, but is no difference.
inline constexpr int kThroughputSlices = 10;

struct RunToCompare {
  std::string name{};  // Its file.
  RunRecords records{};
};

enum class Change { kNone, kBetter, kWorse };
std::string_view Name(Change change);  // "no difference", "better", "worse"

// One figure of one level: a run against the first one.
struct Difference {
  std::string metric{};  // "TTFT", "TPOT", "latency", "output tokens/s".
  bool more_is_better = false;
  double base = 0;  // The first run's median, in ms or tokens/s.
  double other = 0;
  double ratio = 0;  // other ÷ base.
  Interval ratio_95{};
  double p = 1;  // Adjusted.
  Change change = Change::kNone;
};

struct LevelComparison {
  std::string load{};   // "concurrency 8".
  std::size_t run = 1;  // Which run is held against the first, from 1.
  std::size_t base_samples = 0;
  std::size_t other_samples = 0;
  std::vector<Difference> differences{};
};

struct Comparison {
  std::vector<std::string> names{};
  std::vector<RunSummary> summaries{};
  std::vector<LevelComparison> levels{};
  std::vector<std::string>
      remarks{};  // Levels that only one has, settings that differ, invalid runs.
};

// REQUIRES: at least two runs.
Comparison Compare(const std::vector<RunToCompare>& runs);

// For a terminal.
std::string RenderComparison(const Comparison& comparison);
// "At 3 of 4 levels TTFT is longer …", one paragraph per later run.
std::string ComparisonAnswer(const Comparison& comparison);
// One JSON document, with a line feed.
std::string RenderComparisonJson(const Comparison& comparison);

}  // namespace penstock::bench
