#include "plan/closed_loop.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
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
    return RunOut();
  }

  LoopTimes PlayAlone() {
    total_ = 1;
    warm_ = 0;
    Begin(1);
    return RunOut();
  }

 private:
  LoopTimes RunOut() {
    std::vector<SimReplica::Happening> happened;
    while (!replica_.idle()) {
      happened.clear();
      replica_.Advance(happened);
      for (const SimReplica::Happening& each : happened) Take(each);
    }
    return {.ttft_s = MedianOf(ttft_), .tpot_s = MedianOf(tpot_), .latency_s = MedianOf(latency_)};
  }

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

}  // namespace

LoopTimes PlayLoop(const StepModel& model, int concurrency, const policy::Shape& shape) {
  return Loop(model, concurrency, shape).Play();
}

LoopTimes PlayAlone(const StepModel& model, const policy::Shape& shape) {
  return Loop(model, 1, shape).PlayAlone();
}

bool HasPauses(const policy::CurvePoint& point) {
  constexpr double kBusy = 0.7;  // Of the time; a closed loop's is nearly all of it.
  return point.concurrency == 1 && point.requests_per_s * point.typical().latency_ms < kBusy * 1e3;
}

}  // namespace penstock::plan
