#include "page/numbers.h"

#include <gtest/gtest.h>

namespace penstock::page {
namespace {

TEST(Numbers, FiguresHaveThreeSignificantDigits) {
  EXPECT_EQ(Figure(0), "0");
  EXPECT_EQ(Figure(0.0004), "0");
  EXPECT_EQ(Figure(0.1284), "0.128");
  EXPECT_EQ(Figure(0.9996), "1.00");
  EXPECT_EQ(Figure(4.206), "4.21");
  EXPECT_EQ(Figure(9.996), "10.0");
  EXPECT_EQ(Figure(41.66), "41.7");
  EXPECT_EQ(Figure(99.96), "100");
  EXPECT_EQ(Figure(1234.4), "1,234");
  EXPECT_EQ(Figure(1234567), "1,234,567");
  EXPECT_EQ(Figure(-12.34), "-12.3");
}

TEST(Numbers, DurationsTakeTheUnitThatReadsBest) {
  EXPECT_EQ(DurationText(0.84), "840 µs");
  EXPECT_EQ(DurationText(12.34), "12.3 ms");
  EXPECT_EQ(DurationText(999.6), "1.00 s");
  EXPECT_EQ(DurationText(4210), "4.21 s");
  EXPECT_EQ(DurationText(200'000), "3 min 20 s");
  EXPECT_EQ(DurationText(7'500'000), "2 h 5 min");
}

TEST(Numbers, CountsHaveCommas) {
  EXPECT_EQ(Count(999), "999");
  EXPECT_EQ(Count(1000), "1,000");
  EXPECT_EQ(Count(-1234567), "-1,234,567");
}

TEST(Numbers, NounsFollowTheirNumber) {
  EXPECT_EQ(Counted(0, "request"), "0 requests");
  EXPECT_EQ(Counted(1, "request"), "1 request");
  EXPECT_EQ(Counted(1234, "minute"), "1,234 minutes");
}

TEST(Numbers, HundredthsAreGrouped) {
  EXPECT_EQ(Hundredths(0), "0.00");
  EXPECT_EQ(Hundredths(999.994), "999.99");
  EXPECT_EQ(Hundredths(999.996), "1,000.00");
  EXPECT_EQ(Hundredths(1234567.891), "1,234,567.89");
  EXPECT_EQ(Hundredths(-1234.5), "-1,234.50");
}

}  // namespace
}  // namespace penstock::page
