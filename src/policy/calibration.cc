#include "policy/calibration.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ranges>

#include "base/check.h"

namespace penstock::policy {
namespace {

constexpr double kReferenceTokens = kReferenceInputTokens + kReferenceOutputTokens;
// Output never counts less than an input token; and beyond this a measurement is wrong.
constexpr double kOutputWeightMin = 1;
constexpr double kOutputWeightMax = 100;
// The latency strategy accepts so much more than the least median latency.
constexpr double kLatencySlack = 1.25;
// Throughputs so near to the best are equal to it.
constexpr double kThroughputNear = 0.98;

bool Usable(const CurvePoint& point) {
  const auto positive = [](double value) { return std::isfinite(value) && value > 0; };
  return point.concurrency >= 1 && positive(point.requests_per_s) && positive(point.input_tokens) &&
         std::isfinite(point.output_tokens) && point.output_tokens >= 1 &&
         positive(point.latency_ms.p50) && std::isfinite(point.ttft_ms.p50) &&
         std::isfinite(point.tpot_ms.p50) && point.ttft_ms.p50 >= 0 && point.tpot_ms.p50 >= 0;
}

// What each unknown of StepTimes is multiplied by to give a request's share of the engine's time.
constexpr std::size_t kUnknowns = 4;
using Row = std::array<double, kUnknowns>;

// `decoding`: sequences that decode at once, on average.
Row WorkOf(const Shape& shape, double decoding) {
  const double decoded = shape.output_tokens - 1;  // The first token comes with the prompt.
  const double context = shape.input_tokens + shape.output_tokens / 2;
  return {decoded / std::max(1.0, decoding) + 1, shape.input_tokens, decoded, decoded * context};
}

double Dot(const Row& row, const StepTimes& step) {
  return row[0] * step.fixed_s + row[1] * step.per_prefill_token_s +
         row[2] * step.per_decode_sequence_s + row[3] * step.per_context_token_s;
}

Row RowOf(const CurvePoint& point) {
  const double decoding =
      point.requests_per_s * (point.output_tokens - 1) * point.tpot_ms.p50 * 1e-3;
  return WorkOf({.input_tokens = point.input_tokens, .output_tokens = point.output_tokens},
                decoding);
}

// Solves the normal equations of `rows` (each meant to give 1) for the unknowns in `chosen`, a set
// of bits. False where they do not determine them.
bool SolveFor(const std::vector<Row>& rows, unsigned chosen, Row& solution) {
  std::array<std::array<double, kUnknowns + 1>, kUnknowns> matrix{};
  Row scale{};
  for (std::size_t i = 0; i < kUnknowns; ++i) {
    for (const Row& row : rows) scale[i] += row[i] * row[i];
    scale[i] = scale[i] > 0 ? std::sqrt(scale[i]) : 1;
  }
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < kUnknowns; ++i) {
      for (std::size_t j = 0; j < kUnknowns; ++j) {
        matrix[i][j] += row[i] / scale[i] * row[j] / scale[j];
      }
      matrix[i][kUnknowns] += row[i] / scale[i];
    }
  }
  for (std::size_t i = 0; i < kUnknowns; ++i) {
    if ((chosen >> i & 1U) != 0) continue;
    for (std::size_t j = 0; j <= kUnknowns; ++j) matrix[i][j] = 0;
    for (std::size_t j = 0; j < kUnknowns; ++j) matrix[j][i] = 0;
    matrix[i][i] = 1;  // This unknown is 0.
  }
  constexpr double kTooSmall = 1e-9;
  for (std::size_t i = 0; i < kUnknowns; ++i) {
    std::size_t pivot = i;
    for (std::size_t j = i + 1; j < kUnknowns; ++j) {
      if (std::abs(matrix[j][i]) > std::abs(matrix[pivot][i])) pivot = j;
    }
    std::swap(matrix[i], matrix[pivot]);
    if (std::abs(matrix[i][i]) < kTooSmall) return false;
    for (std::size_t j = 0; j < kUnknowns; ++j) {
      if (j == i) continue;
      const double factor = matrix[j][i] / matrix[i][i];
      for (std::size_t k = i; k <= kUnknowns; ++k) matrix[j][k] -= factor * matrix[i][k];
    }
  }
  for (std::size_t i = 0; i < kUnknowns; ++i) {
    solution[i] = matrix[i][kUnknowns] / matrix[i][i] / scale[i];
  }
  return true;
}

