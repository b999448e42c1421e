#include "plan/step_fit.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "plan/closed_loop.h"
#include "plan/least_squares.h"

namespace penstock::plan {
namespace {

using policy::CurvePoint;

// The unknowns stand as logarithms in a vector: these, then the seconds of each decode point.
enum : std::size_t {
  kOverhead,
  kWake,
  kPrefillPass,
  kPrefillToken,
  kPrefillCell,
  kDecodeCell,
  kFirstCell,
  kNewBatch,
  kFixedUnknowns
};
using Vector = std::vector<double>;

// What a measurement leaves open stays where the linear fit has it.
constexpr double kPriorWeight = 0.02;
constexpr double kDecodePriorWeight = 0.005;
// A request reaches the engine in a millisecond or so, which one can tell from the time of a pass
// only where several wait for each other.
constexpr double kOverheadSeconds = 1e-3;
constexpr double kOverheadPriorWeight = 0.2;
// Beyond it a point counts by its distance, not by the square: a slow second must not bend the fit.
constexpr double kOutlier = 0.1;
constexpr double kSecondsMin = 1e-9;
// With the 15M model the first of a step's sequences takes two thirds of what each further one does
// for its cells; where nothing tells, somewhat less than the whole.
constexpr double kFirstCellShare = 0.9;
// Of a step that decodes one sequence, where nothing tells; 0.5 with the 15M model.
constexpr double kNewBatchShare = 0.2;

// How much a point's times count. Several requests at a time fall into a rhythm, each beginning
// together with others or apart from them, as chance has it: that moves time between first tokens
// and later ones, and leaves the sum as it is.
struct Weights {
  double ttft = 0;
  double tpot = 0;
  double latency = 0;
};
constexpr Weights kAlone{.ttft = 1, .tpot = 2};
constexpr Weights kTogether{.ttft = 0.2, .tpot = 0.2, .latency = 2};
// Of differing lengths they have no rhythm, but their TTFT differs from draw to draw.
constexpr Weights kMixed{.ttft = 0.2, .tpot = 2, .latency = 2};

Weights WeightsOf(const CurvePoint& point) {
  Weights weights = point.concurrency == 1 ? kAlone : kTogether;
  if (point.spread > 0) weights = kMixed;
  if (point.output_tokens <= 1.5) weights.tpot = 0;
  return weights;
}

std::vector<CurvePoint> PointsOf(const policy::Calibration& calibration) {
  std::vector<CurvePoint> points;
  for (const auto* list : {&calibration.probes, &calibration.curve}) {
    for (const CurvePoint& point : *list) {
      if (point.concurrency >= 1 && point.typical().ttft_ms > 0) points.push_back(point);
    }
  }
  return points;
}

// Where decoding was measured.
Vector BatchesOf(const std::vector<CurvePoint>& points) {
  Vector batches;
  for (const CurvePoint& point : points) {
    if (point.output_tokens > 1.5) batches.push_back(point.concurrency);
  }
  std::ranges::sort(batches);
  batches.erase(std::ranges::unique(batches).begin(), batches.end());
  return batches;
}

StepModel ModelAt(const Vector& unknowns, const Vector& batches, const StepModel& settings) {
  StepModel model = settings;
  model.overhead_s = std::exp(unknowns[kOverhead]);
  model.wake_pace = std::max(1.0, std::exp(unknowns[kWake]));
  model.prefill_pass_s = std::exp(unknowns[kPrefillPass]);
  model.per_prefill_token_s = std::exp(unknowns[kPrefillToken]);
  model.per_prefill_cell_s = std::exp(unknowns[kPrefillCell]);
  model.per_decode_cell_s = std::exp(unknowns[kDecodeCell]);
  model.first_cell_share = std::min(1.0, std::exp(unknowns[kFirstCell]));
  model.new_batch_s = std::exp(unknowns[kNewBatch]);
  model.shares_pass = false;
  model.decode.clear();
  for (std::size_t i = 0; i < batches.size(); ++i) {
    model.decode.push_back(
        {.sequences = batches[i], .seconds = std::exp(unknowns[kFixedUnknowns + i])});
  }
  return model;
}

double PriorWeightOf(std::size_t unknown) {
  if (unknown == kOverhead) return kOverheadPriorWeight;
  return unknown < kFixedUnknowns ? kPriorWeight : kDecodePriorWeight;
}

LoopTimes Play(const StepModel& model, const CurvePoint& point) {
  const policy::Shape shape{point.input_tokens, point.output_tokens};
  return HasPauses(point) ? PlayAlone(model, shape)
                          : PlayLoop(model, point.concurrency, shape, point.spread);
}

Vector StartOf(const policy::StepTimes& step, const Vector& batches,
               const std::vector<CurvePoint>& points) {
  const bool paused = std::ranges::any_of(points, HasPauses);
  const auto log = [](double seconds) { return std::log(std::max(seconds, kSecondsMin)); };
  const double token = std::max(step.per_prefill_token_s, 1e-7);
  const double cell = std::max(step.per_context_token_s, token * 1e-5);
  Vector start(kFixedUnknowns + batches.size());
  start[kOverhead] = log(kOverheadSeconds);
  start[kWake] = paused ? 0.1 : 0;
  start[kPrefillPass] = log(std::max(step.fixed_s, 2e-3) / 2);
  start[kPrefillToken] = log(token);
  start[kPrefillCell] = log(cell / 10);
  start[kDecodeCell] = log(cell);
  start[kFirstCell] = std::log(kFirstCellShare);
  start[kNewBatch] = log(kNewBatchShare * (step.fixed_s + step.per_decode_sequence_s));
  for (std::size_t i = 0; i < batches.size(); ++i) {
    start[kFixedUnknowns + i] =
        log(std::max(step.fixed_s + batches[i] * step.per_decode_sequence_s, 1e-5));
  }
  return start;
}

// The same sum of squares where it is small; else it grows with the distance alone.
double Tamed(double residual) {
  const double size = std::abs(residual);
  if (size <= kOutlier) return residual;
  return std::copysign(std::sqrt(kOutlier * (2 * size - kOutlier)), residual);
}

class Fit {
 public:
  Fit(const policy::Calibration& calibration, const StepModel& settings)
      : points_(PointsOf(calibration)),
        batches_(BatchesOf(points_)),
        settings_(settings),
        start_(StartOf(calibration.step, batches_, points_)) {}

