#include "bench/record/record_json.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"
#include "bench/record/test_records.h"

namespace penstock::bench {
namespace {

std::string HeaderLine() {
  std::string line;
  AppendLine(testing::MakeHeader(), line);
  return line;
}

std::string Line(const RequestRecord& record) {
  std::string line;
  AppendLine(record, line);
  return line;
}

TEST(RecordJson, ARequestIsOneLineOfPlainNames) {
  const auto record = testing::MakeRecord({.id = 7, .concurrency = 2, .sent_ms = 5, .tokens = 3});
  EXPECT_EQ(Line(record),
            R"({"kind":"request","id":7,"level":0,"concurrency":2,"agent":0,"turn":0,)"
            R"("phase":"measured","streamed":true,)"
            R"("scheduled_ns":5000000,"sent_ns":5000000,"first_byte_ns":6000000,)"
            R"("first_token_ns":105000000,"first_answer_ns":105000000,"last_token_ns":125000000,)"
            R"("end_ns":125000000,"chunks":3,"first_chunk_tokens":1,"reads":3,"shared_reads":0,)"
            R"("http_status":200,"finish_reason":"length","input_tokens_wanted":100,)"
            R"("output_tokens_wanted":3,"input_tokens":100,"output_tokens":3,"prompt_bytes":400,)"
            R"("gaps_ns":[10000000,10000000]})"
            "\n");
}

TEST(RecordJson, WhatNeverHappenedIsLeftOutAndComesBackAsNever) {
  RequestRecord record;
  record.id = 3;
  record.concurrency = 4;
  record.scheduled_ns = 10;
  record.end_ns = 20;
  record.error = ErrorKind::kConnect;
  record.error_message = "no \"route\"\nto \x01 host \\ \xff";
  const std::string line = Line(record);
  EXPECT_EQ(line.find("first_token_ns"), std::string::npos);
  EXPECT_EQ(line.find("cached_tokens"), std::string::npos);
  const auto run = ParseRecords(HeaderLine() + line);
  ASSERT_TRUE(run) << run.error().message;
  ASSERT_EQ(run->requests.size(), 1u);
  EXPECT_EQ(run->requests[0].error_message, "no \"route\"\nto \x01 host \\ \xEF\xBF\xBD");
  record.error_message = run->requests[0].error_message;
  EXPECT_EQ(run->requests[0], record);
}

RequestRecord RandomRecord(Random& random) {
  RequestRecord record;
  record.id = random.Next();
  record.concurrency = static_cast<int>(1 + random.Below(100));
  record.phase = random.Below(2) == 0 ? Phase::kWarmup : Phase::kMeasured;
  record.streamed = random.Below(2) == 0;
  record.scheduled_ns = static_cast<std::int64_t>(random.Next() >> 2);
  record.end_ns = static_cast<std::int64_t>(random.Next() >> 2);
  record.error = static_cast<ErrorKind>(random.Below(kErrorKinds));
  record.error_message = random.Below(2) == 0 ? "" : "größer";
  record.chunks = static_cast<int>(random.Below(5));
  if (record.chunks > 0) {
    record.first_token_ns = static_cast<std::int64_t>(random.Below(1000));
    record.last_token_ns = record.first_token_ns;
    for (int gap = 1; gap < record.chunks; ++gap) {
      record.gaps_ns.push_back(static_cast<std::int64_t>(random.Below(1u << 30)));
      record.last_token_ns += record.gaps_ns.back();
    }
  }
  record.output_tokens = static_cast<int>(random.Below(3)) - 1;
  record.cached_tokens = static_cast<int>(random.Below(3)) - 1;
  return record;
}

TEST(RecordJson, AnyRecordsGoThereAndBack) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    Random random(seed);
    std::string text = HeaderLine();
    std::vector<RequestRecord> requests;
    std::vector<LevelRecord> levels;
    for (int i = 0; i < 5; ++i) {
      requests.push_back(RandomRecord(random));
      AppendLine(requests.back(), text);
      levels.push_back({.concurrency = i + 1, .ended_ns = 5, .client_cpu_ns = 7, .threads = 2});
      AppendLine(levels.back(), text);
    }
    const auto run = ParseRecords(text);
    ASSERT_TRUE(run) << run.error().message;
    EXPECT_EQ(run->header, testing::MakeHeader());
    EXPECT_EQ(run->requests, requests);
    EXPECT_EQ(run->levels, levels);
    EXPECT_FALSE(run->truncated);
  }
}

