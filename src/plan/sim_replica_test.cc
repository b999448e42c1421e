#include "plan/sim_replica.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>

namespace penstock::plan {
namespace {

const StepModel kModel{.decode = {{.sequences = 1, .seconds = 0.011},
                                  {.sequences = 4, .seconds = 0.013},
                                  {.sequences = 8, .seconds = 0.020}},
                       .per_decode_cell_s = 0.000001,
                       .prefill_pass_s = 0.005,
                       .per_prefill_token_s = 0.0001,
                       .per_prefill_cell_s = 0.00000001,
                       .slots = 5,
                       .step_target_s = 0.040,
                       .step_tokens_max = 400};

std::vector<SimReplica::Happening> RunOut(SimReplica& replica) {
  std::vector<SimReplica::Happening> happened;
  while (!replica.idle()) replica.Advance(happened);
  return happened;
}

TEST(SimReplica, OneRequestTakesItsStepsOneAfterAnother) {
  const StepModel model = ModelOf({.fixed_s = 0.01, .per_prefill_token_s = 0.0001}, 512);
  SimReplica replica(model);
  replica.Add({.id = 7, .input_tokens = 1024, .output_tokens = 11}, 5);
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
  SimReplica replica(kModel);
  replica.Add({.id = 1, .input_tokens = 10, .output_tokens = 1}, 0);
  const auto happened = RunOut(replica);
  ASSERT_EQ(happened.size(), 2u);
  EXPECT_EQ(happened[0].at, happened[1].at);
}

TEST(SimReplica, WhatIsCachedIsNotComputed) {
  const StepModel model = ModelOf({.fixed_s = 0.01, .per_prefill_token_s = 0.0001}, 512);
  SimReplica replica(model);
  replica.Add({.id = 1, .input_tokens = 1024, .output_tokens = 1, .cached_tokens = 1000}, 0);
  EXPECT_NEAR(replica.NextEvent(), 0.01 + 24 * 0.0001, 1e-12);
}

TEST(SimReplica, WhatArrivesWithinAStepJoinsTheNext) {
  const StepModel model = ModelOf({.fixed_s = 0.01, .per_prefill_token_s = 0.0001}, 512);
  SimReplica replica(model);
  replica.Add({.id = 1, .input_tokens = 100, .output_tokens = 100}, 0);
  std::vector<SimReplica::Happening> happened;
  replica.Advance(happened);  // At 0.02: its first token.
  replica.Add({.id = 2, .input_tokens = 100, .output_tokens = 2}, 0.055);
  EXPECT_NEAR(replica.NextEvent(), 0.06, 1e-12);
  replica.Advance(happened);
  EXPECT_NEAR(replica.NextEvent(), 0.08, 1e-12);
  replica.Advance(happened);
  ASSERT_EQ(happened.size(), 2u);
  EXPECT_EQ(happened[1].request, 2u);
  EXPECT_NEAR(happened[1].at, 0.08, 1e-12);
}

TEST(SimReplica, TheEngineHasARequestAfterItsOverhead) {
  StepModel model = ModelOf({.fixed_s = 0.01, .per_prefill_token_s = 0.0001}, 512);
  model.overhead_s = 0.003;
  SimReplica replica(model);
  replica.Add({.id = 1, .input_tokens = 100, .output_tokens = 1}, 1);
  EXPECT_NEAR(replica.NextEvent(), 1.023, 1e-12);
  EXPECT_EQ(replica.busy_s(), 0);
  RunOut(replica);
  EXPECT_NEAR(replica.busy_s(), 0.02, 1e-12);
}

// Waking is felt for a second, also after a short pause, and not by who never slept.
TEST(SimReplica, StepsAreSlowerForAWhileAfterASleep) {
  StepModel model = ModelOf({.fixed_s = 0.01}, 512);
  model.wake_pace = 1.5;
  SimReplica replica(model);
  replica.Add({.id = 1, .input_tokens = 9, .output_tokens = 2}, 0);  // Awake: 0.01 a step.
  EXPECT_NEAR(RunOut(replica).back().at, 0.02, 1e-12);
  replica.Add({.id = 2, .input_tokens = 9, .output_tokens = 2}, 1);
  EXPECT_NEAR(RunOut(replica).back().at, 1.03, 1e-12);
  replica.Add({.id = 3, .input_tokens = 9, .output_tokens = 1}, 1.05);
  EXPECT_NEAR(RunOut(replica).back().at, 1.065, 1e-12);
  replica.Add({.id = 4, .input_tokens = 9, .output_tokens = 201}, 1.09);
  // 61 steps begin before the second is over, 140 after it.
  EXPECT_NEAR(RunOut(replica).back().at, 1.09 + 61 * 0.015 + 140 * 0.01, 1e-9);
}

TEST(SimReplica, CellsAreLookedAtInWholeBlocksOfTheLongest) {
  StepModel model = ModelOf({.fixed_s = 0.01, .per_context_token_s = 1e-5}, 512);
  model.cell_block = 256;
  SimReplica replica(model);
  replica.Add({.id = 1, .input_tokens = 254, .output_tokens = 5}, 0);
  const auto happened = RunOut(replica);
  // 255 and 256 cells are one block, 257 and 258 two.
  EXPECT_NEAR(happened[1].at, 0.01 + 2 * (0.01 + 256e-5) + 2 * (0.01 + 512e-5), 1e-12);
}

// A step with sequences that decode is kept within its target, or has the least piece of a prompt.
TEST(SimReplica, AStepKeepsToItsTarget) {
  SimReplica replica(kModel);
  for (std::uint32_t id = 0; id < 4; ++id) {
    replica.Add({.id = id, .input_tokens = 20, .output_tokens = 2000}, 0);
  }
  std::vector<SimReplica::Happening> happened;
  while (happened.size() < 4) replica.Advance(happened);
  replica.Add({.id = 9, .input_tokens = 5000, .output_tokens = 2}, happened.back().at);
  replica.Advance(happened);  // The step that was under way.
  double last = replica.NextEvent();
  replica.Advance(happened);
  int steps = 0;
  for (; happened.size() == 4; ++steps) {
    EXPECT_LE(replica.NextEvent() - last, 0.0401) << steps;
    last = replica.NextEvent();
    replica.Advance(happened);
  }
  EXPECT_GT(steps, 20);  // 5,000 tokens, 220 at most a step.
}

// Nothing decodes: a step takes more of a prompt, for only those wait who have just come.
TEST(SimReplica, AloneAPromptTakesMoreOfAStep) {
  StepModel model = ModelOf({.fixed_s = 0.01, .per_prefill_token_s = 0.001}, 512);
  model.step_target_s = 0.1;
  SimReplica replica(model);
  replica.Add({.id = 1, .input_tokens = 600, .output_tokens = 1}, 0);
  EXPECT_NEAR(replica.NextEvent(), 0.01 + 256 * 0.001, 1e-12);
}

TEST(SimReplica, BeyondItsSlotsRequestsWait) {
  StepModel model = ModelOf({.fixed_s = 0.01}, 512);
  model.slots = 2;
  SimReplica replica(model);
  for (std::uint32_t id = 0; id < 3; ++id) {
    replica.Add({.id = id, .input_tokens = 10, .output_tokens = 4}, 0);
  }
  replica.Add({.id = 3, .input_tokens = 10, .output_tokens = 1}, 0.005);
  EXPECT_EQ(replica.in_flight(), 4u);
  const auto happened = RunOut(replica);
  ASSERT_EQ(happened.size(), 8u);
  // 0 has the first step alone, for it came first; 1 joins it, and both must end before 2 starts.
  EXPECT_NEAR(happened[1].at, 0.02, 1e-12);
  EXPECT_EQ(happened[2].request, 0u);
  EXPECT_NEAR(happened[2].at, 0.04, 1e-12);
  EXPECT_EQ(happened[4].request, 2u);
  EXPECT_NEAR(happened[4].at, 0.05, 1e-12);
  EXPECT_FALSE(happened[4].is_end);
}

// A batch that is not that of the step before costs more, once.
TEST(SimReplica, ANewBatchIsLaidOutAnew) {
  StepModel model{.decode = {{.sequences = 1, .seconds = 0.01}, {.sequences = 2, .seconds = 0.01}},
                  .prefill_pass_s = 0.005,
                  .new_batch_s = 0.002};
  SimReplica replica(model);
  replica.Add({.id = 0, .input_tokens = 10, .output_tokens = 31}, 0);
  std::vector<SimReplica::Happening> happened;
  replica.Advance(happened);
  EXPECT_NEAR(happened[0].at, 0.005, 1e-12);
  // It decodes; 1 comes within the tenth step: laid out for 0 alone, again beside 1's prompt, for
  // both, and for 0 alone once 1 has ended.
  replica.Add({.id = 1, .input_tokens = 10, .output_tokens = 6}, 0.005 + 0.002 + 0.095);
  happened = RunOut(replica);
  ASSERT_EQ(happened.size(), 3u);
  EXPECT_NEAR(happened[0].at, 0.005 + 0.002 + 0.1 + (0.002 + 0.01 + 0.005), 1e-12);
  EXPECT_NEAR(happened[1].at, happened[0].at + 0.002 + 0.05, 1e-12);
  EXPECT_NEAR(happened[2].at, happened[1].at + 0.002 + (30 - 10 - 1 - 5) * 0.01, 1e-12);
}

// What is on its way delays nobody; what is read delays who comes next.
TEST(SimReplica, RequestsAreReadOneAfterAnother) {
  StepModel model = ModelOf({.fixed_s = 0.001, .per_prefill_token_s = 0.0001}, 512);
  model.delay_s = 1;
  model.overhead_s = 0.1;
  SimReplica replica(model);
  for (std::uint32_t id = 0; id < 3; ++id) {
    replica.Add({.id = id, .input_tokens = 10, .output_tokens = 1}, 0);
  }
  const auto happened = RunOut(replica);
  ASSERT_EQ(happened.size(), 6u);
  for (const std::size_t id : {0, 1, 2}) {
    EXPECT_NEAR(happened[2 * id].at, 1 + 0.1 * static_cast<double>(id + 1) + 0.002, 1e-9) << id;
  }
}

// The next request of somebody whose answer has ended: it joins the step after its end, which waits
// for it, or the one after that, in turn.
TEST(SimReplica, EveryOtherRequestThatComesWithAStepsEndJoinsTheNextStep) {
  StepModel model = ModelOf({.fixed_s = 0.01}, 512);
  model.overhead_s = 0.001;
  SimReplica replica(model);
  replica.Add({.id = 0, .input_tokens = 1, .output_tokens = 1000}, 0);
  std::vector<SimReplica::Happening> happened;
  replica.Advance(happened);
  std::vector<double> took;
  double at = happened[0].at;
  for (std::uint32_t id = 1; id <= 4; ++id) {
    replica.Add({.id = id, .input_tokens = 1, .output_tokens = 1}, at);
    happened.clear();
    while (happened.empty()) replica.Advance(happened);
    took.push_back(happened[0].at - at);
    at = happened[0].at;
  }
  for (const std::size_t i : {0, 2}) EXPECT_NEAR(took[i], 0.011, 1e-9);
  for (const std::size_t i : {1, 3}) EXPECT_NEAR(took[i], 0.02, 1e-9);
}

// Of two that come to an idle replica together, the first does not wait for the second.
TEST(SimReplica, WhoComesToAnIdleReplicaDelaysNobody) {
  StepModel model = ModelOf({.fixed_s = 0.01}, 512);
  model.overhead_s = 0.001;
  SimReplica replica(model);
  for (const double at : {0., 1.}) {
    replica.Add({.id = 0, .input_tokens = 1, .output_tokens = 1}, at);
    replica.Add({.id = 1, .input_tokens = 1, .output_tokens = 1}, at);
    EXPECT_NEAR(RunOut(replica)[0].at - at, 0.011, 1e-9) << at;
  }
}

// Without blocks of cells, a stretch that is cut in two lays nothing out anew.
TEST(SimReplica, AStretchThatIsCutIsNoNewBatch) {
  const StepModel model{.decode = {{.sequences = 1, .seconds = 0.01}},
                        .per_decode_cell_s = 1e-6,
                        .new_batch_s = 0.002,
                        .wake_pace = 1.0000001};
  SimReplica waking(model);
  waking.Add({.id = 0, .input_tokens = 1, .output_tokens = 200}, 1);  // Its wake-up ends in it.
  StepModel awake = model;
  awake.wake_pace = 1;
  SimReplica usual(awake);
  usual.Add({.id = 0, .input_tokens = 1, .output_tokens = 200}, 1);
  EXPECT_NEAR(RunOut(waking).back().at, RunOut(usual).back().at, 1e-5);
}

// Each sleep ends in one of two paces, as often as their mean says.
TEST(SimReplica, ASleepEndsFastOrSlow) {
  StepModel model = ModelOf({.fixed_s = 0.01, .per_prefill_token_s = 0.0001}, 512);
  model.wake_pace = 1.1;
  model.wake_pace_high = 1.4;
  SimReplica replica(model);
  int slow = 0;
  constexpr int kRequests = 200;
  for (int i = 1; i <= kRequests; ++i) {
    replica.Add({.id = 1, .input_tokens = 100, .output_tokens = 1}, i);
    const double took = RunOut(replica)[0].at - i;
    EXPECT_NEAR(took, took > 0.024 ? 0.028 : 0.02, 1e-9);
    slow += took > 0.024 ? 1 : 0;
  }
  EXPECT_NEAR(slow, kRequests / 4, 2);
}

// The engine step by step, the obvious way.
struct Obvious {
  explicit Obvious(const StepModel& of) : model(of), slots(of.splits_equally ? of.slots : 0) {}
  const StepModel& model;
  SimSlots slots;
  double waking_until = 0;
  struct Sequence {
    std::uint32_t request;
    double ready;
    double due;
    int position, input, output, made;
    int slot = -1;
  };
  std::vector<Sequence> coming, waiting, running;
  std::map<std::uint32_t, double> first, end;
  double now = 0;

