#include "bench/self_test.h"

#include <gtest/gtest.h>

namespace penstock::bench {
namespace {

TEST(SelfTest, ErrorsAreThoseOfTheRecords) {
  const TimePoint start{std::chrono::seconds(5)};
  std::unordered_map<std::string, NullTruth> truth;
  truth["7"] = {.arrived = start + Duration(1'100),
                .written = {start + Duration(5'000), start + Duration(9'000)}};
  RequestRecord record{.id = 7,
                       .sent_ns = 1'000,
                       .first_token_ns = 5'300,
                       .last_token_ns = 9'100,
                       .gaps_ns = {3'800},
                       .chunks = 2,
                       .reads = 2};
  const auto salt = [](std::uint64_t id) { return std::to_string(id); };
  const SelfTest test = CompareWithTruth({record}, start, truth, salt);
  EXPECT_EQ(test.samples, 1);
  EXPECT_EQ(test.ttft_error_p50_ns, 400);  // 4,300 seen, 3,900 true.
  EXPECT_DOUBLE_EQ(test.ttft_bias_us, 0.4);
  EXPECT_EQ(test.stamp_error_p99_ns, 300);
  EXPECT_EQ(test.events_per_read, 1);
  record.id = 8;  // Unknown to the server: no sample.
  EXPECT_EQ(CompareWithTruth({record}, start, truth, salt).samples, 0);
}

TEST(SelfTest, MeasuresThisMachine) {
  const std::atomic<bool> stop = false;
  const auto test = RunSelfTest({.streams = 20, .tokens = 10}, stop);
  ASSERT_TRUE(test) << test.error().message;
  EXPECT_EQ(test->samples, 20);
  EXPECT_GT(test->stamp_error_p50_ns, 0);
  EXPECT_LE(test->stamp_error_p50_ns, test->stamp_error_p999_ns);
  EXPECT_GT(test->events_per_s_per_core, 0);
  EXPECT_LT(test->ttft_error_p50_ns, 50'000'000);
  EXPECT_NE(Describe(*test).find("20 streams"), std::string::npos);
}

}  // namespace
}  // namespace penstock::bench
