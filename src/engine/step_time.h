// StepTime: how long a step will take, learned from the steps that were.
//
// A linear model over a step's shape, fitted online by recursive least squares with forgetting, so
// that it follows a machine that becomes busier or cooler. Pure: times come in as values.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/clock.h"

namespace penstock::engine {

// What of a step costs time: weights are read once for each pass, every token is multiplied, every
// token looks at all the cells before it.
struct StepShape {
  int decodes = 0;
  std::int64_t decode_cells = 0;  // Cells that the decoded tokens look at, summed.
  int prefill_tokens = 0;
  std::int64_t prefill_cells = 0;  // Likewise, of the prompt tokens.
};

class StepTime {
 public:
  StepTime();

  // A step of this shape took so long. One that took many times what was expected counts as
  // kOutlierMax times that: the machine stalled, and its model need not.
  void Learn(const StepShape& shape, Duration took);

  // Zero until something was learned.
  Duration Predict(const StepShape& shape) const;

  // How many prompt tokens at `position` may be added to `shape` before it takes longer than
  // `target`. None fits: 0 or less. Without knowledge: `unknown`.
  int PrefillTokensWithin(const StepShape& shape, int position, Duration target, int unknown) const;

  std::uint64_t steps() const { return steps_; }

 private:
  static constexpr std::size_t kFeatures = 6;
  using Vector = std::array<double, kFeatures>;

  static Vector Features(const StepShape& shape);
  double Milliseconds(const Vector& features) const;

  Vector weights_{};  // Milliseconds per feature.
  std::array<Vector, kFeatures> covariance_;
  std::uint64_t steps_ = 0;
};

}  // namespace penstock::engine
