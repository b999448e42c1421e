// The simulated replica beside the engine's own scheduler, both on a virtual clock and with the
// same step times: the simulation must do what the engine does. They cannot share the code: a
// simulation of a million requests takes whole stretches of steps at once.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <vector>

#include "engine/prefix_plan.h"
#include "engine/scheduler.h"
#include "plan/sim_replica.h"
#include "plan/sim_slots.h"

namespace penstock {
namespace {

struct Request {
  double at = 0;
  int input = 0;
  int output = 0;
};
struct Times {
  double first = 0;
  double end = 0;
};

TimePoint At(double seconds) { return TimePoint(Duration(std::llround(seconds * 1e9))); }
double SecondsOf(TimePoint at) { return Seconds(at.time_since_epoch()); }

plan::StepModel RandomModel(std::mt19937_64& random) {
  const auto between = [&random](double least, double most) {
    return least + (most - least) * static_cast<double>(random() % 1001) / 1000;
  };
  const double pass = between(0.001, 0.02);
  const double each = between(0.0001, 0.003);
  return {.decode = {{.sequences = 1, .seconds = pass + each},
                     {.sequences = 8, .seconds = pass + 8 * each}},
          .per_decode_cell_s = between(1e-8, 1e-6),
          .prefill_pass_s = between(0.001, 0.01),
          .per_prefill_token_s = between(5e-5, 1e-3),
          .per_prefill_cell_s = between(1e-9, 1e-7),
          .slots = 8,
          .step_target_s = 0.2};
}

std::vector<Request> RandomLoad(std::mt19937_64& random, const plan::StepModel& model) {
  constexpr int kRequests = 120;
  constexpr double kLoad = 0.7;  // Of what it would do one after another.
  std::vector<Request> requests;
  for (int i = 0; i < kRequests; ++i) {
    requests.push_back({.input = 16 + static_cast<int>(random() % 1200),
                        .output = 1 + static_cast<int>(random() % 120)});
  }
  double alone = 0;
  for (const Request& each : requests) {
    alone += each.input * model.per_prefill_token_s + each.output * model.DecodeSeconds(1);
  }
  double at = 0;
  for (Request& each : requests) {
    each.at = at;
    at += -std::log((static_cast<double>(random() % 10'000) + 1) / 10'001) * alone /
          (kRequests * kLoad);
  }
  return requests;
}

double SecondsOf(const plan::StepModel& model, const engine::StepShape& shape) {
  double seconds = model.DecodeSeconds(shape.decodes) +
                   static_cast<double>(shape.decode_cells) * model.per_decode_cell_s;
  if (shape.prefill_tokens > 0) {
    seconds += model.prefill_pass_s + shape.prefill_tokens * model.per_prefill_token_s +
               static_cast<double>(shape.prefill_cells) * model.per_prefill_cell_s;
  }
  return seconds;
}

// As engine.cc and stepper.cc go round, without a model.
std::vector<Times> RunScheduler(const plan::StepModel& model,
                                const std::vector<Request>& requests) {
  engine::Scheduler scheduler({.slots = model.slots,
                               .queued_max = 1000,
                               .step_tokens_max = model.step_tokens_max,
                               .step_target = Duration(std::llround(model.step_target_s * 1e9))});
  // The engine's warm-up: it knows how long steps take before the first request.
  for (const int tokens : {16, 64, 256}) {
    for (const int decodes : {1, 4, 8}) {
      const engine::StepShape shape{.decodes = decodes,
                                    .decode_cells = decodes * tokens,
                                    .prefill_tokens = tokens,
                                    .prefill_cells = std::int64_t{tokens} * (tokens + 1) / 2};
      const engine::StepShape alone{.decodes = decodes, .decode_cells = decodes * 7};
      for (const engine::StepShape& each : {shape, alone}) {
        scheduler.Learn(each, Duration(std::llround(SecondsOf(model, each) * 1e9)));
      }
    }
  }
  std::vector<Times> times(requests.size());
  std::vector<int> made(requests.size());
  std::size_t next = 0;
  std::size_t ended = 0;
  TimePoint now{};
  while (ended < requests.size()) {
    for (; next < requests.size() && At(requests[next].at) <= now; ++next) {
      EXPECT_TRUE(scheduler.Enqueue({.id = next + 1,
                                     .prompt_tokens = requests[next].input,
                                     .output_tokens_max = requests[next].output},
                                    At(requests[next].at)));
    }
    const std::vector<engine::Work> work = scheduler.Plan();
    if (work.empty()) {
      now = At(requests[next].at);
      continue;
    }
    const Duration took(std::llround(SecondsOf(model, scheduler.step().shape) * 1e9));
    now += took;
    scheduler.Advance(took);
    for (const engine::Work& each : work) {
      if (!each.wants_output) continue;
      const std::size_t i = each.id - 1;
      if (++made[i] == 1) times[i].first = SecondsOf(now);
      if (made[i] < requests[i].output) continue;
      times[i].end = SecondsOf(now);
      scheduler.Remove(each.id);
      ++ended;
    }
  }
  return times;
}

std::vector<Times> RunReplica(const plan::StepModel& model, const std::vector<Request>& requests) {
  plan::SimReplica replica(model);
  std::vector<plan::SimReplica::Happening> happened;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    while (replica.NextEvent() <= requests[i].at) replica.Advance(happened);
    replica.Add({.id = static_cast<std::uint32_t>(i),
                 .input_tokens = requests[i].input,
                 .output_tokens = requests[i].output},
                requests[i].at);
  }
  while (!replica.idle()) replica.Advance(happened);
  std::vector<Times> times(requests.size());
  for (const auto& each : happened) {
    (each.is_end ? times[each.request].end : times[each.request].first) = each.at;
  }
  return times;
}

double Quantile(std::vector<double> values, double q) {
  std::ranges::sort(values);
  return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1))];
}

