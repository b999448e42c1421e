#include "page/svg_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "page/numbers.h"

namespace penstock::page {
namespace {

constexpr double kLogSpan = 40;  // Beyond this factor a linear axis hides the small values.
constexpr int kLeftMin = 62;     // More where the figures of the axis are longer.
constexpr int kRight = 20;
constexpr int kTop = 34;  // Room for the legend.
constexpr int kBottom = 50;
constexpr double kLabelHeight = 13;
constexpr double kLabelWidthPerCharacter = 6.8;
constexpr double kDotRoom = 4;      // Around a point's middle.
constexpr double kEntryWidth = 46;  // Of a legend's entry: its line and gaps.
constexpr int kLegendRow = 15;
constexpr std::size_t kStyles = 8;  // Series that the style sheet tells apart.

// One axis: values to SVG units.
struct Axis {
  double from = 0, to = 1;            // Values at the ends.
  double from_unit = 0, to_unit = 1;  // SVG units there.
  bool logarithmic = false;
  std::vector<double> ticks{};

  double Place(double value) const {
    const double share = logarithmic ? std::log(std::max(value, from) / from) / std::log(to / from)
                                     : (value - from) / (to - from);
    return from_unit + share * (to_unit - from_unit);
  }
};

struct Box {
  double left, top, right, bottom;
  bool Touches(const Box& other) const {
    return left < other.right && other.left < right && top < other.bottom && other.top < bottom;
  }
};

// A piece of a series' line.
struct Piece {
  double from_x, from_y, to_x, to_y;
  // Whether it passes through the box: what is left of it between the box's sides.
  bool Crosses(const Box& box) const {
    double begin = 0;
    double end = 1;
    const auto clip = [&](double from, double to, double least, double most) {
      const double way = to - from;
      if (way == 0) return from > least && from < most;
      const double a = (least - from) / way;
      const double b = (most - from) / way;
      begin = std::max(begin, std::min(a, b));
      end = std::min(end, std::max(a, b));
      return begin < end;
    };
    return clip(from_x, to_x, box.left, box.right) && clip(from_y, to_y, box.top, box.bottom);
  }
};

// Ticks are round already: 5 and not 5.00.
std::string TickText(double value) {
  return std::abs(value) >= 1000 ? Figure(value) : fmt::format("{:.4g}", value);
}

template <typename Of>
std::pair<double, double> Range(const Chart& chart, Of of) {
  double least = HUGE_VAL;
  double most = 0;
  for (const ChartSeries& series : chart.series) {
    for (const ChartPoint& point : series.points) {
      if (of(point) > 0) least = std::min(least, of(point));
      most = std::max(most, of(point));
    }
  }
  return {std::min(least, most), most};
}

// The range of the points, widened so that all rules that lie within twice of it are seen.
std::pair<double, double> WithRules(std::pair<double, double> range,
                                    const std::vector<ChartRule>& rules) {
  const double reach = 2 * range.second;
  for (const ChartRule& rule : rules) {
    if (rule.value > 0 && rule.value <= reach) range.second = std::max(range.second, rule.value);
  }
  return range;
}

// `more`: what the chart is higher for its legend.
Axis VerticalAxis(const Chart& chart, int more) {
  const auto [least, most] =
      WithRules(Range(chart, [](const ChartPoint& p) { return p.y; }), chart.y_rules);
  Axis axis{.from_unit = static_cast<double>(chart.height + more - kBottom),
            .to_unit = static_cast<double>(kTop + more)};
  axis.logarithmic = !chart.linear_y && least > 0 && most / least > kLogSpan;
  axis.ticks = axis.logarithmic ? LogTicks(least, most) : LinearTicks(most > 0 ? most : 1, 5);
  axis.from = axis.ticks.front();
  axis.to = axis.ticks.back();
  return axis;
}

// Room for the longest figure of the vertical axis.
int LeftOf(const Axis& vertical) {
  std::size_t longest = 0;
  for (const double tick : vertical.ticks) longest = std::max(longest, TickText(tick).size());
  return std::max(kLeftMin,
                  static_cast<int>(static_cast<double>(longest) * kLabelWidthPerCharacter) + 16);
}

Axis HorizontalAxis(const Chart& chart, int left) {
  Axis axis{.from_unit = static_cast<double>(left),
            .to_unit = static_cast<double>(chart.width - kRight)};
  if (chart.x_categories.empty()) {
    const double most =
        WithRules(Range(chart, [](const ChartPoint& p) { return p.x; }), chart.x_rules).second;
    axis.ticks = LinearTicks(most > 0 ? most : 1, 7);
    axis.to = axis.ticks.back();
    return axis;
  }
  // Half a step of room on either side.
  axis.from = -0.5;
  axis.to = static_cast<double>(chart.x_categories.size()) - 0.5;
  for (std::size_t i = 0; i < chart.x_categories.size(); ++i) {
    axis.ticks.push_back(static_cast<double>(i));
  }
  return axis;
}

double LegendWidth(const ChartSeries& series) {
  return static_cast<double>(series.name.size()) * kLabelWidthPerCharacter + kEntryWidth;
}

// The legend's rows, as the first series of each: as many as fit into a line of the chart's width.
std::vector<std::size_t> LegendRows(const Chart& chart) {
  std::vector<std::size_t> rows;
  double left = 0;
  for (std::size_t i = 0; i < chart.series.size(); ++i) {
    const double width = LegendWidth(chart.series[i]);
    if (i == 0 || width > left) {
      rows.push_back(i);
      left = chart.width - kRight - 4;
    }
    left -= width;
  }
  return rows;
}

class Drawing {
 public:
  explicit Drawing(const Chart& chart)
      : chart_(chart),
        legend_(LegendRows(chart)),
        more_(legend_.size() > 1 ? static_cast<int>(legend_.size() - 1) * kLegendRow : 0),
        y_(VerticalAxis(chart, more_)),
        left_(LeftOf(y_)),
        x_(HorizontalAxis(chart, left_)) {}

