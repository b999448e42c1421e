#include "meter/prediction_times.h"

#include <algorithm>
#include <chrono>

#include "meter/ledger_reader.h"

namespace penstock::meter {
namespace {

// After it a minute's records are on the disk.
constexpr std::chrono::seconds kSettled(5);

}  // namespace

Result<Distribution> PredictionTimes::Of(const std::string& endpoint, Minute minute, WallTime now) {
  if (minute_ != minute) {
    times_.clear();
    minute_.reset();
    const auto take = [this, minute](const UsageRecord& record) {
      if (MinuteOf(record.ended_at) != minute || record.source == UsageSource::kNone) return;
      const std::uint64_t waited = std::min(record.queue_wait_us, record.duration_us);
      times_[std::string(record.endpoint)].Add(record.duration_us - waited);
    };
    const auto read =
        ReadLedger(folder_, TimeOf(minute), TimeOf(minute + 1), {.usage = take, .gauge = {}});
    if (!read) return Fail(read.error());
    if (now >= TimeOf(minute + 1) + kSettled) minute_ = minute;
  }
  const auto found = times_.find(endpoint);
  return found == times_.end() ? Distribution{} : found->second;
}

}  // namespace penstock::meter