TEST(ReplicaModel, DoesWhatTheEnginesSchedulerDoes) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    const plan::StepModel model = RandomModel(random);
    const std::vector<Request> requests = RandomLoad(random, model);
    const std::vector<Times> truth = RunScheduler(model, requests);
    const std::vector<Times> played = RunReplica(model, requests);
    std::map<std::string, std::vector<double>> real;
    std::map<std::string, std::vector<double>> simulated;
    const auto take = [&requests](const std::vector<Times>& times, auto& into) {
      for (std::size_t i = 0; i < requests.size(); ++i) {
        into["ttft"].push_back(times[i].first - requests[i].at);
        if (requests[i].output == 1) continue;
        into["tpot"].push_back((times[i].end - times[i].first) / (requests[i].output - 1));
      }
    };
    take(truth, real);
    take(played, simulated);
    for (const auto& [name, values] : real) {
      for (const double q : {0.5, 0.95}) {
        EXPECT_NEAR(Quantile(simulated[name], q) / Quantile(values, q), 1, 0.02)
            << name << " " << q;
      }
    }
  }
}

// Requests without a common beginning take the slots that the engine would give them.
TEST(ReplicaModel, TakesTheSlotsThatTheEngineTakes) {
  constexpr int kSlots = 6;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    plan::SimSlots slots(kSlots);
    std::vector<engine::SlotView> views(kSlots);
    const std::vector<engine::TokenId> kept(2000, 1);  // What was left, unlike any prompt.
    const std::vector<engine::TokenId> prompt(64, 2);
    int running = 0;
    for (int step = 0; step < 60; ++step) {
      if (running < kSlots && random() % 2 == 0) {
        const int there = engine::PlanPrefix(prompt, views, 0).slot;
        EXPECT_EQ(slots.Take(), there);
        views[static_cast<std::size_t>(there)] = {.free = false};
        ++running;
        continue;
      }
      const auto slot = static_cast<std::size_t>(random() % kSlots);
      if (views[slot].free) continue;
      const std::size_t cells = 1 + random() % kept.size();
      views[slot] = {.cells = std::span(kept).first(cells)};
      slots.Free(static_cast<int>(slot), static_cast<double>(cells));
      --running;
    }
  }
}

}  // namespace
}  // namespace penstock
