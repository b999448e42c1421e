// LimitsReplay: after a restart, what the ledger holds of the last minute counts into the
// endpoints' rate limits, so that they do not begin anew. Pure but for ReplayLimits().
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "gateway/live_table.h"
#include "meter/usage_record.h"
#include "policy/key_table.h"
#include "policy/window_counter.h"

namespace penstock::gateway {

class LimitsReplay {
 public:
  // What began longer ago has left every window.
  static constexpr Duration kReach =
      policy::WindowCounter::kSlot * static_cast<std::int64_t>(policy::WindowCounter::kSlots);

  // `table` outlives this. `wall_now` and `now` are the same moment by two clocks.
  LimitsReplay(const LiveTable& table, WallTime wall_now, TimePoint now)
      : table_(table), wall_now_(wall_now), now_(now) {}

  // In any order. What no limit has counted is left out.
  void Add(const meter::UsageRecord& record);
  // Counts them, oldest first. A caller's groups are those that its key has now. The requests that
  // were counted.
  std::uint64_t Apply(const policy::KeyTable& keys) const;

 private:
  struct Sum {
    std::int64_t calls = 0;
    std::int64_t tokens = 0;
  };
  using Callers = std::map<std::pair<std::string, std::string>, Sum>;  // By endpoint and key.

  const LiveTable& table_;
  WallTime wall_now_;
  TimePoint now_;
  std::map<TimePoint, Callers> slots_;  // By the begin of a slot of WindowCounter.
};

// Reads `ledger_folder` for it. Blocks. Nothing is read where no endpoint has a limit. Errors: the
// folder cannot be read.
Result<std::uint64_t> ReplayLimits(const LiveTable& table, const policy::KeyTable& keys,
                                   const std::string& ledger_folder, WallTime wall_now,
                                   TimePoint now);

}  // namespace penstock::gateway
