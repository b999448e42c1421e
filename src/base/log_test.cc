#include "base/log.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(Log, RefusesAnUnknownLevel) {
  EXPECT_TRUE(SetLogLevel("warn"));
  EXPECT_FALSE(SetLogLevel("loud"));
  EXPECT_EQ(Log().level(), spdlog::level::warn);
  EXPECT_TRUE(SetLogLevel("info"));
}

}  // namespace
}  // namespace penstock
