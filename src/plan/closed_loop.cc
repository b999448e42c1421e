#include "plan/closed_loop.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <vector>

#include "plan/sim_replica.h"

namespace penstock::plan {
namespace {

using Vector = std::vector<double>;

std::size_t MedianPlace(std::size_t count) { return (count - 1) / 2; }

double MedianOf(Vector values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(MedianPlace(values.size()));
  std::ranges::nth_element(values, middle);
  return *middle;
}

double MeanOf(const Vector& values) {
  if (values.empty()) return 0;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// `tokens`, times a number of (1 - spread) to (1 + spread) that `part`, of 0 to 1, chooses.
int LengthOf(double tokens, double spread, double part) {
  return std::max(1, static_cast<int>(std::lround(tokens * (1 + spread * (2 * part - 1)))));
}

// Requests of a closed loop, and their times.
class Loop {
 public:
  Loop(const StepModel& model, int concurrency, const policy::Shape& shape, double spread)
      : replica_(model),
        warm_(concurrency),
        total_(static_cast<std::uint32_t>((spread > 0 ? kMixedTurns : 3) * concurrency + 4)),
        shape_(shape),
        spread_(spread) {}

  LoopTimes Play() {
    for (int i = 0; i < warm_; ++i) Begin(0);
    return RunOut();
  }

  LoopTimes PlayAlone() {
    total_ = 1;
    warm_ = 0;
    Begin(1);
    return RunOut();
  }

 private:
  // Of each that waits for its answer: enough that no meeting of two of them counts for much.
  static constexpr int kMixedTurns = 12;

  LoopTimes RunOut() {
    std::vector<SimReplica::Happening> happened;
    while (!replica_.idle()) {
      happened.clear();
      replica_.Advance(happened);
      for (const SimReplica::Happening& each : happened) Take(each);
    }
    return {.ttft_s = MiddleOf(ttft_), .tpot_s = MiddleOf(tpot_), .latency_s = MiddleOf(latency_)};
  }

  double MiddleOf(const Vector& values) const {
    return spread_ > 0 ? MeanOf(values) : MedianOf(values);
  }

  struct Times {
    double begin = 0;
    double first = 0;
    int output = 1;  // Tokens.
  };

  void Begin(double now) {
    if (requests_.size() == total_) return;
    const auto id = static_cast<std::uint32_t>(requests_.size());
    // Two sequences that fill a square evenly, whatever part of them is taken.
    const double input_part = std::fmod(0.5 + 0.7548776662466927 * id, 1.0);
    const double output_part = std::fmod(0.5 + 0.5698402909980532 * id, 1.0);
    const int input = LengthOf(shape_.input_tokens, spread_, input_part);
    const int output = LengthOf(shape_.output_tokens, spread_, output_part);
    requests_.push_back({.begin = now, .output = output});
    replica_.Add({.id = id, .input_tokens = input, .output_tokens = output}, now);
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
      const int later = times.output - 1;
      if (later > 0) tpot_.push_back((happening.at - times.first) / later);
    }
    Begin(happening.at);
  }

  SimReplica replica_;
  int warm_;
  std::uint32_t total_;
  policy::Shape shape_;
  double spread_;
  std::vector<Times> requests_;
  Vector ttft_;
  Vector tpot_;
  Vector latency_;
};

}  // namespace

LoopTimes PlayLoop(const StepModel& model, int concurrency, const policy::Shape& shape,
                   double spread) {
  return Loop(model, concurrency, shape, spread).Play();
}

LoopTimes PlayAlone(const StepModel& model, const policy::Shape& shape) {
  return Loop(model, 1, shape, 0).PlayAlone();
}

bool HasPauses(const policy::CurvePoint& point) {
  constexpr double kBusy = 0.7;  // Of the time; a closed loop's is nearly all of it.
  return point.concurrency == 1 && point.requests_per_s * point.typical().latency_ms < kBusy * 1e3;
}

bool IsForStepsAlone(const policy::CurvePoint& point) {
  return point.spread > 0 || HasPauses(point);
}

}  // namespace penstock::plan
