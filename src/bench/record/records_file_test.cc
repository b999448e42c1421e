#include "bench/record/records_file.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "bench/record/test_records.h"

namespace penstock::bench {
namespace {

std::string PathFor(const std::string& name) {
  return (std::filesystem::path(::testing::TempDir()) / ("bench_" + name)).string();
}

TEST(RecordsFile, WhatIsWrittenIsRead) {
  const std::string path = PathFor("records.jsonl");
  const RunRecords sweep = testing::MakeSweep({1, 2, 4});
  {
    auto writer = RecordsWriter::Create(path, sweep.header);
    ASSERT_TRUE(writer) << writer.error().message;
    for (const RequestRecord& record : sweep.requests) ASSERT_TRUE(writer->Append(record));
    ASSERT_TRUE(writer->Append(LevelRecord{.concurrency = 4}));
  }
  const auto run = ReadRecords(path);
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ(run->header, sweep.header);
  EXPECT_EQ(run->requests, sweep.requests);
  EXPECT_EQ(run->levels.size(), 1u);
  std::filesystem::remove(path);
}

TEST(RecordsFile, TheHeaderIsOnDiskBeforeTheFirstRequestIs) {
  const std::string path = PathFor("header.jsonl");
  auto writer = RecordsWriter::Create(path, testing::MakeHeader());
  ASSERT_TRUE(writer);
  const auto run = ReadRecords(path);
  ASSERT_TRUE(run) << run.error().message;
  EXPECT_EQ(run->header, testing::MakeHeader());
  std::filesystem::remove(path);
}

TEST(RecordsFile, ErrorsNameThePath) {
  const std::string path = PathFor("missing/records.jsonl");
  const auto writer = RecordsWriter::Create(path, testing::MakeHeader());
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, Code::kInvalidArgument);
  EXPECT_NE(writer.error().message.find(path), std::string::npos);
  const auto run = ReadRecords(path);
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().code, Code::kNotFound);
  EXPECT_NE(run.error().message.find(path), std::string::npos);
}

TEST(RecordsFile, AFullDiskIsAnError) {
  auto writer = RecordsWriter::Create("/dev/full", testing::MakeHeader());
  ASSERT_FALSE(writer);
  EXPECT_EQ(writer.error().code, Code::kExhausted);
}

}  // namespace
}  // namespace penstock::bench
