#include "bench/schedule/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

namespace penstock::bench {
namespace {

constexpr std::int64_t kSecond = 1'000'000'000;

RatePlan Flat(Spacing spacing, double rate_per_s, std::int64_t seconds) {
  return {
      .spacing = spacing,
      .stages = {{.from_per_s = rate_per_s, .to_per_s = rate_per_s, .span_ns = seconds * kSecond}}};
}

std::vector<double> GapsOf(const Schedule& schedule) {
  std::vector<double> gaps;
  for (std::size_t i = 1; i < schedule.dues.size(); ++i) {
    gaps.push_back(static_cast<double>(schedule.dues[i].at_ns - schedule.dues[i - 1].at_ns) * 1e-9);
  }
  return gaps;
}

double MeanOf(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

double VariationOf(const std::vector<double>& values) {
  const double mean = MeanOf(values);
  double squares = 0;
  for (const double value : values) squares += (value - mean) * (value - mean);
  return std::sqrt(squares / static_cast<double>(values.size())) / mean;
}

TEST(Schedule, ConstantIsEvenlyApartFromZero) {
  const auto schedule = MakeSchedule(Flat(Spacing::kConstant, 4, 10));
  ASSERT_TRUE(schedule);
  ASSERT_EQ(schedule->dues.size(), 40u);
  for (std::size_t i = 0; i < 40; ++i) {
    EXPECT_EQ(schedule->dues[i].at_ns, static_cast<std::int64_t>(i) * kSecond / 4);
  }
  EXPECT_EQ(schedule->span_ns, 10 * kSecond);
}

TEST(Schedule, PoissonAndGammaHaveTheirMeansAndVariations) {
  const auto poisson = MakeSchedule(Flat(Spacing::kPoisson, 100, 1000));
  ASSERT_TRUE(poisson);
  EXPECT_NEAR(static_cast<double>(poisson->dues.size()), 100'000, 1'500);
  EXPECT_NEAR(VariationOf(GapsOf(*poisson)), 1, 0.02);
  for (const double burstiness : {0.25, 4.0}) {
    RatePlan plan = Flat(Spacing::kGamma, 100, 1000);
    plan.burstiness = burstiness;
    const auto gamma = MakeSchedule(plan);
    ASSERT_TRUE(gamma);
    EXPECT_NEAR(MeanOf(GapsOf(*gamma)), 0.01, 0.0003) << burstiness;
    EXPECT_NEAR(VariationOf(GapsOf(*gamma)), 1 / std::sqrt(burstiness), 0.05) << burstiness;
  }
}

TEST(Schedule, RampsAndStepsFollowTheirRates) {
  const RatePlan ramp{.spacing = Spacing::kConstant,
                      .stages = {{.from_per_s = 0, .to_per_s = 20, .span_ns = 100 * kSecond}}};
  const auto rising = MakeSchedule(ramp);
  ASSERT_TRUE(rising);
  EXPECT_NEAR(static_cast<double>(rising->dues.size()), 1000, 1);
  // Half of the time holds a quarter of the arrivals.
  const auto early =
      std::ranges::count_if(rising->dues, [](const Due& due) { return due.at_ns < 50 * kSecond; });
  EXPECT_NEAR(static_cast<double>(early), 250, 2);

  const RatePlan steps{.spacing = Spacing::kPoisson,
                       .stages = {{.from_per_s = 10, .to_per_s = 10, .span_ns = 100 * kSecond},
                                  {.from_per_s = 40, .to_per_s = 40, .span_ns = 100 * kSecond}}};
  const auto stepped = MakeSchedule(steps);
  ASSERT_TRUE(stepped);
  EXPECT_EQ(stepped->span_ns, 200 * kSecond);
  const auto first = std::ranges::count_if(
      stepped->dues, [](const Due& due) { return due.at_ns < 100 * kSecond; });
  EXPECT_NEAR(static_cast<double>(first), 1000, 120);
  EXPECT_NEAR(static_cast<double>(std::ssize(stepped->dues) - first), 4000, 250);
}

// Any plan: in order of time, inside the span, and the whole of its parts.
TEST(Schedule, HoldsItsPromisesForRandomPlans) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    RatePlan plan{.spacing = static_cast<Spacing>(random.Below(3)),
                  .burstiness = 0.05 + 4 * random.Uniform(),
                  .seed = seed};
    for (std::uint64_t stage = 0; stage <= random.Below(3); ++stage) {
      plan.stages.push_back({.from_per_s = 100 * random.Uniform(),
                             .to_per_s = 0.1 + 100 * random.Uniform(),
                             .span_ns = 1 + static_cast<std::int64_t>(random.Below(5 * kSecond))});
    }
    if (random.Below(2) == 0) plan.requests_max = 1 + static_cast<std::int64_t>(random.Below(50));
    const auto schedule = MakeSchedule(plan);
    ASSERT_TRUE(schedule);
    std::int64_t last = 0;
    for (const Due& due : schedule->dues) {
      ASSERT_GE(due.at_ns, last);
      ASSERT_LT(due.at_ns, schedule->span_ns);
      last = due.at_ns;
    }
    if (plan.requests_max > 0) {
      EXPECT_LE(std::ssize(schedule->dues), plan.requests_max);
    }
    EXPECT_EQ(Digest(*schedule), Digest(*MakeSchedule(plan)));
    std::set<std::uint64_t> numbers;
    const int parts = 1 + static_cast<int>(random.Below(4));
    for (int part = 0; part < parts; ++part) {
      for (const NumberedDue& due : PartOf(*schedule, part, parts)) {
        EXPECT_TRUE(numbers.insert(due.number).second);
        EXPECT_EQ(due.due, schedule->dues[due.number]);
      }
    }
    EXPECT_EQ(numbers.size(), schedule->dues.size());
  }
}

// Golden: equal to the nanosecond on every machine, compiler and library.
TEST(Schedule, IsTheSameOnEveryMachine) {
  const auto digest = [](Spacing spacing, double burstiness, Stage stage) {
    return Digest(*MakeSchedule(
        {.spacing = spacing, .burstiness = burstiness, .stages = {stage}, .seed = 20'261'125}));
  };
  const Stage flat{.from_per_s = 7.3, .to_per_s = 7.3, .span_ns = 1000 * kSecond};
  const Stage ramp{.from_per_s = 0.5, .to_per_s = 33, .span_ns = 700 * kSecond};
  EXPECT_EQ(digest(Spacing::kConstant, 1, flat), 3621815335997602695u);
  EXPECT_EQ(digest(Spacing::kPoisson, 1, flat), 8460847496100618232u);
  EXPECT_EQ(digest(Spacing::kGamma, 0.3, flat), 14655335883164960592u);
  EXPECT_EQ(digest(Spacing::kPoisson, 1, ramp), 16034961891600568164u);

  const auto first = MakeSchedule({.stages = {flat}, .seed = 1});
  ASSERT_GE(first->dues.size(), 3u);
  EXPECT_EQ(first->dues[0].at_ns, 114'521'306);
  EXPECT_EQ(first->dues[1].at_ns, 302'132'561);
  EXPECT_EQ(first->dues[2].at_ns, 787'140'013);
}

TEST(Schedule, ReplaysATrace) {
  const trace::Trace trace{
      .block_tokens = 512,
      .arrivals = {{.at_ns = 0, .input_tokens = 600, .output_tokens = 0, .blocks = {1, 2}},
                   {.at_ns = 5, .input_tokens = 7, .output_tokens = 8, .blocks = {1}}}};
  const auto schedule = MakeSchedule(trace);
  ASSERT_TRUE(schedule);
  EXPECT_EQ(schedule->dues[0], (Due{.at_ns = 0, .input_tokens = 600, .output_tokens = 1}));
  EXPECT_EQ(schedule->dues[1], (Due{.at_ns = 5, .input_tokens = 7, .output_tokens = 8}));
  EXPECT_EQ(schedule->span_ns, 6);
  EXPECT_EQ(schedule->blocks[0], (std::vector<std::int64_t>{1, 2}));
  EXPECT_FALSE(MakeSchedule(trace::Trace{}));
}

TEST(Schedule, NamesWhatIsWrong) {
  const auto field = [](const RatePlan& plan) {
    const auto schedule = MakeSchedule(plan);
    return schedule ? std::string("none") : schedule.error().field;
  };
  EXPECT_EQ(field({}), "rate");
  EXPECT_EQ(field(Flat(Spacing::kPoisson, 0, 1)), "rate");
  EXPECT_EQ(field(Flat(Spacing::kPoisson, -1, 1)), "rate");
  EXPECT_EQ(field(Flat(Spacing::kPoisson, 1, 0)), "duration");
  RatePlan plan = Flat(Spacing::kGamma, 1, 1);
  plan.burstiness = 0;
  EXPECT_EQ(field(plan), "burstiness");
  EXPECT_EQ(field(Flat(Spacing::kConstant, kRateMax, 10)), "requests");
}

}  // namespace
}  // namespace penstock::bench
