#include "meter/series_check.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <utility>

#include "meter/ledger_format.h"
#include "meter/ledger_reader.h"
#include "meter/rollup.h"
#include "meter/time_text.h"

namespace penstock::meter {
namespace {

constexpr std::size_t kExamplesMax = 10;
constexpr Minute kMinutesPerHour = 60;

using Key = std::pair<std::string, Minute>;

// Minutes without sketches, and the hours' sketches.
struct Content {
  std::map<Key, EndpointMinute> minutes;
  std::map<Key, EndpointMinute> hours;

  void Add(const std::string& endpoint, Minute minute, const EndpointMinute& part) {
    EndpointMinute plain = part;
    for (auto& [key, cell] : plain.cells) {
      for (Distribution* const d :
           {&cell.ttft_us, &cell.tpot_us, &cell.duration_us, &cell.queue_us}) {
        d->sketch.Clear();
      }
    }
    minutes[{endpoint, minute}].Merge(plain);
    hours[{endpoint, minute / kMinutesPerHour * kMinutesPerHour}].Merge(part);
  }
};

std::uint64_t RequestsOf(const EndpointMinute& minute) {
  std::uint64_t requests = 0;
  for (const auto& [key, cell] : minute.cells) requests += cell.requests;
  return requests;
}

void Compare(const std::map<Key, EndpointMinute>& ledger,
             const std::map<Key, EndpointMinute>& series, std::string_view what,
             SeriesCheck& check) {
  static const EndpointMinute nothing;
  std::map<Key, std::pair<const EndpointMinute*, const EndpointMinute*>> both;
  for (const auto& [key, minute] : ledger) both[key] = {&minute, &nothing};
  for (const auto& [key, minute] : series) {
    auto& pair = both[key];
    if (pair.first == nullptr) pair.first = &nothing;
    pair.second = &minute;
  }
  for (const auto& [key, pair] : both) {
    if (*pair.first == *pair.second) continue;
    ++check.differences;
    if (check.examples.size() >= kExamplesMax) continue;
    check.examples.push_back(
        fmt::format("{} {} of endpoint '{}': {} request{} in the ledger, {} in the series{}", what,
                    FormatTime(TimeOf(key.second)), key.first, RequestsOf(*pair.first),
                    RequestsOf(*pair.first) == 1 ? "" : "s", RequestsOf(*pair.second),
                    RequestsOf(*pair.first) == RequestsOf(*pair.second) ? ", other values" : ""));
  }
}

Status CheckDay(const std::string& folder, Series::Range range, const ReadSeries& read,
                SeriesCheck& check) {
  Rollup rollup;
  const auto stats = ReadLedger(folder, TimeOf(range.from), TimeOf(range.until),
                                {.usage =
                                     [&](const UsageRecord& record) {
                                       rollup.Add(record);
                                       ++check.records;
                                     },
                                 .gauge = [&](const GaugeRecord& record) { rollup.Add(record); }});
  if (!stats) return Fail(stats.error());
  Content ledger;
  for (const auto& [endpoint, minutes] : rollup.endpoints()) {
    for (const auto& [minute, content] : minutes) ledger.Add(endpoint, minute, content);
  }
  Content series;
  const Status done =
      read(range, [&](const std::string& endpoint, Minute minute, const EndpointMinute& content) {
        series.Add(endpoint, minute, content);
      });
  if (!done) return done;
  check.minutes += std::max(ledger.minutes.size(), series.minutes.size());
  const std::uint64_t before = check.differences;
  Compare(ledger.minutes, series.minutes, "minute", check);
  // Hours differ where minutes do; else it is the sketches.
  if (check.differences == before) Compare(ledger.hours, series.hours, "hour", check);
  return {};
}

// Records behind what was counted, and where the first of them belongs.
void FindPending(const std::vector<SegmentFile>& segments, const Positions& counted,
                 SeriesCheck& check) {
  const auto take = [&check](WallTime at) {
    const Minute minute = MinuteOf(at);
    check.pending_from = check.pending == 0 ? minute : std::min(check.pending_from, minute);
    ++check.pending;
  };
  const LedgerVisitor visitor{.usage = [&](const UsageRecord& record) { take(record.ended_at); },
                              .gauge = [&](const GaugeRecord& record) { take(record.at); }};
  for (const SegmentFile& segment : segments) {
    const auto found = counted.find(segment.stem);
    const std::uint64_t position = found == counted.end() ? 0 : found->second;
    if (position >= segment.bytes) continue;
    const auto content = ReadBeginning(segment.path, segment.bytes);
    if (!content || !content->starts_with(kSegmentHead)) continue;
    LedgerReadStats stats;
    const auto from = std::max<std::size_t>(position, kSegmentHead.size());
    VisitFrames(std::string_view(*content).substr(from), visitor, nullptr, stats);
  }
}

}  // namespace

Result<SeriesCheck> CheckSeries(const std::string& folder, Series::Range range,
                                const ReadSeries& read, const Positions* counted) {
  const auto segments = ListSegments(folder);
  if (!segments) return Fail(segments.error());
  SeriesCheck check;
  if (segments->empty()) return check;
  if (counted != nullptr) FindPending(*segments, *counted, check);
  if (check.pending > 0) range.until = std::min(range.until, check.pending_from);
  // Where older segments were removed, the first hour may lack records that went with them.
  const Minute first = MinuteOf(segments->front().first_at);
  const auto hour = [](Minute minute) {
    return (minute + kMinutesPerHour - 1) / kMinutesPerHour * kMinutesPerHour;
  };
  Minute from = std::max(range.from, first);
  if (access((folder + "/" + std::string(kRemovedMark)).c_str(), F_OK) == 0) {
    from = std::max(range.from, hour(first + 1));
  }
  while (from < range.until) {
    const Minute until = std::min(range.until, (from / kMinutesPerDay + 1) * kMinutesPerDay);
    const Status done = CheckDay(folder, {.from = from, .until = until}, read, check);
    if (!done) return Fail(done.error());
    from = until;
    // Days without anything are passed over.
    if (from > MinuteOf(segments->back().first_at) + kMinutesPerDay) break;
  }
  return check;
}

}  // namespace penstock::meter