double SquaredError(const std::vector<Row>& rows, const Row& solution) {
  double sum = 0;
  for (const Row& row : rows) {
    double given = -1;
    for (std::size_t i = 0; i < kUnknowns; ++i) given += row[i] * solution[i];
    sum += given * given;
  }
  return sum;
}

StrategyConcurrency ChooseConcurrency(const std::vector<CurvePoint>& curve) {
  const CurvePoint& knee = curve[Knee(curve)];
  double least_latency = knee.latency_ms.p50;
  double most_throughput = 0;
  for (const CurvePoint& point : curve) {
    least_latency = std::min(least_latency, point.latency_ms.p50);
    most_throughput = std::max(most_throughput, point.output_tokens_per_s());
  }
  StrategyConcurrency chosen{
      .latency = 1, .balanced = knee.concurrency, .throughput = knee.concurrency};
  int throughput = 0;
  for (const CurvePoint& point : curve) {
    if (point.latency_ms.p50 <= kLatencySlack * least_latency) {
      chosen.latency = std::max(chosen.latency, point.concurrency);
    }
    const bool near = point.output_tokens_per_s() >= kThroughputNear * most_throughput;
    if (near && (throughput == 0 || point.concurrency < throughput)) throughput = point.concurrency;
  }
  // The three stand in this order whatever the noise of the measurement.
  chosen.latency = std::min(chosen.latency, chosen.balanced);
  chosen.throughput = std::max(throughput, chosen.balanced);
  return chosen;
}

bool IsReference(const CurvePoint& point) {
  constexpr double kNear = 0.1;
  return std::abs(point.input_tokens - kReferenceInputTokens) <= kNear * kReferenceInputTokens &&
         std::abs(point.output_tokens - kReferenceOutputTokens) <= kNear * kReferenceOutputTokens;
}

}  // namespace

std::string_view ToString(Strategy strategy) {
  switch (strategy) {
    case Strategy::kLatency:
      return "latency";
    case Strategy::kBalanced:
      return "balanced";
    case Strategy::kThroughput:
      return "throughput";
  }
  return "";
}

Result<Strategy> ParseStrategy(std::string_view word, const std::string& field) {
  for (const Strategy strategy : {Strategy::kLatency, Strategy::kBalanced, Strategy::kThroughput}) {
    if (word == ToString(strategy)) return strategy;
  }
  return Fail(Code::kInvalidArgument,
              fmt::format("{} must be \"latency\", \"balanced\" or \"throughput\", got \"{}\"",
                          field, word.substr(0, 80)),
              field);
}

std::string_view ToString(CalibrationMode mode) {
  switch (mode) {
    case CalibrationMode::kReference:
      return "reference";
    case CalibrationMode::kQuick:
      return "quick";
    case CalibrationMode::kGiven:
      return "given";
  }
  return "";
}

int StrategyConcurrency::Of(Strategy strategy) const {
  switch (strategy) {
    case Strategy::kLatency:
      return latency;
    case Strategy::kBalanced:
      return balanced;
    case Strategy::kThroughput:
      return throughput;
  }
  return balanced;
}

bool Calibration::operator==(const Calibration& other) const {
  return model_hash == other.model_hash && hardware_hash == other.hardware_hash &&
         hardware == other.hardware && cost_per_s == other.cost_per_s &&
         weights.output == other.weights.output && weights.cached == other.weights.cached &&
         chunk_tokens_per_s == other.chunk_tokens_per_s &&
         chunks_per_replica == other.chunks_per_replica && concurrency == other.concurrency &&
         curve == other.curve && probes == other.probes && step == other.step &&
         mode == other.mode && measured_at == other.measured_at && how == other.how;
}

