#include "trace/lines_trace.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::trace {
namespace {

TEST(LinesTrace, ReadsMooncake) {
  const auto trace = ParseLines(
      R"({"timestamp": 0, "input_length": 1030, "output_length": 6, "hash_ids": [0, 1, 2]})"
      "\n"
      R"({"timestamp": 27482, "input_length": 700, "output_length": 52, "hash_ids": [0, 3]})",
      {});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->format, "mooncake");
  EXPECT_EQ(trace->block_tokens, 512);
  EXPECT_EQ(
      trace->arrivals[1],
      (Arrival{
          .at_ns = 27'482'000'000, .input_tokens = 700, .output_tokens = 52, .blocks = {0, 3}}));
}

TEST(LinesTrace, ReadsNamedKeys) {
  const auto trace = ParseLines(R"({"t": 1.5, "in": 3, "out": 4})",
                                *ColumnNames::Parse("time=t,input=in,output=out,unit=s"));
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->format, "lines");
  EXPECT_EQ(trace->arrivals[0].input_tokens, 3);
}

TEST(LinesTrace, ReadsOurOwnRecords) {
  const auto trace = ParseLines(
      "{\"kind\":\"run\",\"format\":1}\n"
      "{\"kind\":\"request\",\"phase\":\"fit\",\"scheduled_ns\":1}\n"
      "{\"kind\":\"request\",\"scheduled_ns\":5000,\"input_tokens\":9,\"output_tokens_wanted\":7}\n"
      "{\"kind\":\"request\",\"scheduled_ns\":4000,\"input_tokens_wanted\":8,\"output_tokens\":6}\n"
      "{\"kind\":\"level\"}\n"
      "{\"kind\":\"requ",
      {});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->format, "records");
  ASSERT_EQ(trace->arrivals.size(), 2u);
  EXPECT_EQ(trace->arrivals[0], (Arrival{.at_ns = 0, .input_tokens = 8, .output_tokens = 6}));
  EXPECT_EQ(trace->arrivals[1], (Arrival{.at_ns = 1000, .input_tokens = 9, .output_tokens = 7}));
}

TEST(LinesTrace, NamesRowAndColumnOfWhatItCannotRead) {
  const auto message = [](std::string text) {
    const auto trace = ParseLines(text, {});
    return trace ? std::string("it was read") : trace.error().message;
  };
  const std::string good = R"({"timestamp":0,"input_length":1,"output_length":2})"
                           "\n";
  EXPECT_EQ(message(good + R"({"timestamp":0,"input_length":"x","output_length":2})"),
            "row 2, column input_length: the value is not a number of tokens");
  EXPECT_EQ(message(good + good + R"({"timestamp":0,"input_length":1})"),
            "row 3, column output_length: the object has no such key");
  EXPECT_EQ(message(good + R"({"timestamp":[],"input_length":1,"output_length":2})"),
            "row 2, column timestamp: the value is not a time");
  EXPECT_EQ(message(R"({"timestamp":0,"input_length":1,"output_length":2,"hash_ids":["a"]})"),
            "row 1, column hash_ids: the value is not a list of whole numbers");
  EXPECT_TRUE(message(good + "{\"timestamp\":").starts_with("row 2, column all: not JSON"));
  EXPECT_EQ(message(""), "there is no request in it");
}

}  // namespace
}  // namespace penstock::trace
