#include "app/host_use.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "base/test_folder.h"

namespace penstock::app {
namespace {

using std::chrono::seconds;

TEST(GpuReader, TellsOfEachGpu) {
  GpuReader reader(PENSTOCK_FAKE_NVML);
  for (int i = 0; i < 2; ++i) {
    const auto gpus = reader.Read();
    ASSERT_EQ(gpus.size(), 2u);
    EXPECT_EQ(gpus[0].busy_percent, 73);
    EXPECT_EQ(gpus[0].memory_percent, 37.5);
    EXPECT_LT(gpus[1].busy_percent, 0);  // It does not tell.
    EXPECT_EQ(gpus[1].memory_percent, 25);
  }
}

TEST(GpuReader, WithoutALibraryADriverOrAGpuThereIsNothing) {
  EXPECT_TRUE(GpuReader("libnvidia-ml-that-is-not-there.so.1").Read().empty());
  EXPECT_TRUE(GpuReader("libm.so.6").Read().empty());  // Another library altogether.
  for (const char* what : {"init", "count"}) {
    setenv("FAKE_NVML", what, 1);
    EXPECT_TRUE(GpuReader(PENSTOCK_FAKE_NVML).Read().empty()) << what;
  }
  unsetenv("FAKE_NVML");
}

class HostReaderTest : public testing::Test {
 protected:
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(folder_.File(name)) << text;
  }
  TestFolder folder_;
};

TEST_F(HostReaderTest, ProcessorsAreThoseOfTheLastMinute) {
  HostReader reader(folder_.path(), "none");
  Write("meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n");
  Write("stat", "cpu  600 0 0 300 100 0 0 0 0 0\ncpu0 0\n");
  const TimePoint start{seconds(1000)};
  const auto first = reader.Read(start);
  EXPECT_NEAR(first.cpu_percent, 60, 1e-9);  // Since the machine started.
  EXPECT_NEAR(first.memory_percent, 75, 1e-9);
  EXPECT_TRUE(first.gpus.empty());
  Write("stat", "cpu  650 0 0 350 100 0 0 0 0 0\n");  // Half of it, for the first half minute.
  EXPECT_NEAR(reader.Read(start + seconds(30)).cpu_percent, 100.0 * 650 / 1100, 1e-9);
  Write("stat", "cpu  660 0 0 440 100 0 0 0 0 0\n");
  EXPECT_NEAR(reader.Read(start + seconds(60)).cpu_percent, 30, 1e-9);  // 60 of 200.
  Write("stat", "cpu  760 0 0 440 100 0 0 0 0 0\n");
  EXPECT_NEAR(reader.Read(start + seconds(95)).cpu_percent, 55, 1e-9);  // 110 of 200, since 30.
}

TEST_F(HostReaderTest, WhatCannotBeReadIsNotTold) {
  HostReader reader(folder_.File("nowhere"), "none");
  const auto use = reader.Read(TimePoint{seconds(9)});
  EXPECT_LT(use.cpu_percent, 0);
  EXPECT_LT(use.memory_percent, 0);
}

}  // namespace
}  // namespace penstock::app