std::size_t Knee(const std::vector<CurvePoint>& curve) {
  CHECK(!curve.empty(), "a curve has points");
  const auto merit = [](const CurvePoint& point) {
    return point.output_tokens_per_s() / point.latency_ms.p50;
  };
  std::size_t best = 0;
  for (std::size_t i = 1; i < curve.size(); ++i) {
    const double gain = merit(curve[i]) - merit(curve[best]);
    if (gain > 0 || (gain == 0 && curve[i].concurrency < curve[best].concurrency)) best = i;
  }
  return best;
}

StepTimes FitStepTimes(const std::vector<CurvePoint>& points) {
  std::vector<Row> rows;
  for (const CurvePoint& point : points) {
    if (!Usable(point)) continue;
    Row row = RowOf(point);
    for (double& factor : row) factor *= point.requests_per_s;  // So that each row gives 1.
    rows.push_back(row);
  }
  Row best{};
  double least_error = static_cast<double>(rows.size()) + 1;
  for (unsigned chosen = 1; chosen < 1U << kUnknowns; ++chosen) {
    Row solution{};
    if (!SolveFor(rows, chosen, solution)) continue;
    if (std::ranges::any_of(solution, [](double value) { return !(value >= 0); })) continue;
    const double error = SquaredError(rows, solution);
    if (error >= least_error) continue;
    least_error = error;
    best = solution;
  }
  return {.fixed_s = best[0],
          .per_prefill_token_s = best[1],
          .per_decode_sequence_s = best[2],
          .per_context_token_s = best[3]};
}

Predicted Predict(const StepTimes& step, const Shape& shape, int concurrency) {
  const double decoded = shape.output_tokens - 1;
  double decoding = concurrency;
  Predicted predicted;
  constexpr int kRounds = 200;  // Halving the distance each time: far beyond a double's precision.
  for (int round = 0; round < kRounds; ++round) {
    const double work_s = Dot(WorkOf(shape, decoding), step);
    if (work_s <= 0) return {};
    predicted.requests_per_s = 1 / work_s;
    predicted.ttft_s = step.fixed_s + shape.input_tokens * step.per_prefill_token_s +
                       std::max(0.0, decoding - 1) * step.per_decode_sequence_s;
    const double waiting = predicted.requests_per_s * predicted.ttft_s;
    decoding = (decoding + std::clamp(concurrency - waiting, 1.0, double(concurrency))) / 2;
  }
  const double in_flight_s = concurrency / predicted.requests_per_s;  // Little's law.
  predicted.ttft_s = std::min(predicted.ttft_s, in_flight_s);
  if (decoded > 0) predicted.tpot_s = (in_flight_s - predicted.ttft_s) / decoded;
  return predicted;
}

