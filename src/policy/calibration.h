// Calibration: what one replica of a model does on this hardware, as measured, and what is sold of
// it.
//
// A value that the control plane keeps under the hashes of model and hardware, and the functions
// that read it. A calibration comes from measured points (FitCalibration): some at the reference
// workload with rising concurrency, the curve; others of other shapes, probes that tell the cost of
// a prompt's token from that of a reply's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "policy/capacity.h"

namespace penstock::policy {

// What an endpoint wants of its replicas: how many requests run on one of them at once.
enum class Strategy { kLatency, kBalanced, kThroughput };
std::string_view ToString(Strategy strategy);  // "latency", "balanced", "throughput"
// kInvalidArgument, naming the words.
Result<Strategy> ParseStrategy(std::string_view word, const std::string& field);

struct Percentiles {
  double p50 = 0;
  double p90 = 0;
  double p99 = 0;
  bool operator==(const Percentiles&) const = default;
};

// Means of a load's times.
struct MeanTimes {
  double ttft_ms = 0;
  double tpot_ms = 0;
  double latency_ms = 0;
  bool operator==(const MeanTimes&) const = default;
};

// One measured load: `concurrency` requests always under way, all of one shape or around it.
struct CurvePoint {
  int concurrency = 1;
  double input_tokens = kReferenceInputTokens;    // Of each request, as the server counted.
  double output_tokens = kReferenceOutputTokens;  // Likewise; at least 1.
  double requests_per_s = 0;                      // While all were under way; more than 0.
  Percentiles ttft_ms{};
  Percentiles tpot_ms{};  // Zeros where replies have one token.
  Percentiles latency_ms{};
  std::int64_t requests = 0;  // Measured ones.
  // 0 to below 1: lengths lie evenly between (1 - spread) and (1 + spread) times the two above.
  double spread = 0;
  // Where requests are not alike: of differing lengths, or with pauses between them. After a pause
  // a virtual processor is fast or slow by chance, and a median would be either. (Calibrations of
  // old have the means of pauses in the p50.)
  std::optional<MeanTimes> means{};
  bool operator==(const CurvePoint&) const = default;

  // What a request of this load takes: the means where there are any, else the medians.
  MeanTimes typical() const {
    return means.value_or(MeanTimes{ttft_ms.p50, tpot_ms.p50, latency_ms.p50});
  }

  double output_tokens_per_s() const { return requests_per_s * output_tokens; }
  double total_tokens_per_s() const { return requests_per_s * (input_tokens + output_tokens); }
};

// Time of one engine step: fixed + prefill tokens * p + decoding sequences * d + tokens of their
// contexts * x. Seconds, none negative.
struct StepTimes {
  double fixed_s = 0;
  double per_prefill_token_s = 0;
  double per_decode_sequence_s = 0;
  double per_context_token_s = 0;
  bool operator==(const StepTimes&) const = default;
};

// Requests in flight on one replica.
struct StrategyConcurrency {
  int latency = 1;
  int balanced = 1;
  int throughput = 1;
  bool operator==(const StrategyConcurrency&) const = default;
  int Of(Strategy strategy) const;
};

// How a calibration was made.
enum class CalibrationMode {
  kReference,  // At the reference workload.
  kQuick,      // With shorter requests; the reference workload's figures follow from the fit.
  kGiven,      // Nobody measured it: an operator said so.
};
std::string_view ToString(CalibrationMode mode);  // "reference", "quick", "given"

inline constexpr int kChunksPerReplica = 4;
inline constexpr int kChunksPerReplicaMax = 1000;

struct Calibration {
  std::string model_hash{};     // Of the model's files.
  std::string hardware_hash{};  // Of the machine, the engine's build and its settings.
  std::string hardware{};       // The same for people: "2 x Xeon ..., 2 threads, llama 0.5.0".

  double cost_per_s = 0;  // K: normalised tokens/s of one replica at the balanced point. Above 0.
  CostWeights weights{};  // w_out and w_cached.
  std::int64_t chunk_tokens_per_s = kUncalibratedChunk;
  int chunks_per_replica = kChunksPerReplica;
  StrategyConcurrency concurrency{};
  std::vector<CurvePoint> curve{};   // At the reference workload, or as kQuick measured it.
  std::vector<CurvePoint> probes{};  // Of other shapes.
  StepTimes step{};

  CalibrationMode mode = CalibrationMode::kReference;
  WallTime measured_at{};
  std::string how{};  // For people: requests, seconds, what stopped the sweep, what to doubt.
  bool operator==(const Calibration&) const;
};

// The points from which a calibration is made.
struct CalibrationPoints {
  std::vector<CurvePoint> curve{};   // One shape, rising concurrency; at least one point.
  std::vector<CurvePoint> probes{};  // Of other shapes; without any, prompts are taken to cost what
                                     // the first token of the least concurrency took.
};
struct CalibrationSettings {
  int chunks_per_replica = kChunksPerReplica;  // 1 to kChunksPerReplicaMax.
  double cached_weight = 0;                    // w_cached; 0 to 1.
  double latency_p90_max_ms = 0;               // Points beyond it are not sold; 0: no limit.
  // The model answers with vectors, not tokens: a token is an input token, and all cost the same.
  bool embeds = false;
};
// Pure arithmetic. Fills in cost, weights, chunk, concurrency, curve, probes, step and mode; the
// caller adds hashes, time and words. kInvalidArgument: no point that can be used.
Result<Calibration> FitCalibration(const CalibrationPoints& points,
                                   const CalibrationSettings& settings);

// Index of the knee: most throughput / median latency; of equals the least concurrency. REQUIRES:
// at least one point.
std::size_t Knee(const std::vector<CurvePoint>& curve);

// Non-negative least squares of measured points, by relative error.
StepTimes FitStepTimes(const std::vector<CurvePoint>& points);

// Requests/s and TPOT of `concurrency` requests of a shape under way, after the fit.
struct Predicted {
  double requests_per_s = 0;
  double ttft_s = 0;  // Of a request that finds the others decoding.
  double tpot_s = 0;
};
struct Shape {
  double input_tokens = kReferenceInputTokens;
  double output_tokens = kReferenceOutputTokens;
};
Predicted Predict(const StepTimes& step, const Shape& shape, int concurrency);

// Tokens/s at the reference workload that `cost_per_s` buys: ContractCostPerSecond() turned round.
double ContractTokensPerSecond(double cost_per_s, const CostWeights& weights);

// The unit of sale of a replica that does `cost_per_s`: what kGuaranteeShare of it buys, over
// `chunks_per_replica`, rounded down to two or three leading digits. At least 1.
std::int64_t ChunkFor(double cost_per_s, const CostWeights& weights, int chunks_per_replica);

// The multiples of `chunk` around `value`; equal where it is one. The lower is never below 0, the
// upper never above kThroughputMax.
struct Multiples {
  std::int64_t below = 0;
  std::int64_t above = 0;
  bool operator==(const Multiples&) const = default;
};
Multiples NearestMultiples(std::int64_t value, std::int64_t chunk);

// What endpoints need of it.
ReplicaCapacity CapacityOf(const Calibration& calibration);

}  // namespace penstock::policy
