#include "trace/table_trace.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::trace {
namespace {

// Rows in the format of Azure's 2023 trace.
constexpr std::string_view kAzure =
    "TIMESTAMP,ContextTokens,GeneratedTokens\n"
    "2023-11-16 18:17:04.0319600,3180,8\n"
    "2023-11-16 18:17:03.9799600,4808,10\n"
    "2023-11-16 18:17:05.9799600,110,27\n";

TEST(TableTrace, ReadsAzure) {
  const auto trace = ParseTable(kAzure, {});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->format, "azure");
  ASSERT_EQ(trace->arrivals.size(), 3u);
  EXPECT_EQ(trace->arrivals[0], (Arrival{.at_ns = 0, .input_tokens = 4808, .output_tokens = 10}));
  EXPECT_EQ(trace->arrivals[1].at_ns, 52'000'000);
  EXPECT_EQ(trace->arrivals[2].at_ns, 2'000'000'000);
  EXPECT_EQ(trace->span_ns(), 2'000'000'000);
}

TEST(TableTrace, ReadsBurstGptAndNamedColumns) {
  const auto burst = ParseTable(
      "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
      "5,ChatGPT,472,18,490,Conversation log\n45,ChatGPT,1087,230,1317,Conversation log\n",
      {});
  ASSERT_TRUE(burst) << burst.error().message;
  EXPECT_EQ(burst->format, "burstgpt");
  EXPECT_EQ(burst->arrivals[1].at_ns, 40'000'000'000);
  EXPECT_EQ(burst->arrivals[1].output_tokens, 230);

  const auto named = ParseTable("when;x,p,g\n100,7,8\n350,9,10\n",
                                *ColumnNames::Parse("time=when;x,input=p,output=g,unit=ms"));
  ASSERT_TRUE(named) << named.error().message;
  EXPECT_EQ(named->format, "table");
  EXPECT_EQ(named->arrivals[1],
            (Arrival{.at_ns = 250'000'000, .input_tokens = 9, .output_tokens = 10}));
}

TEST(TableTrace, NamesRowAndColumnOfWhatItCannotRead) {
  const auto message = [](std::string text) {
    const auto trace = ParseTable(text, {});
    return trace ? std::string("it was read") : trace.error().message;
  };
  const std::string header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
  const std::string good = "2023-11-16 18:17:03,1,2\n";
  EXPECT_EQ(message(header + good + "2023-11-16 18:17:03,abc,2\n"),
            "row 3, column ContextTokens: 'abc' is not a number of tokens");
  EXPECT_EQ(message(header + "yesterday,1,2\n"),
            "row 2, column TIMESTAMP: 'yesterday' is not a time");
  EXPECT_EQ(message(header + good + "\n" + "2023-11-16 18:17:03,1\n"),
            "row 4, column GeneratedTokens: the row has 2 cells only");
  EXPECT_EQ(message(header + "2023-11-16 18:17:03,1,-2\n"),
            "row 2, column GeneratedTokens: '-2' is not a number of tokens");
  EXPECT_EQ(message(header + "2023-11-16 18:17:03,1,2.5\n"),
            "row 2, column GeneratedTokens: '2.5' is not a number of tokens");
  EXPECT_EQ(message(header), "there is no row below the header");
  EXPECT_EQ(message(""), "the file is empty");
}

TEST(Trace, IsCutAndSpedUp) {
  Trace trace;
  for (int second = 0; second < 10; ++second) {
    trace.arrivals.push_back({.at_ns = second * kNanosecondsPerSecond, .input_tokens = second});
  }
  Apply({.from_ns = 3 * kNanosecondsPerSecond, .span_ns = 4 * kNanosecondsPerSecond}, trace);
  ASSERT_EQ(trace.arrivals.size(), 4u);
  EXPECT_EQ(trace.arrivals.front(), (Arrival{.at_ns = 0, .input_tokens = 3}));
  SpeedUp(2, trace);
  EXPECT_EQ(trace.span_ns(), 1'500'000'000);
  Apply({.arrivals_max = 2}, trace);
  EXPECT_EQ(trace.arrivals.size(), 2u);
}

}  // namespace
}  // namespace penstock::trace