Result<Calibration> FitCalibration(const CalibrationPoints& points,
                                   const CalibrationSettings& settings) {
  const auto within = [&settings](const CurvePoint& point) {
    return settings.latency_p90_max_ms <= 0 || point.latency_ms.p90 <= settings.latency_p90_max_ms;
  };
  std::vector<CurvePoint> curve;
  std::ranges::copy_if(points.curve, std::back_inserter(curve), Usable);
  if (curve.empty()) {
    return Fail(Code::kInvalidArgument, "the calibration has no point of its curve to go by");
  }
  std::vector<CurvePoint> sold;
  std::ranges::copy_if(curve, std::back_inserter(sold), within);
  if (sold.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("no point of the curve keeps a p90 latency of {:.0f} ms; the least has "
                            "{:.0f} ms",
                            settings.latency_p90_max_ms,
                            std::ranges::min(curve, {}, [](const CurvePoint& point) {
                              return point.latency_ms.p90;
                            }).latency_ms.p90));
  }
  Calibration made{.weights = {.cached = settings.cached_weight},
                   .chunks_per_replica = settings.chunks_per_replica,
                   .concurrency = ChooseConcurrency(sold),
                   .curve = points.curve,
                   .probes = points.probes};
  std::vector<CurvePoint> all = curve;
  all.insert(all.end(), points.probes.begin(), points.probes.end());
  made.step = FitStepTimes(all);

  if (settings.embeds) {
    const CurvePoint& knee = sold[Knee(sold)];
    made.weights.output = kOutputWeightMin;
    made.cost_per_s = knee.requests_per_s * knee.input_tokens;
    made.chunk_tokens_per_s = ChunkFor(made.cost_per_s, made.weights, settings.chunks_per_replica);
    return made;
  }
  // One prompt token's time: by definition the normalised token's. Without probes of other shapes
  // the fit cannot tell it from the reply's, but the first token's time can.
  const CurvePoint& least = std::ranges::min(curve, {}, &CurvePoint::concurrency);
  double prefill_s = points.probes.empty() ? 0 : made.step.per_prefill_token_s;
  if (prefill_s <= 0) prefill_s = least.ttft_ms.p50 * 1e-3 / least.input_tokens;
  if (prefill_s <= 0) {
    return Fail(Code::kInvalidArgument, "the calibration cannot tell what a prompt's token costs");
  }
  const CurvePoint& knee = sold[Knee(sold)];
  const bool reference = IsReference(knee);
  made.mode = reference ? CalibrationMode::kReference : CalibrationMode::kQuick;
  const double input = reference ? knee.input_tokens : kReferenceInputTokens;
  const double output = reference ? knee.output_tokens : kReferenceOutputTokens;
  const double requests_per_s =
      reference ? knee.requests_per_s
                : Predict(made.step, {}, made.concurrency.balanced).requests_per_s;
  if (requests_per_s <= 0) {
    return Fail(Code::kInvalidArgument, "the calibration's points contradict each other");
  }
  made.weights.output = std::clamp((1 / (requests_per_s * prefill_s) - input) / output,
                                   kOutputWeightMin, kOutputWeightMax);
  made.cost_per_s = requests_per_s * (input + made.weights.output * output);
  made.chunk_tokens_per_s = ChunkFor(made.cost_per_s, made.weights, settings.chunks_per_replica);
  return made;
}

double ContractTokensPerSecond(double cost_per_s, const CostWeights& weights) {
  return cost_per_s * kReferenceTokens /
         (kReferenceInputTokens + weights.output * kReferenceOutputTokens);
}

std::int64_t ChunkFor(double cost_per_s, const CostWeights& weights, int chunks_per_replica) {
  const double raw = ContractTokensPerSecond(kGuaranteeShare * cost_per_s, weights) /
                     std::max(1, chunks_per_replica);
  const auto chunk =
      static_cast<std::int64_t>(std::clamp(raw, 1.0, static_cast<double>(kThroughputMax)));
  std::int64_t unit = chunk >= 100 ? 10 : 1;
  while (chunk / unit >= 1000) unit *= 10;
  return chunk / unit * unit;
}

Multiples NearestMultiples(std::int64_t value, std::int64_t chunk) {
  CHECK(chunk >= 1, "a chunk is at least one token per second");
  const std::int64_t most = kThroughputMax / chunk * chunk;
  if (value <= 0) return {};
  if (value >= most) return {.below = most, .above = most};
  const std::int64_t below = value / chunk * chunk;
  return {.below = below, .above = below == value ? below : below + chunk};
}

ReplicaCapacity CapacityOf(const Calibration& calibration) {
  return {.cost_per_s = calibration.cost_per_s,
          .chunk_tokens_per_s = calibration.chunk_tokens_per_s,
          .weights = calibration.weights};
}

}  // namespace penstock::policy
