#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <utility>

#include "base/random.h"

namespace penstock::engine {
namespace {

constexpr TimePoint kStart{std::chrono::hours(1)};
using std::chrono::milliseconds;

TEST(Scheduler, DecodesFirstThenPrefillWithinTheBudget) {
  Scheduler scheduler({.slots = 2, .queued_max = 4, .step_tokens_max = 10, .slot_tokens_max = 100});
  ASSERT_TRUE(scheduler.Enqueue({.id = 1, .prompt_tokens = 4, .output_tokens_max = 8}, kStart));
  const auto first = scheduler.Plan();
  ASSERT_EQ(first.size(), 1u);
  EXPECT_EQ(first[0].tokens, 4);
  EXPECT_TRUE(first[0].wants_output);
  EXPECT_FALSE(first[0].decoding);
  scheduler.Advance({});

  ASSERT_TRUE(scheduler.Enqueue({.id = 2, .prompt_tokens = 20, .output_tokens_max = 8}, kStart));
  const auto second = scheduler.Plan();
  ASSERT_EQ(second.size(), 2u);
  EXPECT_TRUE(second[0].decoding);
  EXPECT_EQ(second[0].position, 4);
  EXPECT_EQ(second[1].tokens, 9);  // What the decode left of 10.
  EXPECT_FALSE(second[1].wants_output);
  scheduler.Advance({});
  EXPECT_EQ(scheduler.cells_used(), 5 + 9);
}

TEST(Scheduler, RefusesBeyondItsQueueNamingTheLimit) {
  Scheduler scheduler({.slots = 1, .queued_max = 2, .step_tokens_max = 8, .slot_tokens_max = 100});
  for (RequestId id = 1; id <= 3; ++id) {
    ASSERT_TRUE(scheduler.Enqueue({.id = id, .prompt_tokens = 4, .output_tokens_max = 8}, kStart))
        << id;
  }
  const Status refused =
      scheduler.Enqueue({.id = 4, .prompt_tokens = 4, .output_tokens_max = 8}, kStart);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  EXPECT_EQ(refused.error().message, "3 requests are waiting already; the queue holds 2");
}

TEST(Scheduler, RefusesWhatNeverFits) {
  Scheduler scheduler({.slots = 1, .queued_max = 2, .step_tokens_max = 8, .slot_tokens_max = 10});
  EXPECT_TRUE(scheduler.Enqueue({.id = 1, .prompt_tokens = 5, .output_tokens_max = 5}, kStart));
  EXPECT_FALSE(scheduler.Enqueue({.id = 2, .prompt_tokens = 5, .output_tokens_max = 6}, kStart));
  EXPECT_FALSE(scheduler.Enqueue({.id = 3, .prompt_tokens = 0, .output_tokens_max = 1}, kStart));
}

TEST(Scheduler, WholePromptsAreNeverCut) {
  Scheduler scheduler({.slots = 4,
                       .queued_max = 4,
                       .step_tokens_max = 10,
                       .slot_tokens_max = 100,
                       .whole_prompts = true});
  EXPECT_FALSE(scheduler.Enqueue({.id = 9, .prompt_tokens = 11}, kStart));
  for (RequestId id = 1; id <= 3; ++id)
    ASSERT_TRUE(scheduler.Enqueue({.id = id, .prompt_tokens = 5}, kStart));
  const auto plan = scheduler.Plan();
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[0].tokens, 5);
  EXPECT_TRUE(plan[1].wants_output);
}

// Who starts, in order, when one slot serves jobs that arrived in the order given.
std::vector<RequestId> Starts(Scheduler& scheduler) {
  std::vector<RequestId> started;
  while (true) {
    const std::vector<Work> plan = scheduler.Plan();
    if (plan.empty()) return started;
    if (started.empty() || started.back() != plan[0].id) started.push_back(plan[0].id);
    scheduler.Advance(milliseconds{1});
    if (plan[0].wants_output) scheduler.Remove(plan[0].id);
  }
}

constexpr SchedulerLimits kOneSlot{
    .slots = 1, .queued_max = 100, .step_tokens_max = 64, .slot_tokens_max = 4096};

TEST(Scheduler, StartsDeadlinesFirstAndTheEarliestOfThem) {
  Scheduler scheduler(kOneSlot);
  const auto add = [&](RequestId id, std::optional<int> deadline_ms) {
    Job job{.id = id, .prompt_tokens = 10, .output_tokens_max = 1};
    if (deadline_ms) job.deadline = kStart + milliseconds{*deadline_ms};
    ASSERT_TRUE(scheduler.Enqueue(job, kStart));
  };
  add(1, std::nullopt);
  add(2, 900);
  add(3, 100);
  add(4, std::nullopt);
  add(5, 500);
  EXPECT_EQ(Starts(scheduler), (std::vector<RequestId>{3, 5, 2, 1, 4}));
}

TEST(Scheduler, DeadlinesLeaveOneStartOfEightToTheOthers) {
  Scheduler scheduler(kOneSlot);
  ASSERT_TRUE(scheduler.Enqueue({.id = 1, .prompt_tokens = 5, .output_tokens_max = 1}, kStart));
  for (RequestId id = 2; id < 20; ++id) {
    ASSERT_TRUE(scheduler.Enqueue(
        {.id = id, .prompt_tokens = 5, .output_tokens_max = 1, .deadline = kStart}, kStart));
  }
  const std::vector<RequestId> started = Starts(scheduler);
  EXPECT_EQ(started.at(Scheduler::kDeadlineStartsMax), 1u);
  EXPECT_EQ(started.size(), 19u);
}

TEST(Scheduler, ShortPromptsOvertakeLongOnesButNotForEver) {
  Scheduler scheduler(kOneSlot);
  ASSERT_TRUE(scheduler.Enqueue({.id = 1, .prompt_tokens = 2000, .output_tokens_max = 1}, kStart));
  ASSERT_TRUE(scheduler.Enqueue({.id = 2, .prompt_tokens = 20, .output_tokens_max = 1},
                                kStart + milliseconds{100}));
  ASSERT_TRUE(scheduler.Enqueue({.id = 3, .prompt_tokens = 20, .output_tokens_max = 1},
                                kStart + std::chrono::seconds{9}));
  EXPECT_EQ(Starts(scheduler), (std::vector<RequestId>{2, 1, 3}));
}

// Prompts turn out to be a hundred times faster than thought when the first came: what comes after
// that is due soon, but no sooner than its equals that came before.
TEST(Scheduler, EqualJobsStartAsTheyCameWhateverIsLearnedMeanwhile) {
  Scheduler scheduler(
      {.slots = 1, .queued_max = 64, .step_tokens_max = 512, .slot_tokens_max = 512});
  const StepShape prompt{.prefill_tokens = 100, .prefill_cells = 5050};
  for (int i = 0; i < 50; ++i) scheduler.Learn(prompt, milliseconds(1000));
  const Job job{.prompt_tokens = 100, .output_tokens_max = 1};
  for (RequestId id = 1; id <= 3; ++id) {
    Job one = job;
    one.id = id;
    ASSERT_TRUE(scheduler.Enqueue(one, kStart + id * milliseconds(1)));
  }
  for (int i = 0; i < 500; ++i) scheduler.Learn(prompt, milliseconds(10));
  Job last = job;
  last.id = 4;
  ASSERT_TRUE(scheduler.Enqueue(last, kStart + milliseconds(20)));
  EXPECT_EQ(Starts(scheduler), (std::vector<RequestId>{1, 2, 3, 4}));
}

TEST(Scheduler, AShortPromptOvertakesALongOneThatIsBeingComputed) {
  Scheduler scheduler(
      {.slots = 2, .queued_max = 4, .step_tokens_max = 64, .slot_tokens_max = 4096});
  ASSERT_TRUE(scheduler.Enqueue({.id = 1, .prompt_tokens = 2000, .output_tokens_max = 1}, kStart));
  EXPECT_EQ(scheduler.Plan()[0].tokens, 64);
  scheduler.Advance({});
  ASSERT_TRUE(scheduler.Enqueue({.id = 2, .prompt_tokens = 20, .output_tokens_max = 1},
                                kStart + milliseconds{100}));
  const auto plan = scheduler.Plan();
  ASSERT_EQ(plan.size(), 2u);
  EXPECT_EQ(plan[0].id, 2u);
  EXPECT_EQ(plan[0].tokens, 20);
  EXPECT_EQ(plan[1].tokens, 44);
}

TEST(Scheduler, SharesEvenlyBetweenCallersWhateverTheyAsk) {
  Scheduler scheduler(kOneSlot);
  RequestId id = 0;
  for (int i = 0; i < 60; ++i) {
    ASSERT_TRUE(scheduler.Enqueue(
        {.id = ++id, .prompt_tokens = 40, .output_tokens_max = 1, .caller = "greedy"}, kStart));
  }
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(scheduler.Enqueue(
        {.id = ++id, .prompt_tokens = 40, .output_tokens_max = 1, .caller = "modest"}, kStart));
  }
  const std::vector<RequestId> started = Starts(scheduler);
  // While both have something to do, they take turns.
  for (int i = 0; i < 40; i += 2) {
    EXPECT_NE(started.at(i) > 60, started.at(i + 1) > 60) << "at " << i;
  }
}