  std::string Draw() {
    Add(R"(<svg class="chart" viewBox="0 0 {} {}" role="img" aria-labelledby="{}-t {}-d" )"
        R"(xmlns="http://www.w3.org/2000/svg">)",
        chart_.width, chart_.height + more_, chart_.id, chart_.id);
    Add(R"(<title id="{}-t">{}</title><desc id="{}-d">{}</desc>)", chart_.id,
        EscapeHtml(chart_.title), chart_.id, EscapeHtml(chart_.description));
    DrawAxes();
    DrawLegend();
    DrawRules();
    for (std::size_t i = chart_.series.size(); i-- > 0;) DrawSeries(i);
    ReservePoints();
    DrawMarks();
    DrawLabels();
    out_ += "</svg>";
    return std::move(out_);
  }

 private:
  template <typename... Values>
  void Add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Values>(values)...);
    out_ += '\n';
  }

  void DrawAxes() {
    const double floor = y_.Place(y_.from);
    const int right = chart_.width - kRight;
    for (const double tick : y_.ticks) {
      const double y = y_.Place(tick);
      Add(R"(<line class="{}" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)",
          tick == y_.from ? "axis" : "grid", left_, right, y, y);
      Add(R"(<text class="tick" x="{}" y="{:.1f}" text-anchor="end">{}</text>)", left_ - 8, y + 4,
          TickText(tick));
    }
    for (const double tick : x_.ticks) {
      const bool named = !chart_.x_categories.empty();
      Add(R"(<text class="tick" x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>)",
          x_.Place(tick), floor + 18,
          named ? EscapeHtml(chart_.x_categories[static_cast<std::size_t>(tick)]) : TickText(tick));
    }
    Add(R"(<text class="axis-title" x="{:.1f}" y="{}" text-anchor="middle">{}</text>)",
        (left_ + right) / 2.0, chart_.height + more_ - 10, EscapeHtml(chart_.x_title));
    // Above the axis and upright: a turned title is slower to read.
    Add(R"(<text class="axis-title" x="{}" y="14" text-anchor="start">{}{}</text>)", 4,
        EscapeHtml(chart_.y_title), YTitleEnd());
  }

  const char* YTitleEnd() const { return y_.logarithmic ? " (logarithmic)" : ""; }

