#include "app/top_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace penstock::app {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string PageOf(double completed, double refused, double output, double under_100ms) {
  const auto line = [](const std::string& name, const std::string& labels, double value) {
    return name + "{" + labels + "} " + std::to_string(value) + "\n";
  };
  const std::string own = "endpoint=\"chat\"";
  return "# HELP x y\n" + line("penstock_requests_total", "end=\"completed\"," + own, completed) +
         line("penstock_requests_total", "end=\"refused\"," + own, refused) +
         line("penstock_tokens_total", own + ",kind=\"output\"", output) +
         line("penstock_tokens_total", own + ",kind=\"input\"", 2 * output) +
         line("penstock_cost_total", own, 4 * output) +
         line("penstock_provisioned_cost_per_second", own, 100) +
         line("penstock_requests_running", own, 3) +
         line("penstock_queue_waiting", own + ",served_entity=\"m\"", 2) +
         line("penstock_replicas", own + ",state=\"ready\"", 1) +
         line("penstock_replicas", own + ",state=\"not_ready\"", 1) +
         line("penstock_time_to_first_token_seconds_bucket", own + ",le=\"0.1\"", under_100ms) +
         line("penstock_time_to_first_token_seconds_bucket", own + ",le=\"0.2\"", completed) +
         line("penstock_time_to_first_token_seconds_bucket", own + ",le=\"+Inf\"", completed) +
         "penstock_http_connections_open 7\n";
}

std::vector<TopRow> Rows() {
  const TopReading older = ReadMetrics(PageOf(10, 0, 100, 10), 100);
  const TopReading newer = ReadMetrics(PageOf(30, 10, 300, 20), 102);
  return RowsOf(older, newer, older);
}

TEST(TopView, TellsWhatHappenedBetweenTwoReadings) {
  const auto rows = Rows();
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].endpoint, "chat");
  EXPECT_EQ(rows[0].requests_per_s, 15);
  EXPECT_EQ(rows[0].refused_per_s, 5);
  EXPECT_EQ(rows[0].output_per_s, 100);
  EXPECT_EQ(rows[0].utilisation, 4);  // 400 cost per second of 100.
  EXPECT_EQ(rows[0].running, 3);
  EXPECT_EQ(rows[0].queued, 2);
  EXPECT_EQ(rows[0].replicas_ready, 1);
  EXPECT_EQ(rows[0].replicas_all, 2);
  EXPECT_NEAR(rows[0].ttft_p50_ms, 100, 1e-6);
  EXPECT_NEAR(rows[0].ttft_p95_ms, 190, 1e-6);
  EXPECT_EQ(rows[0].tpot_p50_ms, -1);
}

TEST(TopView, ARestartedServerCountsFromZero) {
  const TopReading older = ReadMetrics(PageOf(1000, 0, 1000, 10), 100);
  const TopReading newer = ReadMetrics(PageOf(2, 0, 4, 2), 102);
  EXPECT_EQ(RowsOf(older, newer, older)[0].requests_per_s, 1);
}

TEST(TopView, NoLineIsLongerThanTheScreenNorMoreThanItsHeight) {
  std::vector<TopRow> rows;
  for (int i = 0; i < 100; ++i) {
    rows.push_back({.endpoint = "an-endpoint-with-a-long-näme-" + std::to_string(i),
                    .requests_per_s = 12345.6,
                    .input_per_s = 1e9,
                    .utilisation = i / 50.0});
  }
  for (std::size_t width = 1; width < 160; ++width) {
    for (const std::size_t height : {2, 5, 24, 200}) {
      const std::string screen = RenderScreen(
          {.server = "http://127.0.0.1:8484", .time = "15:04:05", .width = width, .height = height},
          {}, rows);
      EXPECT_EQ(std::ranges::count(screen, '\n'), static_cast<std::ptrdiff_t>(height));
      std::size_t column = 0;
      for (const char c : screen) {
        if ((static_cast<unsigned char>(c) & 0xC0U) != 0x80U) ++column;
        if (c == '\n') column = 0;
        ASSERT_LE(column, width) << screen;
      }
    }
  }
}

TEST(TopView, ShowsWhatIsWrong) {
  const TopFrame frame{.server = "s", .time = "t", .width = 120, .height = 10, .colours = true};
  const std::string screen = RenderScreen(frame, {}, Rows());
  EXPECT_THAT(screen, HasSubstr("\x1b[31m400%"));
  EXPECT_THAT(screen, HasSubstr("\x1b[31m1/2"));
  EXPECT_THAT(RenderScreen({.width = 80, .problem = "no server"}, {}, {}), HasSubstr("no server"));
  TopReading lossy;
  lossy.lost_records = 5;
  EXPECT_THAT(RenderScreen(frame, lossy, {}), HasSubstr("5 usage records lost"));
}

TEST(TopView, LinesAreForPrograms) {
  const std::string lines = RenderLines({.time = "15:04:05"}, Rows());
  EXPECT_THAT(lines, HasSubstr("15:04:05 endpoint=chat requests_per_s=15.00 "));
  EXPECT_THAT(lines, HasSubstr("ttft_p50_ms=100 "));
  EXPECT_THAT(lines, Not(HasSubstr("\x1b")));
}

TEST(TopView, SortsByWhatIsAsked) {
  std::vector<TopRow> rows = {{.endpoint = "a", .output_per_s = 1, .utilisation = 0.9},
                              {.endpoint = "b", .refused_per_s = 1, .output_per_s = 5}};
  Sort(rows, TopOrder::kRate);
  EXPECT_EQ(rows[0].endpoint, "b");
  Sort(rows, TopOrder::kUtilisation);
  EXPECT_EQ(rows[0].endpoint, "a");
  Sort(rows, TopOrder::kRefused);
  EXPECT_EQ(rows[0].endpoint, "b");
}

TEST(ReadMetrics, LeavesOutWhatIsNone) {
  const TopReading reading = ReadMetrics(
      "garbage\nx{y\npenstock_requests_running{endpoint=\"a\\\"b\"} 4\n"
      "x{a=\"b\"}\n{} 1\n",
      0);
  ASSERT_EQ(reading.endpoints.size(), 1u);
  EXPECT_EQ(reading.endpoints.at("a\"b").running, 4);
}

}  // namespace
}  // namespace penstock::app
