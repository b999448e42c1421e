#include "plan/sim_replica.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

namespace penstock::plan {
namespace {

constexpr policy::StepTimes kStep{.fixed_s = 0.010,
                                  .per_prefill_token_s = 0.0001,
                                  .per_decode_sequence_s = 0.001,
                                  .per_context_token_s = 0.000001};

std::vector<SimReplica::Happening> RunOut(SimReplica& replica) {
  std::vector<SimReplica::Happening> happened;
  while (!replica.idle()) replica.Advance(replica.NextEvent(), happened);
  return happened;
}

TEST(SimReplica, OneRequestTakesItsStepsOneAfterAnother) {
  SimReplica replica({.fixed_s = 0.01, .per_prefill_token_s = 0.0001}, 512);
  replica.Add(7, 1024, 11, 5);
  const auto happened = RunOut(replica);
  ASSERT_EQ(happened.size(), 2u);
  EXPECT_EQ(happened[0].request, 7u);
  EXPECT_NEAR(happened[0].at, 5 + 2 * (0.01 + 0.0512), 1e-9);  // Two chunks.
  EXPECT_FALSE(happened[0].is_end);
  EXPECT_NEAR(happened[1].at, happened[0].at + 10 * 0.01, 1e-9);
  EXPECT_TRUE(happened[1].is_end);
  EXPECT_NEAR(replica.busy_s(), happened[1].at - 5, 1e-9);
}

TEST(SimReplica, AReplyOfOneTokenEndsWithItsFirst) {
  SimReplica replica(kStep, 512);
  replica.Add(1, 10, 1, 0);
  const auto happened = RunOut(replica);
  ASSERT_EQ(happened.size(), 2u);
  EXPECT_EQ(happened[0].at, happened[1].at);
}

// Stepping token by token, the obvious way.
struct Obvious {
  struct Sequence {
    std::uint32_t request;
    double prompt;
    int input, output, made = 0;
  };
  std::vector<Sequence> running;
  std::map<std::uint32_t, double> first, end;
  double now = 0;

  void Step(double budget) {
    double seconds = kStep.fixed_s;
    for (Sequence& s : running) {
      if (s.prompt > 0) continue;
      seconds += kStep.per_decode_sequence_s + (s.input + s.made) * kStep.per_context_token_s;
    }
    std::vector<Sequence*> filled;
    for (Sequence& s : running) {
      if (s.prompt <= 0 || budget <= 0) continue;
      const double taken = std::min(budget, s.prompt);
      seconds += taken * kStep.per_prefill_token_s;
      s.prompt -= taken;
      budget -= taken;
      if (s.prompt <= 0)
        filled.push_back(&s);
      else
        break;
    }
    now += seconds;
    for (Sequence& s : running) {
      if (s.prompt > 0) continue;
      if (s.made++ == 0) first[s.request] = now;
      if (s.made == s.output) end[s.request] = now;
    }
    std::erase_if(running, [](const Sequence& s) { return s.made == s.output; });
  }
};

// Stretches of steps give what single steps give, but for the rounding of prompts to whole steps.
TEST(SimReplica, AgreesWithSingleStepsWithinAFewPercent) {
  double relative = 0;
  int count = 0;
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    SimReplica replica(kStep, 256);
    Obvious obvious;
    const int requests = 1 + static_cast<int>(random() % 12);
    for (int i = 0; i < requests; ++i) {
      const int input = 200 + static_cast<int>(random() % 2000);
      const int output = 20 + static_cast<int>(random() % 200);
      replica.Add(static_cast<std::uint32_t>(i), input, output, 0);
      obvious.running.push_back(
          {static_cast<std::uint32_t>(i), static_cast<double>(input), input, output});
    }
    while (!obvious.running.empty()) obvious.Step(256);
    for (const auto& happening : RunOut(replica)) {
      const double truth =
          happening.is_end ? obvious.end[happening.request] : obvious.first[happening.request];
      EXPECT_NEAR(happening.at, truth, 0.05 * truth + 0.05);
      relative += std::abs(happening.at - truth) / truth;
      ++count;
    }
  }
  EXPECT_LT(relative / count, 0.02);
}

TEST(SimReplica, AFailureLosesEverythingUnderWay) {
  SimReplica replica(kStep, 512);
  replica.Add(1, 10, 100, 0);
  std::vector<SimReplica::Happening> happened;
  replica.Advance(replica.NextEvent(), happened);
  replica.Add(2, 10'000, 5, 0.05);
  std::vector<std::uint32_t> begun;
  std::vector<std::uint32_t> waiting;
  replica.Fail(begun, waiting);
  EXPECT_EQ(begun, std::vector<std::uint32_t>{1});
  EXPECT_EQ(waiting, std::vector<std::uint32_t>{2});
  EXPECT_TRUE(replica.idle());
  EXPECT_EQ(replica.NextEvent(), SimReplica::kNever);
}

}  // namespace
}  // namespace penstock::plan