TEST(Scheduler, CutsPromptsToKeepTheStepTarget) {
  Scheduler scheduler({.slots = 4,
                       .queued_max = 4,
                       .step_tokens_max = 512,
                       .slot_tokens_max = 4096,
                       .step_target = milliseconds{50}});
  // A machine of 5 ms a pass, 1 ms a decode, 0.5 ms a prompt token.
  const auto took = [](const StepPlan& plan) {
    return std::chrono::microseconds(5000 + 1000 * plan.decodes + 500 * plan.shape.prefill_tokens);
  };
  for (RequestId id = 1; id <= 3; ++id) {
    ASSERT_TRUE(
        scheduler.Enqueue({.id = id, .prompt_tokens = 60, .output_tokens_max = 4000}, kStart));
  }
  for (int step = 0; step < 60; ++step) {
    scheduler.Plan();
    scheduler.Advance(took(scheduler.step()));
  }
  ASSERT_TRUE(scheduler.Enqueue({.id = 4, .prompt_tokens = 2000, .output_tokens_max = 10}, kStart));
  int steps = 0;
  while (scheduler.Position(3) < 2000) {
    const auto plan = scheduler.Plan();
    ASSERT_EQ(scheduler.step().decodes, 3) << "no decode is ever left out";
    if (++steps > 8) {  // Once it knows.
      EXPECT_LE(took(scheduler.step()), milliseconds{56}) << plan.back().tokens;
      if (scheduler.Position(3) < 1800) EXPECT_GE(plan.back().tokens, 60);
    }
    scheduler.Advance(took(scheduler.step()));
    ASSERT_LT(steps, 70);
  }
}

