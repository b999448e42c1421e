#include "plan/usage_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "plan/usage_fields.h"

namespace penstock::plan {
namespace {

using testing::HasSubstr;

UsageHistory Read(std::string_view text, const UsageColumns& columns = {}) {
  UsageHistory history;
  const Status read = ReadUsageText(text, columns, history);
  EXPECT_TRUE(read) << read.error().message;
  return history;
}

std::string Refusal(std::string_view text, const UsageColumns& columns = {}) {
  UsageHistory history;
  const Status read = ReadUsageText(text, columns, history);
  return read ? "accepted" : read.error().message;
}

UsageSummary Only(const UsageHistory& history) {
  EXPECT_EQ(history.series.size(), 1u);
  return history.series.begin()->second.Summarize().value();
}

// The first is the response that Microsoft's "Performance and latency" shows.
TEST(UsageReader, ReadsResponsesOfApis) {
  const UsageHistory history = Read(
      R"({"body": {"id": "x", "created": 1686676106, "choices": [{"text": "a\"}{"}], "usage": {"completion_tokens": 557, "prompt_tokens": 33, "total_tokens": 590}}})"
      "\n"
      R"({"id": "y", "created": 1686676107, "model": "", "usage": {"prompt_tokens": 40, "completion_tokens": 3, "prompt_tokens_details": {"cached_tokens": 32}}})"
      "\n\n"
      R"({"response": {"status_code": 200, "body": {"created": 1686676200, "usage": {"prompt_tokens": 1, "completion_tokens": 2}}}})");
  const UsageSummary summary = Only(history);
  EXPECT_EQ(history.rows, 3);
  EXPECT_EQ(history.bad_rows, 0) << history.first_bad;
  EXPECT_EQ(summary.tokens.input, 74);
  EXPECT_EQ(summary.tokens.cached, 32);
  EXPECT_EQ(summary.tokens.output, 562);
  EXPECT_EQ(summary.minutes, 3);
}

TEST(UsageReader, ReadsAzuresTracesAndUsageTables) {
  const UsageSummary azure =
      Only(Read("TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44\r\n"
                "2023-11-16 18:16:50.9951690,396,109\r\n"));
  EXPECT_EQ(azure.tokens.input, 770);
  EXPECT_EQ(azure.minutes, 2);
  const UsageHistory table = Read(
      "request_time,served_entity_id,input_token_count,output_token_count\n"
      "2026-01-01T00:00:00.5Z,a,10,1\n\"2026-01-01T02:00:00+02:00\",\"b,c\",20,2\n");
  EXPECT_EQ(table.series.size(), 2u);
  EXPECT_EQ(table.series.at("b,c").Summarize()->first_minute,
            table.series.at("a").Summarize()->first_minute);
}

TEST(UsageReader, OtherNamesUnitsAndZonesAreMapped) {
  const UsageColumns columns =
      UsageColumns::Parse("time=when,input=in,output=out,key=team,zone=+02:00").value();
  const UsageHistory history =
      Read("team,when,in,out,model\nblue,2026-01-01 02:00:00,5,6,m\n", columns);
  EXPECT_EQ(history.series.at("blue").Summarize()->first_minute * 60, 1767225600);
  const UsageColumns milliseconds = UsageColumns::Parse("unit=ms").value();
  EXPECT_EQ(
      Only(Read(R"({"timestamp": 120000, "input_length": 1, "output_length": 1})", milliseconds))
          .first_minute,
      2);
  for (const char* bad : {"time", "colour=red", "unit=h", "zone=2", "time="}) {
    EXPECT_FALSE(UsageColumns::Parse(bad)) << bad;
  }
}

TEST(UsageReader, TheUnitOfAPlainTimeIsToldByItsSize) {
  for (const double number : {1686676106.0, 1686676106e3, 1686676106e6, 1686676106e9}) {
    EXPECT_EQ(SecondsBySize(number), 1686676106);
  }
}

// Its times are milliseconds from zero on, too small to tell that by themselves.
TEST(UsageReader, MooncakesTimesAreMilliseconds) {
  const UsageSummary summary =
      Only(Read("{\"timestamp\": 0, \"input_length\": 5, \"output_length\": 1, \"hash_ids\": [1]}\n"
                "{\"timestamp\": 119999, \"input_length\": 5, \"output_length\": 1}\n"));
  EXPECT_EQ(summary.minutes, 2);
  const UsageSummary csv = Only(Read("timestamp,input_length,output_length\n0,1,1\n60000,1,1\n"));
  EXPECT_EQ(csv.minutes, 2);
  // Where the size tells the unit, or the time is one of the calendar, it stands.
  EXPECT_EQ(Only(Read("timestamp,input_length,output_length\n1686676106000,1,1\n")).first_minute,
            1686676106 / 60);
  EXPECT_EQ(
      Only(Read("timestamp,input_length,output_length\n2023-06-13T17:08:26Z,1,1\n")).first_minute,
      1686676106 / 60);
}

TEST(UsageReader, WhatIsNoTableIsNotPouredOut) {
  const std::string message =
      Refusal(std::string("GGUF\x03\0\x01\x7f", 7) + std::string(5000, '\xff') + "\n");
  EXPECT_LT(message.size(), 500u);
  EXPECT_EQ(std::ranges::count_if(message, [](char c) { return c == '\xff' || c == '\x03'; }), 0);
}

