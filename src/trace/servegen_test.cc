#include "trace/servegen.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

namespace penstock::trace {
namespace {

constexpr std::string_view kWindows =
    "0,0,0,,0,0\n"
    "600,2,1,Gamma,1.0,0.5\n"
    "1200,1,2.5,Weibull,0.5,0.5\n"
    "1800,0,0,,0,0";
constexpr std::string_view kLengths =
    R"({"0": {"input_tokens": "{100: 0.5, 300: 0.5}", "output_tokens": "{7: 1.0}"},)"
    R"( "1200": {"input_tokens": "{9: 2}", "output_tokens": "{1: 0.25, 2.0: 0.75}"}})";

std::vector<Client> OneClient() {
  return {{.number = 3,
           .windows = *ParseClientWindows(kWindows),
           .lengths = *ParseClientLengths(kLengths)}};
}

TEST(ServeGen, DrawsRatesAndLengthsOfItsClients) {
  const auto trace = DrawArrivals(OneClient(), {.seed = 5, .from_s = 0, .span_s = 2400});
  ASSERT_TRUE(trace) << trace.error().message;
  int early = 0;
  int late = 0;
  double early_input = 0;
  // The first arrival lies at 0 now, a moment after second 600.
  for (const Arrival& arrival : trace->arrivals) {
    const bool first_window = arrival.at_ns < 599 * kNanosecondsPerSecond;
    ++(first_window ? early : late);
    if (first_window) early_input += arrival.input_tokens;
    if (!first_window && arrival.at_ns > 602 * kNanosecondsPerSecond) {
      EXPECT_EQ(arrival.input_tokens, 9);
    }
  }
  EXPECT_NEAR(early, 1200, 120);
  EXPECT_NEAR(late, 600, 150);
  EXPECT_NEAR(early_input / early, 200, 20);
  EXPECT_EQ(trace->arrivals.front().output_tokens, 7);
}

TEST(ServeGen, EqualSeedsGiveEqualArrivals) {
  const DrawOptions options{.seed = 9, .from_s = 300, .span_s = 1000};
  const auto one = DrawArrivals(OneClient(), options);
  ASSERT_TRUE(one);
  EXPECT_EQ(*one, *DrawArrivals(OneClient(), options));
  EXPECT_NE(*one, *DrawArrivals(OneClient(), {.seed = 10, .from_s = 300, .span_s = 1000}));
  const auto doubled =
      DrawArrivals(OneClient(), {.seed = 9, .from_s = 300, .span_s = 1000, .rate_factor = 2});
  const double ratio =
      static_cast<double>(doubled->arrivals.size()) / static_cast<double>(one->arrivals.size());
  EXPECT_NEAR(ratio, 2, 0.3);
  EXPECT_FALSE(DrawArrivals(OneClient(), {.from_s = 0, .span_s = 600}));
}

TEST(ServeGen, LeavesOutPartsInWhichAClientWasSilent) {
  const auto lengths =
      ParseClientLengths(R"({"0": {"input_tokens": "{}", "output_tokens": "{}"},)"
                         R"( "600": {"input_tokens": "{8: 1}", "output_tokens": "{9: 1}"}})");
  ASSERT_TRUE(lengths) << lengths.error().message;
  ASSERT_EQ(lengths->size(), 1u);
  EXPECT_EQ(lengths->front().start_s, 600);
  const auto none = ParseClientLengths(R"({"0": {"input_tokens": "{}", "output_tokens": "{}"}})");
  ASSERT_TRUE(none);
  EXPECT_TRUE(none->empty());
  EXPECT_FALSE(DrawArrivals({{.windows = *ParseClientWindows(kWindows)}}, {.span_s = 9999}));
}

TEST(ServeGen, NamesWhatItCannotRead) {
  const auto windows = [](std::string_view text) {
    const auto parsed = ParseClientWindows(text);
    return parsed ? std::string("it was read") : parsed.error().message;
  };
  EXPECT_EQ(windows("0,0,0,,0,0\n600,1,1,Pareto,1,1\n"),
            "row 2, column distribution: 'Pareto' is not Gamma or Weibull");
  EXPECT_EQ(windows("0,x,0,,0,0\n"), "row 1, column rate: 'x' is not a rate");
  EXPECT_EQ(windows("0,1,1,Gamma,1\n"), "row 1, column scale: the row ends before it");
  EXPECT_EQ(windows("600,0,0,,0,0\n0,0,0,,0,0\n"),
            "row 2, column start: the windows are not in order of time");
  EXPECT_EQ(windows(""), "there is no window in it");

  const auto lengths = [](std::string_view text) {
    const auto parsed = ParseClientLengths(text);
    return parsed ? std::string("it was read") : parsed.error().message;
  };
  EXPECT_EQ(lengths(R"({"0": {"input_tokens": "{1: 1}"}})"), "\"0\" has no \"output_tokens\"");
  EXPECT_EQ(lengths(R"({"0": {"input_tokens": "{1: x}", "output_tokens": "{1: 1}"}})"),
            "\"0\", \"input_tokens\": a weight is not a number from 0 on");
  EXPECT_EQ(lengths(R"({"0": {"input_tokens": "{1: 1", "output_tokens": "{1: 1}"}})"),
            "\"0\", \"input_tokens\": it does not end with '}'");
  EXPECT_EQ(lengths(R"({"x": {}})"), "\"x\" is not a number of seconds");
  EXPECT_EQ(lengths("{}"), "there is no distribution in it");
}

}  // namespace
}  // namespace penstock::trace
