#include "plan/calibration_pool.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <numeric>
#include <utility>

#include "plan/closed_loop.h"

namespace penstock::plan {
namespace {

using policy::CurvePoint;

bool SameLoad(const CurvePoint& a, const CurvePoint& b) {
  // Lengths that were drawn have means of their own.
  const double off = a.spread > 0 ? 0.3 : 0.02;
  const auto near = [off](double x, double y) { return std::abs(x - y) <= off * std::max(x, y); };
  return a.concurrency == b.concurrency && HasPauses(a) == HasPauses(b) && a.spread == b.spread &&
         near(a.input_tokens, b.input_tokens) && near(a.output_tokens, b.output_tokens);
}

// Loads with pauses are told by means: a virtual processor wakes up fast or slow, for seconds on
// end, and a median of several would be one or the other. So are those of differing lengths.
template <typename Take>
double MiddleOf(const std::vector<CurvePoint>& points, Take take) {
  std::vector<double> values;
  values.reserve(points.size());
  for (const CurvePoint& point : points) values.push_back(take(point));
  if (IsForStepsAlone(points.front())) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
  }
  std::ranges::sort(values);
  const std::size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

policy::Percentiles MiddleOf(const std::vector<CurvePoint>& points,
                             policy::Percentiles CurvePoint::* times) {
  const auto of = [&](double policy::Percentiles::* percentile) {
    return MiddleOf(points, [=](const CurvePoint& point) { return point.*times.*percentile; });
  };
  return {.p50 = of(&policy::Percentiles::p50),
          .p90 = of(&policy::Percentiles::p90),
          .p99 = of(&policy::Percentiles::p99)};
}

CurvePoint MiddlePoint(const std::vector<CurvePoint>& points) {
  CurvePoint pooled = points.front();
  pooled.input_tokens = MiddleOf(points, [](const auto& point) { return point.input_tokens; });
  pooled.output_tokens = MiddleOf(points, [](const auto& point) { return point.output_tokens; });
  pooled.requests_per_s = MiddleOf(points, [](const auto& point) { return point.requests_per_s; });
  pooled.ttft_ms = MiddleOf(points, &CurvePoint::ttft_ms);
  pooled.tpot_ms = MiddleOf(points, &CurvePoint::tpot_ms);
  pooled.latency_ms = MiddleOf(points, &CurvePoint::latency_ms);
  // Calibrations of old have their means in the p50.
  pooled.means.reset();
  if (std::ranges::any_of(points, [](const auto& point) { return point.means.has_value(); })) {
    const auto of = [&points](double policy::MeanTimes::* time) {
      return MiddleOf(points, [=](const CurvePoint& point) { return point.typical().*time; });
    };
    pooled.means = {.ttft_ms = of(&policy::MeanTimes::ttft_ms),
                    .tpot_ms = of(&policy::MeanTimes::tpot_ms),
                    .latency_ms = of(&policy::MeanTimes::latency_ms)};
  }
  pooled.requests = 0;
  for (const CurvePoint& point : points) pooled.requests += point.requests;
  return pooled;
}

}  // namespace

std::vector<CurvePoint> PoolPoints(std::span<const CurvePoint> points) {
  std::vector<std::vector<CurvePoint>> loads;
  for (const CurvePoint& point : points) {
    const auto found = std::ranges::find_if(
        loads, [&point](const auto& load) { return SameLoad(load.front(), point); });
    if (found == loads.end()) {
      loads.push_back({point});
    } else {
      found->push_back(point);
    }
  }
  std::vector<CurvePoint> pooled;
  pooled.reserve(loads.size());
  for (const auto& load : loads) pooled.push_back(MiddlePoint(load));
  return pooled;
}

Result<policy::Calibration> PoolCalibrations(std::span<const policy::Calibration> calibrations) {
  if (calibrations.empty()) return Fail(Code::kInvalidArgument, "there is no calibration to pool");
  const policy::Calibration& first = calibrations.front();
  if (calibrations.size() == 1) return first;
  std::vector<CurvePoint> curve;
  std::vector<CurvePoint> probes;
  for (const policy::Calibration& each : calibrations) {
    if (each.model_hash != first.model_hash || each.hardware_hash != first.hardware_hash) {
      return Fail(Code::kInvalidArgument,
                  "calibrations of different models, machines or engine settings cannot be pooled");
    }
    curve.insert(curve.end(), each.curve.begin(), each.curve.end());
    probes.insert(probes.end(), each.probes.begin(), each.probes.end());
  }
  const std::vector<CurvePoint> all = PoolPoints(probes);
  std::vector<CurvePoint> for_steps;
  std::ranges::copy_if(all, std::back_inserter(for_steps), IsForStepsAlone);
  std::erase_if(probes, IsForStepsAlone);
  const bool embeds =
      std::ranges::all_of(curve, [](const CurvePoint& point) { return point.output_tokens <= 1; });
  auto pooled = policy::FitCalibration({.curve = PoolPoints(curve), .probes = PoolPoints(probes)},
                                       {.chunks_per_replica = first.chunks_per_replica,
                                        .cached_weight = first.weights.cached,
                                        .embeds = embeds});
  if (!pooled) return pooled;
  pooled->probes.insert(pooled->probes.end(), for_steps.begin(), for_steps.end());
  pooled->model_hash = first.model_hash;
  pooled->hardware_hash = first.hardware_hash;
  pooled->hardware = first.hardware;
  pooled->measured_at = calibrations.back().measured_at;
  pooled->how =
      fmt::format("medians of {} calibrations; the first: {}", calibrations.size(), first.how);
  return pooled;
}

}  // namespace penstock::plan
