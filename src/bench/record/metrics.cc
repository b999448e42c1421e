#include "bench/record/metrics.h"

#include <algorithm>
#include <array>
#include <numeric>
#include <utility>

namespace penstock::bench {
namespace {

constexpr std::array<std::pair<std::string_view, std::string_view>, kMetrics> kNames = {{
    {"ttft", "TTFT"},
    {"ttft_service", "TTFT from sent"},
    {"ttfo", "time to first output"},
    {"tpot", "TPOT"},
    {"latency", "latency"},
    {"normalised_latency", "normalised latency"},
    {"request", "request time"},
}};

// Milliseconds between two moments; none where either never came.
std::optional<double> Between(std::int64_t from, std::int64_t to) {
  if (from == kNever || to == kNever) return std::nullopt;
  return static_cast<double>(to - from) * 1e-6;
}

// The identity's TPOT is that of the gaps, which were kept one by one: so it says whether they and
// the moment of the last chunk agree.
void AddIdentity(const RequestRecord& record, int later_tokens, RequestMetrics& metrics) {
  if (!metrics.latency_ms || !metrics.ttft_ms || *metrics.latency_ms <= 0) return;
  const double tpot = metrics.tpot_ms.value_or(0);
  const auto all_gaps =
      std::accumulate(record.gaps_ns.begin(), record.gaps_ns.end(), std::int64_t{0});
  const double later_ms = later_tokens > 0 ? static_cast<double>(all_gaps) * 1e-6 : 0;
  const double ours = *metrics.ttft_ms + later_ms;
  const double common = *metrics.ttft_ms + tpot * metrics.output_tokens;
  metrics.identity_residual = (*metrics.latency_ms - ours) / *metrics.latency_ms;
  metrics.common_identity_residual = (*metrics.latency_ms - common) / *metrics.latency_ms;
}

}  // namespace

RequestMetrics MetricsOf(const RequestRecord& record) {
  RequestMetrics metrics{.output_tokens = record.OutputTokens()};
  // A reply in one piece is complete when it ends.
  const std::int64_t last = record.last_token_ns != kNever ? record.last_token_ns : record.end_ns;
  metrics.ttft_ms = Between(record.scheduled_ns, record.first_token_ns);
  metrics.ttft_service_ms = Between(record.sent_ns, record.first_token_ns);
  metrics.ttfo_ms = Between(record.scheduled_ns, record.first_answer_ns);
  metrics.latency_ms = Between(record.scheduled_ns, last);
  metrics.latency_service_ms = Between(record.sent_ns, last);
  metrics.end_ms = Between(record.scheduled_ns, record.end_ns);
  metrics.send_lag_ms = Between(record.scheduled_ns, record.sent_ns);
  if (!record.streamed) metrics.request_ms = Between(record.sent_ns, record.end_ns);
  if (metrics.latency_ms && metrics.output_tokens > 0) {
    metrics.normalised_latency_ms = *metrics.latency_ms / metrics.output_tokens;
  }
  const int later_tokens = std::max(metrics.output_tokens - record.first_chunk_tokens, 0);
  if (later_tokens > 0 && record.chunks > 1) {
    metrics.tpot_ms = *Between(record.first_token_ns, record.last_token_ns) / later_tokens;
  }
  AddIdentity(record, later_tokens, metrics);
  return metrics;
}

std::string_view Name(Metric metric) { return kNames[static_cast<std::size_t>(metric)].first; }

std::string_view Title(Metric metric) { return kNames[static_cast<std::size_t>(metric)].second; }

std::optional<Metric> MetricNamed(std::string_view name) {
  const auto found = std::ranges::find(kNames, name, [](const auto& entry) { return entry.first; });
  if (found == kNames.end()) return std::nullopt;
  return static_cast<Metric>(found - kNames.begin());
}

std::optional<double> ValueOf(const RequestMetrics& metrics, Metric metric) {
  switch (metric) {
    case Metric::kTtft:
      return metrics.ttft_ms;
    case Metric::kTtftService:
      return metrics.ttft_service_ms;
    case Metric::kTtfo:
      return metrics.ttfo_ms;
    case Metric::kTpot:
      return metrics.tpot_ms;
    case Metric::kLatency:
      return metrics.latency_ms;
    case Metric::kNormalisedLatency:
      return metrics.normalised_latency_ms;
    case Metric::kRequest:
      return metrics.request_ms;
  }
  return std::nullopt;
}

}  // namespace penstock::bench
