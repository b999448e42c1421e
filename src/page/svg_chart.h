// SVG chart: lines over one axis pair, as static markup that needs no script. Pure.
//
// Colours and strokes are left to the page's style sheet through class names (`grid`, `axis`,
// `series-0` …), so that one chart serves screen, dark screen and paper. Sizes are in SVG units,
// which the page scales. Title and description are part of the markup, for people who cannot see
// it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace penstock::page {

struct ChartPoint {
  double x = 0;
  double y = 0;
  std::string label{};    // Written beside the point where there is room; "" for none.
  std::string tooltip{};  // Shown while pointed at; "" for none.
};

struct ChartSeries {
  std::string name{};  // In the legend.
  std::vector<ChartPoint> points{};
};

// A point to stress: a ring, and a word in the place of its label.
struct ChartMark {
  std::size_t point = 0;  // Of the first series.
  std::string text{};
};

// A line across the chart at one value: a bound, or what was sold.
struct ChartRule {
  double value = 0;
  std::string text{};
};

struct Chart {
  std::string id{};  // Unique in the page; letters and digits.
  std::string title{};
  std::string description{};
  std::string x_title{};
  std::string y_title{};
  // Non-empty: x values are indices into these, spread evenly. Empty: x is linear from 0.
  std::vector<std::string> x_categories{};
  std::vector<ChartSeries> series{};
  std::vector<ChartMark> marks{};
  std::vector<ChartRule> x_rules{};  // Upright, at values of x. Not with x_categories.
  std::vector<ChartRule> y_rules{};  // Level, at values of y.
  bool linear_y = false;             // Also where values span far: shares, counts.
  bool dots = true;                  // A dot at each point; without, lines alone.
  int width = 720;
  int height = 380;
};

// An <svg> element. y is linear from 0; logarithmic where values span more than a factor of 40 and
// `linear_y` does not forbid it.
std::string RenderChart(const Chart& chart);

// Round axis values from 0 that cover `maximum` in about `count` steps of 1, 2, 2.5 or 5 times a
// power of ten. REQUIRES: maximum > 0, count > 0.
std::vector<double> LinearTicks(double maximum, int count);

// 1, 2 and 5 times powers of ten that enclose [minimum, maximum]; every power of ten alone where
// that would be more than 10. REQUIRES: 0 < minimum <= maximum.
std::vector<double> LogTicks(double minimum, double maximum);

// Text as it may stand between tags or in an attribute's quotes.
std::string EscapeHtml(std::string_view text);

}  // namespace penstock::page
