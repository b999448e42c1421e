// Recursive least squares over six features of a step.
#include "engine/step_time.h"

#include <algorithm>
#include <cmath>

namespace penstock::engine {
namespace {

constexpr double kForgetting = 0.995;  // A step counts half after 140 more.
constexpr double kCovarianceMax =
    1e4;  // Of one feature: what is not seen is not forgotten for ever.
constexpr double kOutlierMax = 4;
constexpr std::uint64_t kStepsTrusted = 5;

// Feature indices: a pass that decodes, each decode, its cells; and the same for prefill.
enum : std::size_t { kDecodePass, kDecode, kDecodeCells, kPrefillPass, kPrefill, kPrefillCells };

// Units that bring the weights to about the same size.
constexpr double kTokenUnit = 0.01;
constexpr double kCellUnit = 1e-4;

}  // namespace

StepTime::StepTime() {
  for (std::size_t i = 0; i < kFeatures; ++i) {
    covariance_[i] = {};
    covariance_[i][i] = kCovarianceMax;
  }
}

StepTime::Vector StepTime::Features(const StepShape& shape) {
  Vector features{};
  features[kDecodePass] = shape.decodes > 0 ? 1 : 0;
  features[kDecode] = 10 * kTokenUnit * shape.decodes;
  features[kDecodeCells] = kCellUnit * static_cast<double>(shape.decode_cells);
  features[kPrefillPass] = shape.prefill_tokens > 0 ? 1 : 0;
  features[kPrefill] = kTokenUnit * shape.prefill_tokens;
  features[kPrefillCells] = 0.1 * kCellUnit * static_cast<double>(shape.prefill_cells);
  return features;
}

// A weight below zero is an accident of few samples: no work takes time away.
double StepTime::Milliseconds(const Vector& features) const {
  double sum = 0;
  for (std::size_t i = 0; i < kFeatures; ++i) sum += features[i] * std::max(0.0, weights_[i]);
  return sum;
}

void StepTime::Learn(const StepShape& shape, Duration took) {
  if (shape.decodes == 0 && shape.prefill_tokens == 0) return;
  const Vector features = Features(shape);
  double observed = penstock::Milliseconds(took);
  if (steps_ >= kStepsTrusted) observed = std::min(observed, kOutlierMax * Milliseconds(features));
  ++steps_;

  Vector gain{};
  double scale = kForgetting;
  for (std::size_t i = 0; i < kFeatures; ++i) {
    for (std::size_t j = 0; j < kFeatures; ++j) gain[i] += covariance_[i][j] * features[j];
    scale += features[i] * gain[i];
  }
  double error = observed;
  for (std::size_t i = 0; i < kFeatures; ++i) error -= weights_[i] * features[i];
  for (std::size_t i = 0; i < kFeatures; ++i) weights_[i] += gain[i] / scale * error;
  double widest = 0;
  for (std::size_t i = 0; i < kFeatures; ++i) {
    for (std::size_t j = 0; j < kFeatures; ++j) covariance_[i][j] -= gain[i] * gain[j] / scale;
    widest = std::max(widest, covariance_[i][i]);
  }
  if (widest > kForgetting * kCovarianceMax) return;
  for (Vector& row : covariance_) {
    for (double& value : row) value /= kForgetting;
  }
}

Duration StepTime::Predict(const StepShape& shape) const {
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double, std::milli>(Milliseconds(Features(shape))));
}

// Solves base + a n + b (position n + n²/2) = target for n.
int StepTime::PrefillTokensWithin(const StepShape& shape, int position, Duration target,
                                  int unknown) const {
  if (steps_ < kStepsTrusted) return unknown;
  Vector features = Features(shape);
  features[kPrefillPass] = 1;
  const double left = penstock::Milliseconds(target) - Milliseconds(features);
  if (left <= 0) return 0;
  const double cell = std::max(0.0, weights_[kPrefillCells]) * 0.1 * kCellUnit;
  const double token = std::max(0.0, weights_[kPrefill]) * kTokenUnit + cell * position;
  constexpr double kMost = 1 << 20;
  double tokens = kMost;
  if (cell > 1e-12) {
    tokens = (std::sqrt(token * token + 2 * cell * left) - token) / cell;
  } else if (token > 1e-9) {
    tokens = left / token;
  }
  return static_cast<int>(std::clamp(tokens, 0.0, kMost));
}

}  // namespace penstock::engine
