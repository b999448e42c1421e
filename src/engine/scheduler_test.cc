#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/random.h"

namespace penstock::engine {
namespace {

TEST(Scheduler, DecodesFirstThenPrefillWithinTheBudget) {
  Scheduler scheduler({.slots = 2, .queued_max = 4, .step_tokens_max = 10, .slot_tokens_max = 100});
  ASSERT_TRUE(scheduler.Enqueue({.id = 1, .prompt_tokens = 4, .output_tokens_max = 8}));
  const auto first = scheduler.Plan();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].tokens, 4);
  EXPECT_TRUE(first[0].wants_output);
  EXPECT_FALSE(first[0].decoding);
  scheduler.Advance();

  ASSERT_TRUE(scheduler.Enqueue({.id = 2, .prompt_tokens = 20, .output_tokens_max = 8}));
  const auto second = scheduler.Plan();
  ASSERT_EQ(second.size(), 2u);
  EXPECT_TRUE(second[0].decoding);
  EXPECT_EQ(second[0].position, 4);
  EXPECT_EQ(second[1].tokens, 9);  // What the decode left of 10.
  EXPECT_FALSE(second[1].wants_output);
  scheduler.Advance();
  EXPECT_EQ(scheduler.cells_used(), 5 + 9);
}

TEST(Scheduler, RefusesBeyondItsQueueNamingTheLimit) {
  Scheduler scheduler({.slots = 1, .queued_max = 2, .step_tokens_max = 8, .slot_tokens_max = 100});
  for (RequestId id = 1; id <= 3; ++id) {
    ASSERT_TRUE(scheduler.Enqueue({.id = id, .prompt_tokens = 4, .output_tokens_max = 8})) << id;
  }
  const Status refused = scheduler.Enqueue({.id = 4, .prompt_tokens = 4, .output_tokens_max = 8});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_EQ(refused.error().message, "3 requests are waiting already; the queue holds 2");
}

TEST(Scheduler, RefusesWhatNeverFits) {
  Scheduler scheduler({.slots = 1, .queued_max = 2, .step_tokens_max = 8, .slot_tokens_max = 10});
  EXPECT_TRUE(scheduler.Enqueue({.id = 1, .prompt_tokens = 5, .output_tokens_max = 5}));
  EXPECT_FALSE(scheduler.Enqueue({.id = 2, .prompt_tokens = 5, .output_tokens_max = 6}));
  EXPECT_FALSE(scheduler.Enqueue({.id = 3, .prompt_tokens = 0, .output_tokens_max = 1}));
}

TEST(Scheduler, WholePromptsAreNeverCut) {
  Scheduler scheduler({.slots = 4,
                       .queued_max = 4,
                       .step_tokens_max = 10,
                       .slot_tokens_max = 100,
                       .whole_prompts = true});
  EXPECT_FALSE(scheduler.Enqueue({.id = 9, .prompt_tokens = 11}));
  for (RequestId id = 1; id <= 3; ++id)
    ASSERT_TRUE(scheduler.Enqueue({.id = id, .prompt_tokens = 5}));
  const auto plan = scheduler.Plan();
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[0].tokens, 5);
  EXPECT_TRUE(plan[1].wants_output);
}

// Plays a random day and checks, after every step, what must always hold.
class Day {
 public:
  explicit Day(std::uint64_t seed)
      : random_(seed),
        limits_{.slots = 1 + static_cast<int>(random_.Below(6)),
                .queued_max = static_cast<int>(random_.Below(6)),
                .step_tokens_max = 6 + static_cast<int>(random_.Below(30)),
                .slot_tokens_max = 64},
        scheduler_(limits_) {}

  void Play() {
    for (int step = 0; step < 200; ++step) {
      for (std::uint64_t i = random_.Below(3); i > 0; --i) Arrive();
      if (random_.Below(8) == 0) CancelOne();
      Step();
      if (testing::Test::HasFatalFailure()) return;
    }
    for (int step = 0; step < 3000 && !lengths_.empty(); ++step) Step();
    EXPECT_TRUE(lengths_.empty()) << "a job never ended";
    EXPECT_EQ(scheduler_.running(), 0);
    EXPECT_EQ(scheduler_.cells_used(), 0);
  }

 private:
  struct Length {
    Job job;
    int done = 0;
  };

  void Arrive() {
    const Job job{.id = ++last_id_,
                  .prompt_tokens = 1 + static_cast<int>(random_.Below(40)),
                  .output_tokens_max = static_cast<int>(random_.Below(20))};
    if (scheduler_.Enqueue(job)) lengths_[job.id] = {job};
    ASSERT_LE(scheduler_.queued() + scheduler_.running(), limits_.slots + limits_.queued_max);
  }

  void CancelOne() {
    if (lengths_.empty()) return;
    auto victim = lengths_.begin();
    std::advance(victim, static_cast<long>(random_.Below(lengths_.size())));
    scheduler_.Remove(victim->first);
    lengths_.erase(victim);
  }

  void Step() {
    const std::vector<Work> plan = scheduler_.Plan();
    int total = 0;
    bool prefilling = false;
    std::set<int> slots;
    for (const Work& work : plan) {
      ASSERT_TRUE(lengths_.contains(work.id));
      Length& length = lengths_[work.id];
      ASSERT_EQ(work.position, length.done) << "positions follow each other";
      ASSERT_TRUE(slots.insert(work.slot).second) << "a slot has one job";
      ASSERT_FALSE(work.decoding && prefilling) << "decodes go first";
      prefilling |= !work.decoding;
      length.done += work.tokens;
      ASSERT_EQ(work.wants_output, length.done >= length.job.prompt_tokens);
      ASSERT_LE(length.done, limits_.slot_tokens_max);
      total += work.tokens;
    }
    ASSERT_LE(total, limits_.step_tokens_max);
    ASSERT_TRUE(!plan.empty() || lengths_.empty()) << "nobody waits while nothing runs";
    if (random_.Below(10) == 0) CancelOne();  // Between plan and advance.
    scheduler_.Advance();
    for (const Work& work : plan) {
      const auto found = lengths_.find(work.id);
      if (found == lengths_.end()) continue;
      const Job& job = found->second.job;
      if (found->second.done >= job.prompt_tokens + job.output_tokens_max) {
        EXPECT_EQ(scheduler_.Remove(work.id), work.slot);
        lengths_.erase(found);
      }
    }
  }

  Random random_;
  SchedulerLimits limits_;
  Scheduler scheduler_;
  std::map<RequestId, Length> lengths_;
  RequestId last_id_ = 0;
};

TEST(Scheduler, HoldsItsPromisesOnRandomDays) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    Day(seed).Play();
    if (HasFatalFailure()) return;
  }
}

}  // namespace
}  // namespace penstock::engine