  // Beside the axis' title, or below it where both do not fit into a line.
  void DrawLegend() {
    double width = 0;
    for (const ChartSeries& series : chart_.series) width += LegendWidth(series);
    const std::string title = chart_.y_title + YTitleEnd();
    const bool fits = static_cast<double>(title.size()) * kLabelWidthPerCharacter + width <
                      chart_.width - kRight - 4;
    int base = fits ? 14 : 14 + kLegendRow;
    for (std::size_t row = 0; row < legend_.size(); ++row, base += kLegendRow) {
      const bool last = row + 1 == legend_.size();
      DrawLegendRow(legend_[row], last ? chart_.series.size() : legend_[row + 1], base);
    }
  }

  // Against the right edge.
  void DrawLegendRow(std::size_t first, std::size_t end, int base) {
    double x = chart_.width - kRight;
    for (std::size_t i = end; i-- > first;) {
      const std::string& name = chart_.series[i].name;
      x -= static_cast<double>(name.size()) * kLabelWidthPerCharacter;
      Add(R"(<text class="legend" x="{:.1f}" y="{}">{}</text>)", x, base, EscapeHtml(name));
      x -= 30;
      Add(R"(<line class="line series-{}" x1="{:.1f}" x2="{:.1f}" y1="{}" y2="{}"/>)", i % kStyles,
          x, x + 22, base - 4, base - 4);
      x -= 16;
    }
  }

  // Rules beyond an axis are left out: the figures are far from them.
  void DrawRules() {
    const double floor = y_.Place(y_.from);
    const double right = chart_.width - kRight;
    for (const ChartRule& rule : chart_.x_rules) {
      if (rule.value <= x_.from || rule.value > x_.to) continue;
      const double x = x_.Place(rule.value);
      Add(R"(<line class="rule" x1="{0:.1f}" x2="{0:.1f}" y1="{1}" y2="{2:.1f}"/>)", x,
          kTop + more_, floor);
      DrawRuleText(rule.text, x, kTop + more_ + 12);
    }
    for (const ChartRule& rule : chart_.y_rules) {
      if (rule.value <= y_.from || rule.value > y_.to) continue;
      const double y = y_.Place(rule.value);
      Add(R"(<line class="rule" x1="{}" x2="{}" y1="{:.1f}" y2="{:.1f}"/>)", left_, right, y, y);
      DrawRuleText(rule.text, right, y - 5);
    }
  }

  // Ends left of `x`, or begins right of it where there is no room.
  void DrawRuleText(const std::string& text, double x, double baseline) {
    const double width = static_cast<double>(text.size()) * kLabelWidthPerCharacter;
    const bool fits = x - 5 - width > left_;
    const double left = fits ? x - 5 - width : x + 5;
    taken_.push_back({left, baseline - kLabelHeight + 2, left + width, baseline + 3});
    Add(R"(<text class="rule-text" x="{:.1f}" y="{:.1f}">{}</text>)", left, baseline,
        EscapeHtml(text));
  }