TEST(UsageReader, AMissingColumnIsNamedWithThoseThatAreThere) {
  const std::string message = Refusal("when,ContextTokens,GeneratedTokens\n1,2,3\n");
  EXPECT_THAT(message, HasSubstr("no column for time"));
  EXPECT_THAT(message, HasSubstr("when, ContextTokens"));
  EXPECT_THAT(message, HasSubstr("--columns time=NAME"));
}

TEST(UsageReader, AFewBadRowsAreCountedAndManyAreRefused) {
  std::string text = "time,input_tokens,output_tokens\n";
  for (int i = 0; i < 200; ++i) text += "1700000000,10,1\n";
  const UsageHistory history = Read(text + "1700000000,ten,1\n");
  EXPECT_EQ(history.bad_rows, 1);
  EXPECT_EQ(history.first_bad, "row 202 column 2 (input): 'ten' cannot be read");
  EXPECT_THAT(Refusal(text + "x,1,1\ny,1,1\nz,1,1\n"), HasSubstr("3 of 203 rows"));
  EXPECT_THAT(Refusal("{\"a\": "), HasSubstr("row 1"));
  EXPECT_THAT(Refusal("{\"created\": 1, \"usage\": {\"prompt_tokens\": -4}}"), HasSubstr("'-4'"));
  EXPECT_THAT(Refusal("{\"created\": 1700000000}"), HasSubstr("has no token counts"));
  EXPECT_THAT(Refusal("time,input_tokens,output_tokens,cached_tokens\n1,5,1,6\n"),
              HasSubstr("6 cached tokens of 5"));
}

// Rows in any order, with hours of silence and requests that used nothing, tell what the same rows
// in order tell.
TEST(UsageReader, GapsDisorderAndZeroRowsAreTaken) {
  const std::string head = "time,input_tokens,output_tokens\n";
  const std::vector<std::string> rows = {
      "2026-01-01 00:00:10,100,10\n", "2026-01-01 00:00:50,100,10\n", "2026-01-01 00:01:00,0,0\n",
      "2026-01-01 05:00:00,300,30\n", "2026-01-01 05:00:59,1,0\n"};
  std::string ordered = head;
  std::string disordered = head;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    ordered += rows[i];
    disordered += rows[(i * 3 + 4) % rows.size()];
  }
  for (const std::string& text : {ordered, disordered}) {
    const UsageHistory history = Read(text);
    EXPECT_EQ(history.rows, 5);
    EXPECT_EQ(history.bad_rows, 0);
    const UsageSummary summary = *history.series.at("").Summarize();
    EXPECT_EQ(summary.requests, 5);
    EXPECT_EQ(summary.tokenless_requests, 1);
    EXPECT_EQ(summary.minutes, 301);
    EXPECT_EQ(summary.empty_minutes, 298);
    EXPECT_EQ(summary.input.max, 301);
    EXPECT_EQ(summary.input.p50, 0);  // Silence counts.
    EXPECT_NEAR(summary.total.mean, 551.0 / 301, 0.01);
  }
}

// Rows fill what is kept to the brim; then more rows of the same time are taken, and those of
// another are refused, whichever endpoint's they are.
TEST(UsageReader, WhatIsKeptHasALimit) {
  std::string text = "time,endpoint,input_tokens,output_tokens\n";
  for (int day = 0; day < 5; ++day) text += std::to_string(86'400 * day) + ",chat,10,1\n";
  text += "30,code,10,1\n86430,chat,10,1\n";
  UsageHistory history{.quarters_max = 6};
  ASSERT_TRUE(ReadUsageText(text, {}, history));
  EXPECT_EQ(history.quarters, 6u);
  EXPECT_EQ(history.rows, 7);
  for (const char* beyond : {"864000,chat,10,1\n", "86400,code,10,1\n", "0,third,10,1\n"}) {
    UsageHistory full{.quarters_max = 6};
    const Status read = ReadUsageText(text + beyond, {}, full);
    ASSERT_FALSE(read) << beyond;
    EXPECT_EQ(read.error().code, Code::kTooLarge);
    EXPECT_THAT(read.error().message, HasSubstr("row 9: "));
    EXPECT_THAT(read.error().message, HasSubstr("more than 6 quarters of an hour"));
    EXPECT_EQ(full.quarters, 6u);
  }
}

TEST(UsageReader, AKeyHasALimit) {
  const std::string longest(kUsageKeyBytesMax, 'k');
  const std::string head = "time,endpoint,input_tokens,output_tokens\n";
  EXPECT_EQ(Read(head + "60," + longest + ",1,1\n").series.begin()->first, longest);
  EXPECT_THAT(Refusal(head + "60,k" + longest + ",1,1\n"), HasSubstr("513 bytes, more than 512"));
}

TEST(UsageReader, AFileThatIsNotThereIsNamed) {
  UsageHistory history;
  const Status read = ReadUsage("/no/such/usage.csv", {}, {}, history);
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().code, Code::kNotFound);
  EXPECT_THAT(read.error().message, HasSubstr("/no/such/usage.csv"));
  EXPECT_THAT(ReadUsage("/tmp", {}, {}, history).error().message, HasSubstr("folder"));
}

}  // namespace
}  // namespace penstock::plan
