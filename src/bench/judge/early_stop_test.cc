#include "bench/judge/early_stop.h"

#include <gtest/gtest.h>

#include <random>

#include "bench/record/test_records.h"

namespace penstock::bench {
namespace {

using testing::MakeRecord;

TEST(EarlyStop, TheLeastSamplesAreTheKnownOnes) {
  EXPECT_EQ(LeastSamples(0.90), 64);
  EXPECT_EQ(LeastSamples(0.95), 130);
  EXPECT_EQ(LeastSamples(0.99), 662);
  EXPECT_EQ(LeastSamples(0.999), 6636);
}

TEST(EarlyStop, BinomialAgreesWithSumsWorkedOutByHand) {
  EXPECT_DOUBLE_EQ(BinomialAtMost(1, 0, 0.25), 0.75);
  EXPECT_NEAR(BinomialAtMost(3, 1, 0.5), 0.5, 1e-12);
  EXPECT_NEAR(BinomialAtMost(10, 2, 0.1), 0.9298091736, 1e-10);
  EXPECT_EQ(BinomialAtMost(5, -1, 0.1), 0);
  EXPECT_EQ(BinomialAtMost(5, 5, 0.1), 1);
  EXPECT_NEAR(BinomialAtMost(1'000'000, 50'000, 0.05), 0.5, 2e-3);
}

TEST(EarlyStop, BeliefNeedsEvidenceOnBothSides) {
  EXPECT_EQ(BeliefIn(0, 0, 0.95), Belief::kUnsettled);
  EXPECT_EQ(BeliefIn(129, 0, 0.95), Belief::kUnsettled);
  EXPECT_EQ(BeliefIn(130, 0, 0.95), Belief::kHolds);
  EXPECT_EQ(BeliefIn(130, 1, 0.95), Belief::kUnsettled);
  EXPECT_EQ(BeliefIn(3, 3, 0.95), Belief::kBroken);  // 0.05³ is far below 1 %.
  EXPECT_EQ(BeliefIn(1, 1, 0.95), Belief::kUnsettled);
  EXPECT_EQ(BeliefIn(100'000, 5'000, 0.95), Belief::kUnsettled);
  EXPECT_EQ(BeliefIn(100'000, 5'200, 0.95), Belief::kBroken);
  EXPECT_EQ(BeliefIn(100'000, 4'800, 0.95), Belief::kHolds);
}

// Over many histories whose truth is known, the verdict is wrong in few of them, though it is taken
// as soon as it is clear.
TEST(EarlyStop, ErrsSeldomUnderRandomHistories) {
  const Budget budget = *Budget::Parse("ttft_p95<100ms");
  for (const bool good : {true, false}) {
    int wrong = 0;
    std::int64_t samples = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed) {
      SCOPED_TRACE(::testing::Message() << "seed=" << seed);
      std::mt19937_64 random(seed);
      ProbeJudge judge(budget, 0);
      // Twice as many over as may be, or half.
      const std::uint64_t over_per_mille = good ? 25 : 100;
      while (!judge.settled()) {
        judge.Add(MakeRecord({.ttft_ms = random() % 1000 < over_per_mille ? 101 : 99}));
      }
      samples += judge.samples();
      if (judge.Passes() != good) ++wrong;
    }
    EXPECT_LE(wrong, 20) << (good ? "good" : "bad");  // 5 %: 1 % a look, over correlated looks.
    EXPECT_LT(samples / 400, 700);
  }
}

TEST(EarlyStop, AHopelessProbeEndsAfterAFewRequests) {
  ProbeJudge judge(*Budget::Parse("ttft_p95<100ms,tpot_p95<10ms"), 0);
  for (int i = 0; i < 3; ++i) judge.Add(MakeRecord({.ttft_ms = 99, .gap_ms = 30}));
  EXPECT_TRUE(judge.settled());
  EXPECT_FALSE(judge.Passes());
  EXPECT_EQ(judge.terms()[0].belief, Belief::kUnsettled);
  EXPECT_EQ(judge.terms()[1].belief, Belief::kBroken);
}

TEST(EarlyStop, TheLimitOfSamplesEndsAProbeWithWhatWasSeen) {
  const Budget budget = *Budget::Parse("ttft_p90<100ms");
  ProbeJudge judge(budget, 20);
  for (int i = 0; i < 20; ++i) {
    EXPECT_FALSE(judge.settled());
    judge.Add(MakeRecord({.ttft_ms = i < 2 ? 101 : 99}));
  }
  EXPECT_TRUE(judge.settled());
  EXPECT_EQ(judge.belief(), Belief::kUnsettled);
  EXPECT_TRUE(judge.Passes());  // Exactly one in ten is over.
  EXPECT_EQ(DefaultSamplesMax(budget), 320);
}

TEST(EarlyStop, CancelledRequestsSayNothing) {
  ProbeJudge judge(*Budget::Parse("errors<5%"), 0);
  RequestRecord record = MakeRecord({});
  record.error = ErrorKind::kCancelled;
  for (int i = 0; i < 10; ++i) judge.Add(record);
  EXPECT_EQ(judge.samples(), 0);
  record.error = ErrorKind::kRateLimited;
  for (int i = 0; i < 3; ++i) judge.Add(record);
  EXPECT_EQ(judge.belief(), Belief::kBroken);
}

}  // namespace
}  // namespace penstock::bench
