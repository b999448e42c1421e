#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/test_folder.h"

namespace penstock {
namespace {

TEST(WriteFileDurably, ReplacesWithTheModeAsked) {
  const TestFolder folder;
  const std::string path = folder.Write("key", "old");
  folder.Write("key.new", "left by a killed process");
  ASSERT_TRUE(WriteFileDurably(path, "new", 0600));
  struct stat found{};
  ASSERT_EQ(stat(path.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600u);
  EXPECT_EQ(ReadSmallFile(path, 100), "new");
  EXPECT_FALSE(std::filesystem::exists(path + ".new"));
}

TEST(WriteFileDurably, SaysWhatFailed) {
  const auto written = WriteFileDurably("/nowhere/at/all", "x", 0600);
  ASSERT_FALSE(written);
  EXPECT_EQ(written.error().code, Code::kInvalidArgument);
  EXPECT_NE(written.error().message.find("/nowhere/at/all"), std::string::npos);
}

TEST(ReadSmallFile, KeepsToItsLimit) {
  const TestFolder folder;
  const std::string path = folder.Write("file", "12345");
  EXPECT_EQ(ReadSmallFile(path, 5), "12345");
  EXPECT_EQ(ReadSmallFile(path, 4).error().code, Code::kTooLarge);
  EXPECT_EQ(ReadSmallFile(folder.path(), 4).error().code, Code::kInvalidArgument);
}

}  // namespace
}  // namespace penstock
