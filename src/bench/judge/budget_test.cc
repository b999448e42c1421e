#include "bench/judge/budget.h"

#include <gtest/gtest.h>

#include <string>

#include "bench/record/test_records.h"

namespace penstock::bench {
namespace {

using testing::kMs;
using testing::MakeRecord;

TEST(Budget, ReadsTermsOfEveryMetricUnitAndPercentile) {
  const auto budget = Budget::Parse(
      "ttft_p95<2s, tpot_p99.9 <= 100ms,latency_p50<1.5min,ttfo_p90<250us,errors<1%,"
      "normalised_latency_p95<30ms,request_p99<4s,ttft_service_p95<1s");
  ASSERT_TRUE(budget) << budget.error().message;
  ASSERT_EQ(budget->terms.size(), 8u);
  EXPECT_EQ(budget->terms[0].metric, Metric::kTtft);
  EXPECT_DOUBLE_EQ(budget->terms[0].quantile, 0.95);
  EXPECT_DOUBLE_EQ(budget->terms[0].bound_ms, 2000);
  EXPECT_DOUBLE_EQ(budget->terms[1].quantile, 0.999);
  EXPECT_DOUBLE_EQ(budget->terms[1].bound_ms, 100);
  EXPECT_DOUBLE_EQ(budget->terms[2].bound_ms, 90'000);
  EXPECT_DOUBLE_EQ(budget->terms[3].bound_ms, 0.25);
  EXPECT_EQ(budget->terms[4].kind, BudgetTerm::Kind::kErrors);
  EXPECT_DOUBLE_EQ(budget->terms[4].quantile, 0.99);
  EXPECT_EQ(budget->terms[7].metric, Metric::kTtftService);
  // What it writes reads as the same budget.
  EXPECT_EQ(*Budget::Parse(budget->Text()), *budget);
}

TEST(Budget, SaysWhatIsWrongAndWhatMayStandThere) {
  const struct {
    const char* text;
    const char* part;
  } cases[] = {
      {"", "empty"},
      {"ttft_p95", "has no '<'"},
      {"ttft<2s", "names no percentile: write ttft_p95<2s"},
      {"speed_p95<2s", "there is no metric speed; there are ttft"},
      {"ttft_p100<2s", "not above p99.99"},
      {"ttft_p0<2s", "above p0"},
      {"ttft_pxx<2s", "percentile"},
      {"ttft_p95<2", "is not a number with us, ms, s or min"},
      {"ttft_p95<2 hours", "is not a number"},
      {"ttft_p95<-2s", "is not a number"},
      {"ttft_p95<0s", "above 0"},
      {"ttft_p95<2000min", "24 hours"},
      {"errors<0%", "share"},
      {"errors<2s", "share"},
      {"ttft_p95<2s,", "has no '<'"},
      {"ttft_p95<2s,ttft_p95<3s", "bounded twice"},
  };
  for (const auto& [text, part] : cases) {
    SCOPED_TRACE(text);
    const auto budget = Budget::Parse(text);
    ASSERT_FALSE(budget);
    EXPECT_EQ(budget.error().field, "budget");
    EXPECT_NE(budget.error().message.find(part), std::string::npos) << budget.error().message;
  }
  std::string many = "ttft_p1<1s";
  for (int i = 2; i <= 17; ++i) many += ",ttft_p" + std::to_string(i) + "<1s";
  EXPECT_NE(Budget::Parse(many).error().message.find("more than 16"), std::string::npos);
}

TEST(Budget, ABoundItselfHoldsAndAFailureNeverDoes) {
  const Budget budget = *Budget::Parse("ttft_p95<100ms,tpot_p95<10ms");
  RequestRecord record = MakeRecord({.ttft_ms = 100, .gap_ms = 10});
  EXPECT_TRUE(Holds(budget, record));
  EXPECT_FALSE(Holds(budget, MakeRecord({.ttft_ms = 101, .gap_ms = 10})));
  EXPECT_FALSE(Holds(budget, MakeRecord({.ttft_ms = 100, .gap_ms = 11})));
  // A reply of one token has no TPOT that could be too long: not TPOT 0, and no failure either.
  EXPECT_TRUE(Holds(budget, MakeRecord({.ttft_ms = 100, .tokens = 1})));
  record.error = ErrorKind::kTruncated;
  EXPECT_FALSE(Holds(budget, record));
}

}  // namespace
}  // namespace penstock::bench