  void DrawSeries(std::size_t index) {
    const ChartSeries& series = chart_.series[index];
    std::string path;
    for (const ChartPoint& point : series.points) {
      fmt::format_to(std::back_inserter(path), "{}{:.1f} {:.1f}", path.empty() ? 'M' : 'L',
                     x_.Place(point.x), y_.Place(point.y));
    }
    const std::size_t style = index % kStyles;
    if (!path.empty()) Add(R"(<path class="line series-{}" d="{}"/>)", style, path);
    for (std::size_t i = 1; i < series.points.size(); ++i) {
      const ChartPoint& from = series.points[i - 1];
      const ChartPoint& to = series.points[i];
      lines_.push_back({x_.Place(from.x), y_.Place(from.y), x_.Place(to.x), y_.Place(to.y)});
    }
    if (!chart_.dots) return;
    for (const ChartPoint& point : series.points) {
      Add(R"(<circle class="dot series-{}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}</title></circle>)",
          style, x_.Place(point.x), y_.Place(point.y), index == 0 ? 4 : 3,
          EscapeHtml(point.tooltip));
    }
  }

  // No word is written over a point.
  void ReservePoints() {
    if (!chart_.dots) return;
    for (const ChartSeries& series : chart_.series) {
      for (const ChartPoint& point : series.points) {
        const double x = x_.Place(point.x);
        const double y = y_.Place(point.y);
        taken_.push_back({x - kDotRoom, y - kDotRoom, x + kDotRoom, y + kDotRoom});
      }
    }
  }

  // Marks come before labels: their words have the first claim on the room.
  void DrawMarks() {
    if (chart_.series.empty()) return;
    for (const ChartMark& mark : chart_.marks) {
      const ChartPoint& point = chart_.series.front().points.at(mark.point);
      Add(R"(<circle class="ring" cx="{:.1f}" cy="{:.1f}" r="9"/>)", x_.Place(point.x),
          y_.Place(point.y));
      DrawLabel(point, mark.text, "mark");
    }
  }

  void DrawLabels() {
    for (const ChartSeries& series : chart_.series) {
      for (const ChartPoint& point : series.points) {
        if (!point.label.empty()) DrawLabel(point, point.label, "label");
      }
    }
  }

  bool HasRoom(const Box& box) const {
    const bool outside = box.left < left_ || box.right > chart_.width - kRight ||
                         box.bottom > y_.Place(y_.from) || box.top < kTop + more_ - 14;
    return !outside && std::ranges::none_of(taken_, [&](const Box& b) { return b.Touches(box); });
  }
  bool OnALine(const Box& box) const {
    return std::ranges::any_of(lines_, [&](const Piece& piece) { return piece.Crosses(box); });
  }

  // Tries the four corners around a point, and for a mark places above and below those; leaves a
  // label out where all are taken, or lie on a line. A mark's word may, rather than be missed.
  void DrawLabel(const ChartPoint& point, const std::string& text, std::string_view style) {
    const double width = static_cast<double>(text.size()) * kLabelWidthPerCharacter;
    const double x = x_.Place(point.x);
    const double y = y_.Place(point.y);
    const bool is_mark = style == "mark";
    for (const bool on_lines : {false, true}) {
      if (on_lines && !is_mark) return;
      for (const double away : {-9.0, 18.0, -26.0, 35.0, -43.0, 52.0}) {
        if (!is_mark && std::abs(away) > 20) break;
        for (const bool to_right : {false, true}) {
          const double left = to_right ? x + 10 : x - 10 - width;
          const double baseline = y + away;
          const Box box{left, baseline - kLabelHeight + 2, left + width, baseline + 3};
          if (!HasRoom(box) || (!on_lines && OnALine(box))) continue;
          taken_.push_back(box);
          Add(R"(<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>)", style, left, baseline,
              EscapeHtml(text));
          return;
        }
      }
    }
  }

  const Chart& chart_;
  std::vector<std::size_t> legend_;  // First series of each row.
  int more_;                         // Height beyond the chart's own, for more than one row.
  Axis y_;
  int left_;  // Where the plot begins.
  Axis x_;
  std::vector<Box> taken_;
  std::vector<Piece> lines_;
  std::string out_;
};

}  // namespace

std::string RenderChart(const Chart& chart) { return Drawing(chart).Draw(); }

std::vector<double> LinearTicks(double maximum, int count) {
  const double rough = maximum / count;
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= rough * 0.999) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks{0};
  while (ticks.back() < maximum * 0.999) ticks.push_back(static_cast<double>(ticks.size()) * step);
  return ticks;
}

std::vector<double> LogTicks(double minimum, double maximum) {
  const auto collect = [&](std::initializer_list<double> factors) {
    std::vector<double> all;
    const int first = static_cast<int>(std::floor(std::log10(minimum)));
    const int last = static_cast<int>(std::ceil(std::log10(maximum))) + 1;
    for (int power = first; power <= last; ++power) {
      for (const double factor : factors) all.push_back(factor * std::pow(10, power));
    }
    // From the last that is not above the least value to the first that is not below the greatest.
    auto begin = std::ranges::upper_bound(all, minimum * 1.001);
    if (begin != all.begin()) --begin;
    const auto end = std::lower_bound(begin, all.end(), maximum * 0.999);
    return std::vector<double>(begin, std::next(end));
  };
  std::vector<double> ticks = collect({1, 2, 5});
  if (ticks.size() > 10) ticks = collect({1});
  if (ticks.size() < 2) ticks.push_back(ticks.back() * 10);
  return ticks;
}

std::string EscapeHtml(std::string_view text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

}  // namespace penstock::page
