// Usage records for tests.
#pragma once

#include <chrono>
#include <cstdint>
#include <string_view>

#include "base/random.h"
#include "meter/usage_record.h"

namespace penstock::meter {

inline constexpr WallTime kRandomRecordsBegin{std::chrono::milliseconds(1'800'000'000'000)};

// Within ten minutes from kRandomRecordsBegin.
inline UsageRecord RandomRecord(Random& random) {
  static constexpr std::string_view kNames[] = {"chat", "code", "embed"};
  UsageRecord record{
      .id = {.high = random.Next(), .low = random.Next()},
      .ended_at = kRandomRecordsBegin + std::chrono::milliseconds(random.Below(10 * 60'000)),
      .endpoint = kNames[random.Below(3)],
      .endpoint_id = "id",
      .model = random.Below(2) == 0 ? "m" : "main.default.model",
      .model_version = static_cast<std::int64_t>(random.Below(3))};
  record.operation = static_cast<Operation>(random.Below(4));
  record.end = static_cast<RequestEnd>(random.Below(kRequestEnds));
  record.source = static_cast<UsageSource>(random.Below(4));
  record.stream = random.Below(2) == 0;
  record.spilled_from = random.Below(9) == 0 ? "full" : "";
  record.status = random.Below(5) == 0 ? 429 : 200;
  record.input_tokens = random.Below(10'000);
  record.cached_tokens = random.Below(record.input_tokens + 1);
  record.output_tokens = random.Below(1000);
  record.duration_us = random.Below(1 << 20) << random.Below(10);
  record.queue_wait_us = random.Below(3) == 0 ? random.Below(100'000) : 0;
  if (random.Below(3) != 0) record.ttft_us = random.Below(1 << 20);
  if (random.Below(3) != 0) record.tpot_ns = random.Below(1 << 30);
  record.cost_milli = random.Below(1 << 30);
  return record;
}

}  // namespace penstock::meter