  StepFit Run() {
    if (batches_.empty()) return {};
    Minimum best;
    // Several beginnings, for the error has more than one valley: what a pass costs and what comes
    // before it can stand for each other.
    for (const double pass : {1.0, 0.2, 5.0}) {
      for (const double overhead : {1.0, 0.3}) {
        Vector begin = start_;
        begin[kPrefillPass] += std::log(pass);
        begin[kOverhead] += std::log(overhead);
        Minimum found =
            Descend([this](const Vector& at) { return ResidualsAt(at); }, std::move(begin));
        if (best.at.empty() || found.squares < best.squares) best = std::move(found);
      }
    }
    return Result(best.at);
  }

 private:
  // Logarithms of played over measured, then what binds the unknowns to their start.
  Vector ResidualsAt(const Vector& unknowns) const {
    const StepModel model = ModelAt(unknowns, batches_, settings_);
    Vector residuals;
    const auto compare = [&residuals](double played_s, double measured_ms, double weight) {
      if (measured_ms <= 0 || weight == 0) return;
      const double ratio = std::max(played_s, kSecondsMin) * 1e3 / measured_ms;
      residuals.push_back(weight * Tamed(std::log(ratio)));
    };
    for (const CurvePoint& point : points_) {
      const LoopTimes played = Play(model, point);
      const Weights weights = WeightsOf(point);
      compare(played.ttft_s, point.typical().ttft_ms, weights.ttft);
      compare(played.tpot_s, point.typical().tpot_ms, weights.tpot);
      compare(played.latency_s, point.typical().latency_ms, weights.latency);
    }
    for (std::size_t i = 0; i < unknowns.size(); ++i) {
      residuals.push_back(PriorWeightOf(i) * (unknowns[i] - start_[i]));
    }
    return residuals;
  }

  StepFit Result(const Vector& unknowns) const {
    StepFit fit{.model = ModelAt(unknowns, batches_, settings_)};
    double count = 0;
    const auto add = [&](double played_s, double measured_ms, double weight) {
      if (measured_ms <= 0 || weight < 1) return;
      const double error = std::abs(played_s * 1e3 / measured_ms - 1);
      fit.error_mean += error;
      fit.error_max = std::max(fit.error_max, error);
      ++count;
    };
    for (const CurvePoint& point : points_) {
      const LoopTimes played = Play(fit.model, point);
      const Weights weights = WeightsOf(point);
      add(played.ttft_s, point.typical().ttft_ms, weights.ttft);
      add(played.tpot_s, point.typical().tpot_ms, weights.tpot);
      add(played.latency_s, point.typical().latency_ms, weights.latency);
    }
    fit.error_mean /= std::max(1.0, count);
    return fit;
  }

  std::vector<CurvePoint> points_;
  Vector batches_;
  StepModel settings_;
  Vector start_;
};

// The slow ones of the requests after a pause, beside their mean.
double HighPace(const policy::Calibration& calibration, double wake_pace) {
  double high = 0;
  for (const CurvePoint& point : calibration.probes) {
    const double mean = point.typical().ttft_ms;
    if (!HasPauses(point) || mean <= 0) continue;
    high = std::max(high, wake_pace * point.ttft_ms.p90 / mean);
  }
  return high;
}

}  // namespace

StepFit FitStepModel(const policy::Calibration& calibration, const StepModel& settings) {
  StepFit fit = Fit(calibration, settings).Run();
  fit.model.wake_pace_high = HighPace(calibration, fit.model.wake_pace);
  // Nothing was measured, or by an operator's word alone: the linear fit is what there is.
  if (fit.model.decode.empty()) {
    fit.model = ModelOf(calibration.step, settings.step_tokens_max);
    fit.model.slots = settings.slots;
    fit.model.step_target_s = settings.step_target_s;
    fit.model.prefill_tokens_min = settings.prefill_tokens_min;
    fit.model.prefill_tokens_alone_min = settings.prefill_tokens_alone_min;
  }
  return fit;
}

}  // namespace penstock::plan
