#include "plan/ledger_trace.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace penstock::plan {
namespace {

using testing::HasSubstr;

std::string Line(const char* endpoint, const char* ended, int duration_ms, int status, int input,
                 int output, int bytes, const char* spilled = "") {
  return fmt::format(
      R"({{"ended_at":"2026-11-25T10:00:{}Z","endpoint":"{}","duration_us":{},"status":{},)"
      R"("input_tokens":{},"output_tokens":{},"input_bytes":{},"spilled_from":"{}"}})"
      "\n",
      ended, endpoint, duration_ms * 1000, status, input, output, bytes, spilled);
}

TEST(LedgerTrace, RequestsCountFromTheBeginOfTheWholeExport) {
  const std::string text = Line("other", "01.000", 1000, 200, 5, 5, 20) +
                           Line("chat", "05.500", 500, 200, 100, 10, 400) +
                           Line("chat", "04.000", 2000, 200, 300, 30, 1200);
  const auto read = ParseLedgerTrace(text, {.endpoint = "chat"});
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 2u);
  EXPECT_NEAR((*read)[0].at_s, 2, 1e-6);  // In order of their begin.
  EXPECT_EQ((*read)[0].input_tokens, 300);
  EXPECT_EQ((*read)[0].output_tokens, 30);
  EXPECT_NEAR((*read)[1].at_s, 5, 1e-6);
  EXPECT_NEAR(ParseLedgerTrace(text, {.endpoint = "chat", .speed = 2})->at(1).at_s, 2.5, 1e-6);
}

TEST(LedgerTrace, WhatWasRefusedIsAsUsual) {
  const std::string text = Line("chat", "01.000", 100, 200, 100, 10, 500) +
                           Line("chat", "02.000", 100, 200, 100, 30, 500) +
                           Line("chat", "03.000", 1, 429, 0, 0, 1000) +
                           Line("chat", "04.000", 1, 400, 0, 0, 1000) +
                           Line("spare", "05.000", 100, 200, 7, 7, 35, "chat");
  const auto read = ParseLedgerTrace(text, {.endpoint = "chat"});
  ASSERT_TRUE(read) << read.error().message;
  ASSERT_EQ(read->size(), 4u);  // The wrong one is left out, the spilled one is not.
  EXPECT_EQ((*read)[2].input_tokens, 200);
  EXPECT_EQ((*read)[2].output_tokens, 16);  // Mean of 10, 30 and 7.
  EXPECT_EQ((*read)[3].input_tokens, 7);
  EXPECT_FALSE(ParseLedgerTrace(text, {.endpoint = "nobody"}));
}

TEST(LedgerTrace, DamageNamesItsLine) {
  const std::string good = Line("chat", "01.000", 100, 200, 100, 10, 500);
  for (const auto& [text, what] : std::vector<std::pair<std::string, const char*>>{
           {"{", "line 2"},
           {R"({"endpoint":"chat"})", "ended_at"},
           {R"({"endpoint":"chat","ended_at":"yesterday"})", "yesterday"},
           {R"({"endpoint":"chat","ended_at":"2026-11-25T10:00:00Z"})", "duration_us"}}) {
    const auto read = ParseLedgerTrace(good + text, {.endpoint = "chat"});
    ASSERT_FALSE(read) << text;
    EXPECT_THAT(read.error().message, HasSubstr(what));
  }
}

}  // namespace
}  // namespace penstock::plan
