#include "gateway/limits_replay.h"

#include <algorithm>
#include <chrono>
#include <unordered_map>
#include <vector>

#include "meter/ledger_reader.h"

namespace penstock::gateway {

void LimitsReplay::Add(const meter::UsageRecord& record) {
  if (record.end == meter::RequestEnd::kRefused || record.endpoint_id.empty()) return;
  const auto age =
      std::max(std::chrono::duration_cast<Duration>(wall_now_ - record.started_at()), Duration{});
  if (age >= kReach) return;
  const auto endpoint = table_.Find(record.endpoint);
  if (endpoint == nullptr || endpoint->limits->empty()) return;
  constexpr Duration kSlot = policy::WindowCounter::kSlot;
  const TimePoint slot(kSlot * ((now_ - age).time_since_epoch() / kSlot));
  Sum& sum = slots_[slot][{std::string(record.endpoint), std::string(record.requester)}];
  ++sum.calls;
  sum.tokens += static_cast<std::int64_t>(record.input_tokens + record.output_tokens);
}

std::uint64_t LimitsReplay::Apply(const policy::KeyTable& keys) const {
  std::unordered_map<std::string_view, std::vector<std::string>> groups;
  for (const auto& [hash, key] : keys) groups.emplace(key.name, key.groups);
  std::uint64_t counted = 0;
  for (const auto& [slot, callers] : slots_) {
    for (const auto& [who, sum] : callers) {
      const auto& [endpoint, user] = who;
      const auto known = groups.find(user);
      policy::Caller caller{.user = user};
      if (known != groups.end()) caller.groups = known->second;
      table_.Find(endpoint)->limits->Replay(caller, sum.calls, sum.tokens, slot);
      counted += static_cast<std::uint64_t>(sum.calls);
    }
  }
  return counted;
}

Result<std::uint64_t> ReplayLimits(const LiveTable& table, const policy::KeyTable& keys,
                                   const std::string& ledger_folder, WallTime wall_now,
                                   TimePoint now) {
  const bool limited = std::ranges::any_of(
      table, [](const auto& endpoint) { return !endpoint.second->limits->empty(); });
  if (!limited) return 0;
  LimitsReplay replay(table, wall_now, now);
  // A request is written down when it ends, which is after it began.
  const WallTime from =
      wall_now - std::chrono::duration_cast<WallTime::duration>(LimitsReplay::kReach);
  const auto read = meter::ReadLedger(
      ledger_folder, from, WallTime::max(),
      {.usage = [&replay](const meter::UsageRecord& record) { replay.Add(record); }, .gauge = {}});
  if (!read) return Fail(read.error());
  return replay.Apply(keys);
}

}  // namespace penstock::gateway