// A request that comes while a long prompt is computed waits for its step: that is bounded, too.
TEST(Scheduler, CutsPromptsWhereNothingDecodes) {
  Scheduler scheduler({.slots = 2,
                       .queued_max = 4,
                       .step_tokens_max = 512,
                       .slot_tokens_max = 4096,
                       .step_target = milliseconds{50},
                       .prefill_tokens_alone_min = 100});
  ASSERT_TRUE(scheduler.Enqueue({.id = 1, .prompt_tokens = 4000, .output_tokens_max = 4}, kStart));
  std::vector<int> chunks;
  while (scheduler.Position(0) < 4000) {
    chunks.push_back(scheduler.Plan().back().tokens);
    scheduler.Advance(milliseconds{5} + chunks.back() * milliseconds{1});
  }
  // 45 would keep the target; the last has what is left.
  ASSERT_GT(chunks.size(), 30U);
  for (std::size_t i = 8; i + 1 < chunks.size(); ++i) EXPECT_EQ(chunks[i], 100) << i;
}

TEST(Scheduler, PromptsComeToTheirEndWhereTheTargetCannotBeKept) {
  Scheduler scheduler({.slots = 2,
                       .queued_max = 4,
                       .step_tokens_max = 512,
                       .slot_tokens_max = 4096,
                       .step_target = milliseconds{1},
                       .prefill_tokens_min = 16});
  ASSERT_TRUE(scheduler.Enqueue({.id = 1, .prompt_tokens = 1, .output_tokens_max = 4000}, kStart));
  for (int step = 0; step < 20; ++step) {
    scheduler.Plan();
    scheduler.Advance(milliseconds{10});
  }
  ASSERT_TRUE(scheduler.Enqueue({.id = 2, .prompt_tokens = 160, .output_tokens_max = 4}, kStart));
  for (int step = 0; step < 10; ++step) {
    EXPECT_EQ(scheduler.Plan().back().tokens, 16);
    scheduler.Advance(milliseconds{10});
  }
  EXPECT_TRUE(scheduler.Plan().back().decoding);
}

// Places in a random free slot, at a random cached position, and sometimes defers.
class RandomPlacer : public Placer {
 public:
  explicit RandomPlacer(Random& random) : random_(random) {}
  std::optional<Placement> Place(const Job& job, std::span<const bool> free) override {
    if (random_.Below(4) == 0) return std::nullopt;
    std::vector<int> slots;
    for (std::size_t i = 0; i < free.size(); ++i) {
      if (free[i]) slots.push_back(static_cast<int>(i));
    }
    EXPECT_FALSE(slots.empty());
    last_ = {
        .slot = slots[random_.Below(slots.size())],
        .position = static_cast<int>(random_.Below(static_cast<std::uint64_t>(job.prompt_tokens)))};
    cached_[job.id] = last_.position;
    return last_;
  }
  int CachedOf(RequestId id) const { return cached_.at(id); }

