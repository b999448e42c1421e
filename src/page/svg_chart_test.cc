#include "page/svg_chart.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "base/random.h"

namespace penstock::page {
namespace {

std::size_t CountOf(const std::string& text, const std::string& part) {
  std::size_t count = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

Chart ThreePoints() {
  Chart chart{.id = "c", .title = "A <title>", .description = "What it shows", .x_title = "x"};
  chart.series = {{.name = "p50",
                   .points = {{.x = 1, .y = 10, .label = "1", .tooltip = "one"},
                              {.x = 2, .y = 20, .label = "2"},
                              {.x = 3, .y = 25, .label = "4"}}}};
  return chart;
}

TEST(SvgChart, TicksAreRoundAndCoverTheValues) {
  EXPECT_EQ(LinearTicks(1, 5), (std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}));
  EXPECT_EQ(LinearTicks(812, 5), (std::vector<double>{0, 200, 400, 600, 800, 1000}));
  EXPECT_EQ(LinearTicks(11, 5), (std::vector<double>{0, 2.5, 5, 7.5, 10, 12.5}));
  EXPECT_EQ(LogTicks(30, 700), (std::vector<double>{20, 50, 100, 200, 500, 1000}));
  EXPECT_EQ(LogTicks(1, 1e6).front(), 1);
}

// Any values: the first and the last tick enclose them, in rising order, and they are not many.
TEST(SvgChart, TicksKeepTheirPromises) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    Random random(seed);
    const double least = std::pow(10, 8 * random.Uniform() - 4);
    const double most = least * (1 + std::pow(10, 6 * random.Uniform()));
    for (const auto& ticks : {LinearTicks(most, 5), LogTicks(least, most)}) {
      EXPECT_GE(ticks.size(), 2u);
      EXPECT_LE(ticks.size(), 11u);
      EXPECT_LE(ticks.front(), least * 1.002);
      EXPECT_GE(ticks.back(), most * 0.998);
      EXPECT_TRUE(std::ranges::is_sorted(ticks));
    }
  }
}

TEST(SvgChart, IsReadableWithoutSight) {
  const std::string svg = RenderChart(ThreePoints());
  EXPECT_NE(svg.find(R"(role="img" aria-labelledby="c-t c-d")"), std::string::npos);
  EXPECT_NE(svg.find("<title id=\"c-t\">A &lt;title&gt;</title>"), std::string::npos);
  EXPECT_NE(svg.find("<desc id=\"c-d\">What it shows</desc>"), std::string::npos);
}

// A long figure is seen whole: the plot begins right of it.
TEST(SvgChart, TheAxisLeavesRoomForItsFigures) {
  Chart chart = ThreePoints();
  EXPECT_NE(RenderChart(chart).find(R"(class="axis" x1="62")"), std::string::npos);
  for (ChartPoint& point : chart.series[0].points) point.y *= 2e6;
  const std::string svg = RenderChart(chart);
  EXPECT_NE(svg.find(">50,000,000</text>"), std::string::npos);
  EXPECT_NE(svg.find(R"(class="axis" x1="84")"), std::string::npos);
}

TEST(SvgChart, ALegendThatMeetsTheTitleStandsBelowIt) {
  Chart chart = ThreePoints();
  chart.y_title = "tokens per second";
  EXPECT_NE(RenderChart(chart).find(R"(y="14">p50</text>)"), std::string::npos);
  chart.y_title = std::string(70, 'x');
  for (const char* name : {"one name", "another name", "a third one"}) {
    chart.series.push_back(chart.series[0]);
    chart.series.back().name = name;
  }
  EXPECT_NE(RenderChart(chart).find(R"(y="29">p50</text>)"), std::string::npos);
}

// A legend of several rows has its own room: the plot keeps its height.
TEST(SvgChart, ALegendTooLongForALineHasSeveral) {
  Chart chart = ThreePoints();
  chart.series.resize(1);
  for (int i = 1; i < 12; ++i) {
    chart.series.push_back({.name = "a tenant of a policy", .points = chart.series[0].points});
  }
  const std::string svg = RenderChart(chart);
  const auto row = [&svg](int base) {
    return CountOf(svg, ("y=\"" + std::to_string(base) + "\">a tenant").c_str());
  };
  EXPECT_EQ(row(14), 0u);
  EXPECT_EQ(row(29), 3u);  // And "p50" before them.
  EXPECT_EQ(row(44), 3u);
  EXPECT_EQ(row(59), 3u);
  EXPECT_EQ(row(74), 2u);
  EXPECT_NE(svg.find("viewBox=\"0 0 720 425\""), std::string::npos);
  EXPECT_EQ(svg.find("series-8"), std::string::npos);  // The style sheet knows eight.
}

// Steep lines through all four corners of a point leave a label no place; a mark keeps its word.
TEST(SvgChart, LabelsDoNotLieOnLines) {
  Chart chart = ThreePoints();
  chart.series[0].points = {{.x = 3, .y = 20, .label = "a long label"}};
  EXPECT_EQ(CountOf(RenderChart(chart), "class=\"label\""), 1u);
  for (const double x : {2.7, 3.3}) {
    chart.series.push_back({.name = "wall", .points = {{.x = x, .y = 0}, {.x = x, .y = 40}}});
  }
  EXPECT_EQ(CountOf(RenderChart(chart), "class=\"label\""), 0u);
  chart.marks = {{.point = 0, .text = "the best of all"}};
  EXPECT_EQ(CountOf(RenderChart(chart), "class=\"mark\""), 1u);
}

TEST(SvgChart, DrawsEachPointAndItsLabel) {
  Chart chart = ThreePoints();
  chart.marks = {{.point = 1, .text = "best"}};
  const std::string svg = RenderChart(chart);
  EXPECT_EQ(CountOf(svg, "<circle class=\"dot"), 3u);
  EXPECT_EQ(CountOf(svg, "class=\"ring\""), 1u);
  EXPECT_EQ(CountOf(svg, "class=\"mark\""), 1u);
  EXPECT_EQ(CountOf(svg, "class=\"label\""), 3u);
  EXPECT_NE(svg.find("<title>one</title>"), std::string::npos);
}

TEST(SvgChart, LabelsThatHaveNoRoomAreLeftOut) {
  Chart chart = ThreePoints();
  chart.series[0].points.assign(20, {.x = 2, .y = 20, .label = "crowd"});
  chart.series.push_back({.name = "far", .points = {{.x = 4, .y = 40}}});
  EXPECT_EQ(CountOf(RenderChart(chart), "class=\"label\""), 4u);  // One at each corner.
}

TEST(SvgChart, WideSpansAreLogarithmic) {
  Chart chart = ThreePoints();
  chart.y_title = "ms";
  EXPECT_EQ(CountOf(RenderChart(chart), "logarithmic"), 0u);
  chart.series[0].points[2].y = 10'000;
  EXPECT_EQ(CountOf(RenderChart(chart), "logarithmic"), 1u);
}

TEST(SvgChart, NoValueEscapesItsMarkup) {
  for (const double value : {0.0, 1e-9, 1e12}) {
    Chart chart = ThreePoints();
    for (auto& point : chart.series[0].points) point.x = point.y = value;
    const std::string svg = RenderChart(chart);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
    EXPECT_EQ(svg.find("inf"), std::string::npos);
  }
}

}  // namespace
}  // namespace penstock::page