TEST(RecordJson, ACutLastLineIsARunThatWasKilled) {
  const std::string whole =
      HeaderLine() + Line(testing::MakeRecord({.id = 1})) + Line(testing::MakeRecord({.id = 2}));
  for (std::size_t cut = HeaderLine().size(); cut < whole.size(); ++cut) {
    const auto run = ParseRecords(whole.substr(0, cut));
    ASSERT_TRUE(run) << cut << ": " << run.error().message;
    EXPECT_LE(run->requests.size(), 2u);
  }
  const auto run = ParseRecords(whole.substr(0, whole.size() - 5));
  ASSERT_TRUE(run);
  EXPECT_TRUE(run->truncated);
  EXPECT_EQ(run->requests.size(), 1u);
}

TEST(RecordJson, LaterNamesAndKindsAreSkipped) {
  const auto run = ParseRecords(
      HeaderLine() + "{\"kind\":\"weather\",\"sun\":1}\n" +
      R"({"kind":"request","id":1,"concurrency":1,"scheduled_ns":0,"end_ns":9,"mood":{}})" + "\n");
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ(run->requests.size(), 1u);
}

struct BadLine {
  std::string line;
  std::string message;  // A part of it.
};

TEST(RecordJson, BadLinesAreNamedByNumberAndField) {
  const std::string start = R"({"kind":"request","id":1,"concurrency":1,"scheduled_ns":0,)";
  const BadLine cases[] = {
      {"nonsense", "line 2 is not JSON"},
      {"[]", "there is no \"kind\""},
      {R"({"kind":"request","concurrency":1,"scheduled_ns":0,"end_ns":1})", "\"id\" is missing"},
      {start + R"("end_ns":"soon"})", "\"end_ns\" is not an integer"},
      {start + R"("end_ns":-1})", "\"end_ns\" is not an integer from 0"},
      {start + R"("end_ns":1,"chunks":4294967296})", "\"chunks\" is not an integer"},
      {start + R"("end_ns":1,"error":"gremlins"})", "\"error\" is \"gremlins\""},
      {start + R"("end_ns":1,"gaps_ns":[1,"x"]})", "\"gaps_ns\" is not an integer"},
      {start + R"("end_ns":1,"gaps_ns":[1,2]})", "\"gaps_ns\" has 2 entries"},
      {start + R"("end_ns":1,"chunks":1})", "\"first_token_ns\""},
      {start + R"("end_ns":1,"chunks":2,"gaps_ns":[5],"first_token_ns":1,"last_token_ns":9})",
       "\"gaps_ns\" do not lead"},
      {start + R"("end_ns":1,"chunks":2,"gaps_ns":[9223372036854775807],"first_token_ns":1,)"
               R"("last_token_ns":0})",
       "\"gaps_ns\" do not lead"},
      {start + R"("end_ns":1,"streamed":3})", "\"streamed\" is not true or false"},
      {HeaderLine().substr(0, HeaderLine().size() - 1), "only the first line"},
  };
  for (const BadLine& bad : cases) {
    const auto run = ParseRecords(HeaderLine() + bad.line + "\n");
    ASSERT_FALSE(run) << bad.line;
    EXPECT_EQ(run.error().code, Code::kCorrupt);
    EXPECT_NE(run.error().message.find(bad.message), std::string::npos) << run.error().message;
    EXPECT_NE(run.error().message.find("line 2"), std::string::npos) << run.error().message;
  }
}

TEST(RecordJson, ForeignFilesAreRefused) {
  EXPECT_EQ(ParseRecords("").error().code, Code::kCorrupt);
  EXPECT_EQ(ParseRecords("hello\n").error().code, Code::kCorrupt);
  EXPECT_EQ(ParseRecords("{\"kind\":\"run\"}\n").error().code, Code::kCorrupt);
  EXPECT_EQ(ParseRecords("{\"kind\":\"run\",\"format\":2}\n").error().code, Code::kUnsupported);
}

}  // namespace
}  // namespace penstock::bench
