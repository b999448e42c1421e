#include "bench/judge/verdict.h"

#include <gtest/gtest.h>

#include <cmath>

#include "bench/record/test_records.h"

namespace penstock::bench {
namespace {

using testing::MakeRecord;

std::vector<RequestRecord> Requests(int count, int slow) {
  std::vector<RequestRecord> records;
  for (int i = 0; i < count; ++i) {
    records.push_back(
        MakeRecord({.id = static_cast<std::uint64_t>(i), .ttft_ms = i < slow ? 300 : 100}));
  }
  return records;
}

std::vector<const RequestRecord*> Pointers(const std::vector<RequestRecord>& records) {
  std::vector<const RequestRecord*> pointers;
  for (const RequestRecord& record : records) pointers.push_back(&record);
  return pointers;
}

TEST(Verdict, SaysWhatEachTermSaw) {
  const Budget budget = *Budget::Parse("ttft_p95<200ms,tpot_p95<20ms,errors<5%");
  auto records = Requests(200, 0);
  records[5].phase = Phase::kWarmup;
  records[6].error = ErrorKind::kCancelled;
  const BudgetVerdict good = JudgeBudget(budget, Pointers(records), 0);
  EXPECT_TRUE(good.passes);
  EXPECT_TRUE(good.proven);
  EXPECT_LE(good.judged, 145);  // The least is 130; looks lie a tenth apart.
  EXPECT_GE(good.judged, 130);
  EXPECT_DOUBLE_EQ(good.terms[0].seen, 100);
  EXPECT_DOUBLE_EQ(good.terms[1].seen, 10);
  EXPECT_DOUBLE_EQ(good.terms[2].seen, 0);

  const auto slow = Requests(20, 20);
  const BudgetVerdict bad = JudgeBudget(budget, Pointers(slow), 0);
  EXPECT_FALSE(bad.passes);
  EXPECT_TRUE(bad.proven);
  EXPECT_FALSE(bad.terms[0].holds);
  EXPECT_DOUBLE_EQ(bad.terms[0].seen, 300);
  EXPECT_TRUE(bad.terms[1].holds);
}

TEST(Verdict, FailuresAreSlowerThanEverything) {
  auto records = Requests(10, 0);
  for (int i = 0; i < 3; ++i) records[static_cast<std::size_t>(i)].error = ErrorKind::kRateLimited;
  const BudgetVerdict verdict =
      JudgeBudget(*Budget::Parse("ttft_p95<200ms,errors<5%"), Pointers(records), 10);
  EXPECT_FALSE(verdict.passes);
  EXPECT_TRUE(std::isinf(verdict.terms[0].seen));
  EXPECT_DOUBLE_EQ(verdict.terms[1].seen, 0.3);
}

TEST(Verdict, FewSamplesDecideWithoutProof) {
  const auto records = Requests(20, 1);
  const BudgetVerdict verdict =
      JudgeBudget(*Budget::Parse("ttft_p95<200ms"), Pointers(records), 20);
  EXPECT_TRUE(verdict.passes);
  EXPECT_FALSE(verdict.proven);
  EXPECT_FALSE(JudgeBudget(*Budget::Parse("ttft_p95<200ms"), {}, 20).passes);
  EXPECT_EQ(JudgeBudget({}, Pointers(records), 20).judged, 0);
}

TEST(Verdict, RecommendsWholeChunks) {
  const auto provision = Recommend(11'106, 5'000, 980);
  ASSERT_TRUE(provision);
  EXPECT_EQ(provision->max_tokens_per_s, 12 * 980);
  EXPECT_EQ(provision->min_tokens_per_s, 6 * 980);
  // Exactly a multiple is that multiple, and never less than one chunk.
  EXPECT_EQ(Recommend(1960, 10, 980)->max_tokens_per_s, 1960);
  EXPECT_EQ(Recommend(1960, 10, 980)->min_tokens_per_s, 980);
  // Without a chunk: tokens/s. The balanced point above the most is no reason for a wider range.
  EXPECT_EQ(Recommend(1500.2, 9000, 0)->max_tokens_per_s, 1501);
  EXPECT_EQ(Recommend(1500.2, 9000, 0)->min_tokens_per_s, 1501);
  EXPECT_FALSE(Recommend(0, 0, 980));
}

}  // namespace
}  // namespace penstock::bench
