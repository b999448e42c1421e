#include "bench/judge/timeline.h"

#include <algorithm>
#include <utility>

#include "bench/record/metrics.h"
#include "bench/record/statistics.h"

namespace penstock::bench {
namespace {

struct Slices {
  std::int64_t from_ns = INT64_MAX;
  std::int64_t to_ns = 0;

  std::size_t Of(std::int64_t at_ns) const {
    const double share =
        static_cast<double>(at_ns - from_ns) / static_cast<double>(to_ns - from_ns);
    const auto slice = static_cast<std::int64_t>(share * kTimelineSlices);
    return static_cast<std::size_t>(std::clamp<std::int64_t>(slice, 0, kTimelineSlices - 1));
  }
};

}  // namespace

std::vector<TimelineSlice> TimelineOf(const RunRecords& run) {
  Slices slices;
  for (const RequestRecord& record : run.requests) {
    if (record.phase == Phase::kFit) continue;
    slices.from_ns = std::min(slices.from_ns, record.scheduled_ns);
    slices.to_ns = std::max(slices.to_ns, record.end_ns);
  }
  if (slices.to_ns <= slices.from_ns) return {};
  std::vector<TimelineSlice> timeline(kTimelineSlices);
  std::vector<std::vector<double>> ttft(kTimelineSlices);
  std::vector<std::vector<double>> latency(kTimelineSlices);
  for (const RequestRecord& record : run.requests) {
    if (record.phase == Phase::kFit) continue;
    ++timeline[slices.Of(record.scheduled_ns)].requests_per_s;
    TimelineSlice& last = timeline[slices.Of(record.end_ns)];
    if (record.failed()) {
      ++last.failed;
    } else {
      ++last.ended;
      const RequestMetrics metrics = MetricsOf(record);
      if (metrics.ttft_ms) ttft[slices.Of(record.end_ns)].push_back(*metrics.ttft_ms);
      if (metrics.latency_ms) latency[slices.Of(record.end_ns)].push_back(*metrics.latency_ms);
    }
    if (record.chunks == 0) {
      last.output_tokens_per_s += record.OutputTokens();
      continue;
    }
    const double each = static_cast<double>(record.OutputTokens()) / record.chunks;
    std::int64_t at = record.first_token_ns;
    timeline[slices.Of(at)].output_tokens_per_s += each;
    for (const std::int64_t gap : record.gaps_ns) {
      at += gap;
      timeline[slices.Of(at)].output_tokens_per_s += each;
    }
  }
  const double length_s =
      static_cast<double>(slices.to_ns - slices.from_ns) * 1e-9 / kTimelineSlices;
  for (std::size_t i = 0; i < timeline.size(); ++i) {
    TimelineSlice& slice = timeline[i];
    slice.at_s = (static_cast<double>(i) + 0.5) * length_s;
    slice.output_tokens_per_s /= length_s;
    slice.requests_per_s /= length_s;
    slice.ttft_p50_ms = Describe(std::move(ttft[i])).p50;
    slice.latency_p50_ms = Describe(std::move(latency[i])).p50;
  }
  return timeline;
}

}  // namespace penstock::bench
