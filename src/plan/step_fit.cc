#include "plan/step_fit.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "plan/sim_replica.h"

namespace penstock::plan {
namespace {

using policy::CurvePoint;

// The unknowns stand as logarithms in a vector: these, then the seconds of each decode point.
enum : std::size_t {
  kOverhead,
  kPrefillPass,
  kPrefillToken,
  kPrefillCell,
  kDecodeCell,
  kFixedUnknowns
};
using Vector = std::vector<double>;

constexpr double kStepSize = 0.02;  // Of a derivative, in logarithms.
// What a measurement leaves open stays where the linear fit has it.
constexpr double kPriorWeight = 0.02;
constexpr double kDecodePriorWeight = 0.005;
constexpr int kRounds = 25;
constexpr double kSecondsMin = 1e-9;

std::size_t MedianPlace(std::size_t count) { return (count - 1) / 2; }

double MedianOf(Vector values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(MedianPlace(values.size()));
  std::ranges::nth_element(values, middle);
  return *middle;
}

// Requests of a closed loop, and their times.
class Loop {
 public:
  Loop(const StepModel& model, int concurrency, const policy::Shape& shape)
      : replica_(model),
        warm_(concurrency),
        total_(static_cast<std::uint32_t>(3 * concurrency + 4)),
        input_(std::max(1, static_cast<int>(std::lround(shape.input_tokens)))),
        output_(std::max(1, static_cast<int>(std::lround(shape.output_tokens)))) {}

  LoopTimes Play() {
    for (int i = 0; i < warm_; ++i) Begin(0);
    std::vector<SimReplica::Happening> happened;
    while (!replica_.idle()) {
      happened.clear();
      replica_.Advance(happened);
      for (const SimReplica::Happening& each : happened) Take(each);
    }
    return {.ttft_s = MedianOf(ttft_), .tpot_s = MedianOf(tpot_), .latency_s = MedianOf(latency_)};
  }

 private:
  struct Times {
    double begin = 0;
    double first = 0;
  };

  void Begin(double now) {
    if (requests_.size() == total_) return;
    const auto id = static_cast<std::uint32_t>(requests_.size());
    requests_.push_back({.begin = now});
    replica_.Add({.id = id, .input_tokens = input_, .output_tokens = output_}, now);
  }

  void Take(const SimReplica::Happening& happening) {
    Times& times = requests_[happening.request];
    if (!happening.is_end) {
      times.first = happening.at;
      return;
    }
    if (happening.request >= static_cast<std::uint32_t>(warm_)) {
      ttft_.push_back(times.first - times.begin);
      latency_.push_back(happening.at - times.begin);
      if (output_ > 1) tpot_.push_back((happening.at - times.first) / (output_ - 1));
    }
    Begin(happening.at);
  }

