// The times of a level that all forms of a summary tell, under one name each.
#pragma once

#include <array>
#include <string_view>

#include "bench/judge/summary.h"
#include "bench/record/statistics.h"

namespace penstock::bench {

struct SummaryTime {
  std::string_view name;  // Without its unit: "ttft" is "ttft_ms" in JSON, "ttft_seconds" for
                          // Prometheus.
  Distribution LevelSummary::* of;
};

inline constexpr std::array<SummaryTime, 12> kSummaryTimes = {
    {{"ttft", &LevelSummary::ttft_ms},
     {"ttft_service", &LevelSummary::ttft_service_ms},
     {"ttfo", &LevelSummary::ttfo_ms},
     {"tpot", &LevelSummary::tpot_ms},
     {"icl", &LevelSummary::icl_ms},
     {"latency", &LevelSummary::latency_ms},
     {"normalised_latency", &LevelSummary::normalised_latency_ms},
     {"request", &LevelSummary::request_ms},
     {"send_lag", &LevelSummary::send_lag_ms},
     {"server_queue", &LevelSummary::server_queue_ms},
     {"end", &LevelSummary::end_ms},
     {"retry_after", &LevelSummary::retry_after_ms}}};

}  // namespace penstock::bench