  static double Cells(double position, double tokens) {
    return position * tokens + tokens * (tokens + 1) / 2;
  }
  int Budget(int decodes, double decode_s, int position) const {
    const int most = model.step_tokens_max - decodes;
    int tokens = 0;
    while (tokens < most &&
           decode_s + model.prefill_pass_s + (tokens + 1) * model.per_prefill_token_s +
                   // As the engine estimates: half a token's cells aside.
                   (position * (tokens + 1.0) + (tokens + 1.0) * (tokens + 1) / 2) *
                       model.per_prefill_cell_s <=
               model.step_target_s + 1e-12) {
      ++tokens;
    }
    const int least = decodes > 0 ? model.prefill_tokens_min : model.prefill_tokens_alone_min;
    return std::clamp(tokens, std::min(least, most), most);
  }
  void Join() {
    std::ranges::sort(coming, {}, [](const Sequence& s) { return std::pair(s.ready, s.request); });
    if (running.empty() && waiting.empty() && !coming.empty() && coming.front().ready > now) {
      if (coming.front().ready - now >= StepModel::kWakeAfter) {
        waking_until = coming.front().ready + StepModel::kWakeFor;
      }
      now = coming.front().ready;
    }
    while (!coming.empty() && coming.front().ready <= now + 1e-12) {
      waiting.push_back(coming.front());
      coming.erase(coming.begin());
    }
    const auto by_due = [](const Sequence& s) { return std::pair(s.due, s.request); };
    std::ranges::sort(waiting, {}, by_due);
    while (!waiting.empty() && std::ssize(running) < model.slots) {
      waiting.front().slot = slots.Take();
      running.push_back(waiting.front());
      waiting.erase(waiting.begin());
    }
    std::ranges::sort(running, {}, by_due);
  }
  // What decodes: sequences, rows with the holes between them, and the cells of each.
  struct Rows {
    int decodes = 0;
    int rows = 0;
    double each = 0;
  };
  Rows RowsOf() const {
    Rows out;
    double cells = 0;
    int longest = 0;
    int low = model.slots;
    int high = -1;
    for (const Sequence& s : running) {
      if (s.position < s.input) continue;
      ++out.decodes;
      cells += s.input + s.made;
      longest = std::max(longest, s.input + s.made);
      low = std::min(low, s.slot);
      high = std::max(high, s.slot);
    }
    out.rows = out.decodes;
    if (out.decodes == 0) return out;
    out.each = cells / out.decodes;
    if (model.cell_block == 1) return out;
    const SimSlots::Holes holes = slots.Between(low, high);
    out.rows += holes.count;
    longest = std::max(longest, static_cast<int>(holes.cells));
    out.each = (longest + model.cell_block - 1) / model.cell_block * model.cell_block;
    return out;
  }
  void Step() {
    Join();
    const auto [decodes, rows, each] = RowsOf();
    double seconds = model.DecodeSeconds(rows, each);
    int budget = -1;
    int prompts = 0;
    bool any = false;
    std::vector<std::uint32_t> decoded;
    std::vector<Sequence*> filled;
    for (Sequence& s : running) {
      if (s.position >= s.input) {
        decoded.push_back(s.request);
        continue;
      }
      if (budget < 0) budget = Budget(decodes, seconds, s.position);
      const int left = s.input - s.position;
      const int taken = std::min(left, budget);
      if (taken == 0 || (any && taken < left && taken < 32)) budget = 0;
      if (budget == 0) continue;
      if (!any) seconds += model.prefill_pass_s;
      any = true;
      if (model.splits_equally && decodes > 0) {
        seconds += model.DecodeSeconds(rows + prompts + 1, each) -
                   model.DecodeSeconds(rows + prompts, each);
        ++prompts;
      }
      seconds +=
          taken * model.per_prefill_token_s + Cells(s.position, taken) * model.per_prefill_cell_s;
      s.position += taken;
      budget -= taken;
      if (s.position == s.input) filled.push_back(&s);
    }
    now += now < waking_until ? seconds * model.wake_pace : seconds;
    for (Sequence& s : running) {
      if (std::ranges::count(decoded, s.request) != 0) ++s.made;
    }
    for (Sequence* s : filled) {
      s->made = 1;
      first[s->request] = now;
    }
    for (const Sequence& s : running) {
      if (s.position < s.input || s.made < s.output) continue;
      end[s.request] = now;
      slots.Free(s.slot, s.input + (s.output > 1 ? s.output : 0));
    }
    std::erase_if(running,
                  [](const Sequence& s) { return s.position == s.input && s.made >= s.output; });
  }
};

// Whole stretches of steps give what single steps give.
TEST(SimReplica, AgreesWithSingleSteps) {
  StepModel model = kModel;
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    model.cell_block = seed % 2 == 0 ? 1 : 256;
    model.wake_pace = seed % 3 == 0 ? 1.3 : 1;
    model.first_cell_share = seed % 5 == 0 ? 0.6 : 1;
    model.splits_equally = seed % 4 == 0;
    SimReplica replica(model);
    Obvious obvious(model);
    std::vector<SimReplica::Happening> happened;
    double at = 0;
    const int requests = 1 + static_cast<int>(random() % 12);
    for (int i = 0; i < requests; ++i) {
      at += static_cast<double>(1 + random() % 1000) / 2000;  // No two at once.
      while (replica.NextEvent() < at) replica.Advance(happened);
      const int input = 1 + static_cast<int>(random() % 2000);
      const int output = 1 + static_cast<int>(random() % 200);
      replica.Add(
          {.id = static_cast<std::uint32_t>(i), .input_tokens = input, .output_tokens = output},
          at);
      const double alone = kModel.prefill_pass_s + input * kModel.per_prefill_token_s +
                           Obvious::Cells(0, input) * kModel.per_prefill_cell_s;
      obvious.coming.push_back(
          {static_cast<std::uint32_t>(i), at, at + std::min(4 * alone, 60.0), 0, input, output, 0});
    }
    while (!obvious.coming.empty() || !obvious.running.empty()) obvious.Step();
    for (const auto& happening : RunOut(replica)) happened.push_back(happening);
    ASSERT_EQ(happened.size(), static_cast<std::size_t>(2 * requests));
    for (const auto& happening : happened) {
      const double truth =
          happening.is_end ? obvious.end[happening.request] : obvious.first[happening.request];
      EXPECT_NEAR(happening.at, truth, 1e-6) << happening.request;
    }
  }
}

TEST(SimReplica, AFailureLosesEverythingUnderWay) {
  SimReplica replica(kModel);
  replica.Add({.id = 1, .input_tokens = 10, .output_tokens = 100}, 0);
  std::vector<SimReplica::Happening> happened;
  replica.Advance(happened);
  replica.Add({.id = 2, .input_tokens = 10'000, .output_tokens = 5}, 0.05);
  std::vector<std::uint32_t> begun;
  std::vector<std::uint32_t> waiting;
  replica.Fail(0.06, begun, waiting);
  EXPECT_EQ(begun, std::vector<std::uint32_t>{1});
  EXPECT_EQ(waiting, std::vector<std::uint32_t>{2});
  EXPECT_TRUE(replica.idle());
  EXPECT_EQ(replica.NextEvent(), SimReplica::kNever);
}

}  // namespace
}  // namespace penstock::plan