  SimReplica replica_;
  int warm_;
  std::uint32_t total_;
  int input_;
  int output_;
  std::vector<Times> requests_;
  Vector ttft_;
  Vector tpot_;
  Vector latency_;
};

std::vector<CurvePoint> PointsOf(const policy::Calibration& calibration) {
  std::vector<CurvePoint> points;
  for (const auto* list : {&calibration.probes, &calibration.curve}) {
    for (const CurvePoint& point : *list) {
      if (point.concurrency >= 1 && point.ttft_ms.p50 > 0) points.push_back(point);
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
  model.prefill_pass_s = std::exp(unknowns[kPrefillPass]);
  model.per_prefill_token_s = std::exp(unknowns[kPrefillToken]);
  model.per_prefill_cell_s = std::exp(unknowns[kPrefillCell]);
  model.per_decode_cell_s = std::exp(unknowns[kDecodeCell]);
  model.shares_pass = false;
  model.decode.clear();
  for (std::size_t i = 0; i < batches.size(); ++i) {
    model.decode.push_back(
        {.sequences = batches[i], .seconds = std::exp(unknowns[kFixedUnknowns + i])});
  }
  return model;
}

Vector StartOf(const policy::StepTimes& step, const Vector& batches) {
  const auto log = [](double seconds) { return std::log(std::max(seconds, kSecondsMin)); };
  const double token = std::max(step.per_prefill_token_s, 1e-7);
  const double cell = std::max(step.per_context_token_s, token * 1e-5);
  Vector start(kFixedUnknowns + batches.size());
  start[kOverhead] = log(2e-3);
  start[kPrefillPass] = log(std::max(step.fixed_s, 1e-4) / 2);
  start[kPrefillToken] = log(token);
  start[kPrefillCell] = log(cell / 10);
  start[kDecodeCell] = log(cell);
  for (std::size_t i = 0; i < batches.size(); ++i) {
    start[kFixedUnknowns + i] =
        log(std::max(step.fixed_s + batches[i] * step.per_decode_sequence_s, 1e-5));
  }
  return start;
}

// Solves `matrix` x = `right`, symmetric and positive, in place.
Vector Solve(std::vector<Vector> matrix, Vector right) {
  const std::size_t n = right.size();
  for (std::size_t i = 0; i < n; ++i) {
    for (std::size_t row = i + 1; row < n; ++row) {
      const double factor = matrix[row][i] / matrix[i][i];
      for (std::size_t k = i; k < n; ++k) matrix[row][k] -= factor * matrix[i][k];
      right[row] -= factor * right[i];
    }
  }
  for (std::size_t i = n; i-- > 0;) {
    for (std::size_t k = i + 1; k < n; ++k) right[i] -= matrix[i][k] * right[k];
    right[i] /= matrix[i][i];
  }
  return right;
}

class Fit {
 public:
  Fit(const policy::Calibration& calibration, const StepModel& settings)
      : points_(PointsOf(calibration)),
        batches_(BatchesOf(points_)),
        settings_(settings),
        start_(StartOf(calibration.step, batches_)) {}

  StepFit Run() {
    if (batches_.empty()) return {};
    Vector best;
    double least = 0;
    // Several beginnings, for the error has more than one valley: what a pass costs and what comes
    // before it can stand for each other.
    for (const double pass : {1.0, 0.2, 3.0}) {
      for (const double overhead : {1.0, 0.2}) {
        Vector begin = start_;
        begin[kPrefillPass] += std::log(pass);
        begin[kOverhead] += std::log(overhead);
        const auto [found, error] = Descend(std::move(begin));
        if (best.empty() || error < least) {
          best = found;
          least = error;
        }
      }
    }
    return Result(best);
  }

 private:
  std::pair<Vector, double> Descend(Vector unknowns) const {
    Vector residuals = Residuals(unknowns);
    double damping = 0.1;
    for (int round = 0; round < kRounds; ++round) {
      const Vector step = StepFrom(unknowns, residuals, damping);
      Vector next = unknowns;
      for (std::size_t i = 0; i < next.size(); ++i) next[i] += std::clamp(step[i], -1.0, 1.0);
      const Vector there = Residuals(next);
      if (Squares(there) < Squares(residuals)) {
        unknowns = next;
        residuals = there;
        damping = std::max(1e-3, damping / 3);
      } else {
        damping *= 5;
      }
    }
    Polish(unknowns, residuals);
    const double error = Squares(residuals);
    return {std::move(unknowns), error};
  }

  static double Squares(const Vector& residuals) {
    double sum = 0;
    for (const double each : residuals) sum += each * each;
    return sum;
  }

  // Logarithms of played over measured, then what binds the unknowns to their start.
  Vector Residuals(const Vector& unknowns) const {
    const StepModel model = ModelAt(unknowns, batches_, settings_);
    Vector residuals;
    const auto compare = [&residuals](double played_s, double measured_ms, double weight) {
      if (measured_ms <= 0) return;
      residuals.push_back(weight * std::log(std::max(played_s, kSecondsMin) * 1e3 / measured_ms));
    };
    for (const CurvePoint& point : points_) {
      const LoopTimes played =
          PlayLoop(model, point.concurrency, {point.input_tokens, point.output_tokens});
      compare(played.ttft_s, point.ttft_ms.p50, 1);
      if (point.output_tokens > 1.5) compare(played.tpot_s, point.tpot_ms.p50, 2);
    }
    for (std::size_t i = 0; i < unknowns.size(); ++i) {
      residuals.push_back((i < kFixedUnknowns ? kPriorWeight : kDecodePriorWeight) *
                          (unknowns[i] - start_[i]));
    }
    return residuals;
  }

  // Levenberg's step: derivatives by differences.
  Vector StepFrom(const Vector& unknowns, const Vector& residuals, double damping) const {
    const std::size_t n = unknowns.size();
    std::vector<Vector> derivatives(n);
    for (std::size_t i = 0; i < n; ++i) {
      Vector moved = unknowns;
      moved[i] += kStepSize;
      derivatives[i] = Residuals(moved);
      for (std::size_t k = 0; k < residuals.size(); ++k) {
        derivatives[i][k] = (derivatives[i][k] - residuals[k]) / kStepSize;
      }
    }
    std::vector<Vector> matrix(n, Vector(n));
    Vector right(n);
    for (std::size_t i = 0; i < n; ++i) {
      for (std::size_t j = 0; j < n; ++j) {
        for (std::size_t k = 0; k < residuals.size(); ++k) {
          matrix[i][j] += derivatives[i][k] * derivatives[j][k];
        }
      }
      for (std::size_t k = 0; k < residuals.size(); ++k) {
        right[i] -= derivatives[i][k] * residuals[k];
      }
    }
    for (std::size_t i = 0; i < n; ++i) matrix[i][i] = matrix[i][i] * (1 + damping) + 1e-9;
    return Solve(std::move(matrix), std::move(right));
  }

  // Whole tokens and steps make the error jump in small steps, where derivatives lead astray.
  void Polish(Vector& unknowns, Vector& residuals) const {
    for (const double size : {0.1, 0.03, 0.01}) {
      for (std::size_t i = 0; i < unknowns.size(); ++i) {
        for (const double change : {size, -size}) {
          Vector moved = unknowns;
          moved[i] += change;
          Vector there = Residuals(moved);
          if (Squares(there) >= Squares(residuals)) continue;
          unknowns = std::move(moved);
          residuals = std::move(there);
          break;
        }
      }
    }
  }

  StepFit Result(const Vector& unknowns) const {
    StepFit fit{.model = ModelAt(unknowns, batches_, settings_)};
    double count = 0;
    const auto add = [&](double played_s, double measured_ms) {
      if (measured_ms <= 0) return;
      const double error = std::abs(played_s * 1e3 / measured_ms - 1);
      fit.error_mean += error;
      fit.error_max = std::max(fit.error_max, error);
      ++count;
    };
    for (const CurvePoint& point : points_) {
      const LoopTimes played =
          PlayLoop(fit.model, point.concurrency, {point.input_tokens, point.output_tokens});
      add(played.ttft_s, point.ttft_ms.p50);
      if (point.output_tokens > 1.5) add(played.tpot_s, point.tpot_ms.p50);
    }
    fit.error_mean /= std::max(1.0, count);
    return fit;
  }

  std::vector<CurvePoint> points_;
  Vector batches_;
  StepModel settings_;
  Vector start_;
};

}  // namespace

LoopTimes PlayLoop(const StepModel& model, int concurrency, const policy::Shape& shape) {
  return Loop(model, concurrency, shape).Play();
}

StepFit FitStepModel(const policy::Calibration& calibration, const StepModel& settings) {
  StepFit fit = Fit(calibration, settings).Run();
  // Nothing was measured, or by an operator's word alone: the linear fit is what there is.
  if (fit.model.decode.empty()) {
    fit.model = ModelOf(calibration.step, settings.step_tokens_max);
    fit.model.step_target_s = settings.step_target_s;
    fit.model.prefill_tokens_min = settings.prefill_tokens_min;
  }
  return fit;
}

}  // namespace penstock::plan
