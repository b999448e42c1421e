// Metrics: what one request's record says, by the definitions of docs/benchmarking.md. Pure.
//
// Every figure that this folder shows of a request comes out of MetricsOf(); nothing else subtracts
// two times of a record.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "bench/record/record.h"

namespace penstock::bench {

inline double ToMilliseconds(std::int64_t ns) { return static_cast<double>(ns) * 1e-6; }

// Milliseconds; none where the record cannot say it: no token came, or the reply was too short.
struct RequestMetrics {
  // First chunk with text, be it content, reasoning or a tool call. From when the request was due
  // (what a user waits) and from when it was sent (what the service takes): always side by side.
  std::optional<double> ttft_ms;
  std::optional<double> ttft_service_ms;
  std::optional<double> ttfo_ms;  // First text that is not reasoning, from when it was due.
  // (last chunk − first chunk) ÷ (N − n_first): of replies longer than their first chunk.
  std::optional<double> tpot_ms;
  std::optional<double> latency_ms;             // To the last token's chunk, from when it was due.
  std::optional<double> latency_service_ms;     // The same, from when it was sent.
  std::optional<double> normalised_latency_ms;  // latency ÷ N.
  std::optional<double> end_ms;                 // To the response's end, from when it was due.
  // Sent to the end of a reply in one piece, which has no tokens to time one by one.
  std::optional<double> request_ms;
  std::optional<double> send_lag_ms;  // Due to sent.

  int output_tokens = 0;  // N.
  // latency − (TTFT + TPOT·(N − n_first)), as a share of latency: rounding, unless a record
  // contradicts itself.
  std::optional<double> identity_residual;
  // latency − (TTFT + TPOT·N), as a share of latency: what the common form gets wrong.
  std::optional<double> common_identity_residual;
};
RequestMetrics MetricsOf(const RequestRecord& record);

// The metrics that a budget may bound.
enum class Metric {
  kTtft,
  kTtftService,
  kTtfo,
  kTpot,
  kLatency,
  kNormalisedLatency,
  kRequest,
};
inline constexpr int kMetrics = 7;
std::string_view Name(Metric metric);   // "ttft", "ttft_service", …: as a budget writes it.
std::string_view Title(Metric metric);  // "TTFT", …: for people.
std::optional<Metric> MetricNamed(std::string_view name);
std::optional<double> ValueOf(const RequestMetrics& metrics, Metric metric);

}  // namespace penstock::bench
