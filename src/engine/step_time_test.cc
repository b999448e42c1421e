#include "engine/step_time.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace penstock::engine {
namespace {

using std::chrono::milliseconds;

// A machine whose steps take what a model of this form says, and some noise.
struct Machine {
  double pass_ms = 4, decode_ms = 0.5, prefill_ms = 0.6, cell_ms = 2e-4;

  double TimeOf(const StepShape& shape) const {
    const double cells = static_cast<double>(shape.decode_cells + shape.prefill_cells);
    return pass_ms * ((shape.decodes > 0) + (shape.prefill_tokens > 0)) +
           decode_ms * shape.decodes + prefill_ms * shape.prefill_tokens + cell_ms * cells;
  }
};

Duration Of(double milliseconds_) {
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::milli>(milliseconds_));
}

StepShape RandomShape(Random& random) {
  StepShape shape{.decodes = static_cast<int>(random.Below(9))};
  shape.decode_cells = static_cast<std::int64_t>(shape.decodes * random.Below(2000));
  if (shape.decodes == 0 || random.Below(2) == 0) {
    shape.prefill_tokens = 1 + static_cast<int>(random.Below(400));
    const auto position = static_cast<int>(random.Below(2000));
    shape.prefill_cells =
        static_cast<std::int64_t>(shape.prefill_tokens) * (position + shape.prefill_tokens / 2);
  }
  return shape;
}

TEST(StepTime, KnowsNothingAtFirst) {
  const StepTime time;
  EXPECT_EQ(time.Predict({.decodes = 4}), Duration{});
  EXPECT_EQ(time.PrefillTokensWithin({.decodes = 4}, 0, milliseconds{100}, 77), 77);
}

TEST(StepTime, LearnsAnyMachineOfItsKind) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const Machine machine{.pass_ms = 1 + 20 * random.Uniform(),
                          .decode_ms = random.Uniform(),
                          .prefill_ms = 0.05 + 4 * random.Uniform(),
                          .cell_ms = 1e-3 * random.Uniform()};
    StepTime time;
    for (int i = 0; i < 400; ++i) {
      const StepShape shape = RandomShape(random);
      time.Learn(shape, Of(machine.TimeOf(shape) * (0.97 + 0.06 * random.Uniform())));
    }
    for (int i = 0; i < 50; ++i) {
      const StepShape shape = RandomShape(random);
      const double truth = machine.TimeOf(shape);
      EXPECT_NEAR(Milliseconds(time.Predict(shape)), truth, 0.1 * truth + 2);
    }
  }
}

TEST(StepTime, FillsAStepUpToItsTarget) {
  Random random(3);
  const Machine machine;
  StepTime time;
  for (int i = 0; i < 400; ++i) {
    const StepShape shape = RandomShape(random);
    time.Learn(shape, Of(machine.TimeOf(shape)));
  }
  for (int i = 0; i < 100; ++i) {
    StepShape shape{.decodes = 1 + static_cast<int>(random.Below(8))};
    shape.decode_cells = static_cast<std::int64_t>(shape.decodes) * 500;
    const auto position = static_cast<int>(random.Below(2000));
    const int tokens = time.PrefillTokensWithin(shape, position, milliseconds{100}, 0);
    shape.prefill_tokens = tokens;
    shape.prefill_cells = static_cast<std::int64_t>(tokens) * position +
                          static_cast<std::int64_t>(tokens) * tokens / 2;
    EXPECT_NEAR(machine.TimeOf(shape), 100, 5) << "position " << position << ", " << tokens;
  }
}

TEST(StepTime, FollowsAMachineThatSlowsDown) {
  Random random(4);
  StepTime time;
  const Machine before, after{.pass_ms = 8, .decode_ms = 1, .prefill_ms = 1.2, .cell_ms = 4e-4};
  for (int i = 0; i < 2000; ++i) {
    const StepShape shape = RandomShape(random);
    time.Learn(shape, Of((i < 1000 ? before : after).TimeOf(shape)));
  }
  const StepShape shape{
      .decodes = 8, .decode_cells = 4000, .prefill_tokens = 200, .prefill_cells = 20'000};
  EXPECT_NEAR(Milliseconds(time.Predict(shape)), after.TimeOf(shape), 0.1 * after.TimeOf(shape));
}

TEST(StepTime, AStallTeachesLittle) {
  Random random(5);
  const Machine machine;
  StepTime time;
  for (int i = 0; i < 500; ++i) {
    const StepShape shape = RandomShape(random);
    time.Learn(shape, Of(machine.TimeOf(shape)));
  }
  const StepShape shape{.decodes = 8, .decode_cells = 4000};
  const double before = Milliseconds(time.Predict(shape));
  time.Learn(shape, std::chrono::seconds(30));
  EXPECT_LT(Milliseconds(time.Predict(shape)), 1.5 * before);
}

}  // namespace
}  // namespace penstock::engine