 private:
  Random& random_;
  Placement last_;
  std::map<RequestId, int> cached_;
};

// Plays a random day and checks, after every step, what must always hold.
class Day {
 public:
  explicit Day(std::uint64_t seed)
      : random_(seed),
        limits_{.slots = 1 + static_cast<int>(random_.Below(6)),
                .queued_max = static_cast<int>(random_.Below(6)),
                .step_tokens_max = 6 + static_cast<int>(random_.Below(30)),
                .slot_tokens_max = 64,
                .step_target = milliseconds{random_.Below(2) * 5},
                .prefill_tokens_min = 1 + static_cast<int>(random_.Below(8))},
        placer_(random_),
        scheduler_(limits_, random_.Below(2) == 0 ? nullptr : &placer_) {}

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
    bool started = false;
  };

  void Arrive() {
    Job job{.id = ++last_id_,
            .prompt_tokens = 1 + static_cast<int>(random_.Below(40)),
            .output_tokens_max = static_cast<int>(random_.Below(20)),
            .caller = std::string(1, static_cast<char>('a' + random_.Below(3)))};
    if (random_.Below(3) == 0) job.deadline = now_ + milliseconds{random_.Below(100)};
    if (scheduler_.Enqueue(job, now_)) lengths_[job.id] = {job};
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
    std::set<RequestId> worked;
    for (const Work& work : plan) {
      ASSERT_TRUE(lengths_.contains(work.id));
      Length& length = lengths_[work.id];
      if (!std::exchange(length.started, true) && work.position > 0) {
        length.done = placer_.CachedOf(work.id);
      }
      ASSERT_EQ(work.position, length.done) << "positions follow each other";
      ASSERT_TRUE(slots.insert(work.slot).second) << "a slot has one job";
      ASSERT_FALSE(work.decoding && prefilling) << "decodes go first";
      prefilling |= !work.decoding;
      length.done += work.tokens;
      ASSERT_EQ(work.wants_output, length.done >= length.job.prompt_tokens);
      ASSERT_LE(length.done, limits_.slot_tokens_max);
      total += work.tokens;
      worked.insert(work.id);
    }
    for (const auto& [id, length] : lengths_) {
      const bool decoding = length.done >= length.job.prompt_tokens;
      ASSERT_TRUE(!decoding || worked.contains(id)) << "a decode was left out";
    }
    ASSERT_LE(total, limits_.step_tokens_max);
    ASSERT_TRUE(!plan.empty() || scheduler_.running() == 0) << "nobody waits while nothing runs";
    if (random_.Below(10) == 0) CancelOne();  // Between plan and advance.
    const Duration took = std::chrono::microseconds(100 + random_.Below(200) * plan.size());
    scheduler_.Advance(took);
    now_ += took;
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
  RandomPlacer placer_;
  Scheduler scheduler_;
  std::map<RequestId, Length> lengths_;
  RequestId last_id_ = 0;
  TimePoint now_ = kStart;
};

TEST(Scheduler, HoldsItsPromisesOnRandomDays) {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(seed);
    Day(seed).Play();
    if (HasFatalFailure()) return;
  }
}

// A caller that floods the engine, with deadlines or without, keeps nobody else waiting for ever.
TEST(Scheduler, NobodyStarvesBesideAFlood) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    Scheduler scheduler({.slots = 1 + static_cast<int>(random.Below(3)),
                         .queued_max = 40,
                         .step_tokens_max = 32,
                         .slot_tokens_max = 200});
    const bool promised = random.Below(2) == 0;
    TimePoint now = kStart;
    RequestId id = 0;
    const auto flood = [&] {
      while (scheduler.queued() < 38) {
        Job job{.id = ++id, .prompt_tokens = 8, .output_tokens_max = 2, .caller = "flood"};
        if (promised) job.deadline = now;
        ASSERT_TRUE(scheduler.Enqueue(job, now));
      }
    };
    flood();
    const RequestId victim = 1'000'000;
    ASSERT_TRUE(scheduler.Enqueue(
        {.id = victim, .prompt_tokens = 150, .output_tokens_max = 2, .caller = "victim"}, now));
    bool ended = false;
    for (int step = 0; step < 400 && !ended; ++step) {
      flood();
      const std::vector<Work> plan = scheduler.Plan();
      scheduler.Advance(milliseconds{10});
      now += milliseconds{10};
      for (const Work& work : plan) {
        if (!work.wants_output) continue;
        scheduler.Remove(work.id);
        ended |= work.id == victim;
      }
    }
    EXPECT_TRUE(ended);
  }
}

}  // namespace
}  // namespace penstock::engine
