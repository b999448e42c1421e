#include "trace/files.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/test_folder.h"

namespace penstock::trace {
namespace {

TEST(Files, TellsFormatsByTheirContent) {
  const TestFolder folder;
  const auto table = ReadTrace(
      folder.Write("a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:17:03,1,2\n"),
      {});
  ASSERT_TRUE(table) << table.error().message;
  EXPECT_EQ(table->name, "a.csv");
  EXPECT_EQ(table->format, "azure");
  const auto lines = ReadTrace(
      folder.Write("b.jsonl", R"({"timestamp":0,"input_length":1,"output_length":2})"), {});
  ASSERT_TRUE(lines) << lines.error().message;
  EXPECT_EQ(lines->format, "lines");
}

TEST(Files, ReadsAFolderOfClients) {
  const TestFolder folder;
  folder.Write("chunk-10-trace.csv", "0,1,1,Gamma,1,1\n");
  folder.Write("chunk-10-dataset.json",
               R"({"0": {"input_tokens": "{5: 1}", "output_tokens": "{6: 1}"}})");
  folder.Write("chunk-2-trace.csv", "0,1,1,Weibull,1,1\n");
  folder.Write("chunk-2-dataset.json",
               R"({"0": {"input_tokens": "{5: 1}", "output_tokens": "{6: 1}"}})");
  const auto clients = ReadClients(folder.path());
  ASSERT_TRUE(clients) << clients.error().message;
  ASSERT_EQ(clients->size(), 2u);
  EXPECT_EQ(clients->front().number, 2);
  const auto trace = ReadTrace(folder.path(), {.draw = {.span_s = 300}});
  ASSERT_TRUE(trace) << trace.error().message;
  EXPECT_EQ(trace->format, "servegen");
  EXPECT_NEAR(static_cast<double>(trace->arrivals.size()), 600, 120);
}

TEST(Files, NamesThePathOfWhatItCannotRead) {
  const TestFolder folder;
  EXPECT_EQ(ReadTrace(folder.File("none.csv"), {}).error().code, Code::kNotFound);
  const std::string path = folder.Write("a.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\nx,1,2");
  EXPECT_EQ(ReadTrace(path, {}).error().message,
            "trace " + path + ": row 2, column TIMESTAMP: 'x' is not a time");
  std::filesystem::create_directory(folder.File("empty"));
  EXPECT_EQ(ReadTrace(folder.File("empty"), {}).error().code, Code::kNotFound);
  folder.Write("chunk-0-trace.csv", "0,1,1,Gamma,1,1\n");
  const auto without = ReadTrace(folder.path(), {});
  ASSERT_FALSE(without);
  EXPECT_NE(without.error().message.find("chunk-0-dataset.json"), std::string::npos);
}

}  // namespace
}  // namespace penstock::trace
