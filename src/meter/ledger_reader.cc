#include "meter/ledger_reader.h"

#include <utility>
#include <vector>

#include "base/file.h"
#include "meter/ledger_format.h"

namespace penstock::meter {
namespace {

// A record is in a segment that was begun before it, by no more than a segment's age; clocks that
// were set forward or back add to that.
constexpr auto kSegmentSpan = std::chrono::hours(3);

void VisitPayload(std::string_view payload, const LedgerVisitor& visitor, RecentIds* ids,
                  LedgerReadStats& stats) {
  const auto kind = KindOf(payload);
  if (kind == RecordKind::kUsage) {
    const auto record = DecodeUsage(payload);
    if (!record) {
      stats.damaged_bytes += payload.size();
    } else if (ids != nullptr && !ids->Insert(record->id)) {
      ++stats.duplicates;
    } else {
      ++stats.records;
      visitor.usage(*record);
    }
  } else if (kind == RecordKind::kGauge) {
    const auto record = DecodeGauge(payload);
    if (!record) {
      stats.damaged_bytes += payload.size();
    } else if (visitor.gauge) {
      visitor.gauge(*record);
    }
  } else {
    ++stats.unknown;
  }
}

}  // namespace

// Neighbours share a block, since a server counts its ids up: most look-ups are for the last block.
bool RecentIds::Insert(const RequestId& id) {
  const RequestId block{.high = id.high, .low = id.low / 64};
  const std::uint64_t bit = std::uint64_t{1} << (id.low % 64);
  const auto old = older_.find(block);
  if (old != older_.end() && (old->second & bit) != 0) return false;
  std::uint64_t& bits = newer_[block];
  if ((bits & bit) != 0) return false;
  bits |= bit;
  if (++newer_size_ >= kRememberedMax) {
    older_ = std::exchange(newer_, {});
    newer_size_ = 0;
  }
  return true;
}

std::size_t VisitFrames(std::string_view bytes, const LedgerVisitor& visitor, RecentIds* ids,
                        LedgerReadStats& stats) {
  FrameReader reader(bytes);
  while (const auto payload = reader.Next()) VisitPayload(*payload, visitor, ids, stats);
  if (reader.damaged()) stats.damaged_bytes += bytes.size() - reader.position();
  return reader.position();
}

Result<LedgerReadStats> ReadLedger(const std::string& folder, WallTime from, WallTime until,
                                   const LedgerVisitor& visitor) {
  const auto segments = ListSegments(folder);
  if (!segments) return Fail(segments.error());
  LedgerReadStats stats;
  RecentIds ids;
  const LedgerVisitor within{.usage =
                                 [&](const UsageRecord& record) {
                                   if (record.ended_at >= from && record.ended_at < until)
                                     visitor.usage(record);
                                 },
                             .gauge =
                                 [&](const GaugeRecord& record) {
                                   if (visitor.gauge && record.at >= from && record.at < until)
                                     visitor.gauge(record);
                                 }};
  for (const SegmentFile& segment : *segments) {
    const bool all_time = from == WallTime::min();
    const bool later = until != WallTime::max() && segment.first_at >= until + kSegmentSpan;
    if (later || (!all_time && segment.first_at < from - kSegmentSpan)) continue;
    auto content = ReadBeginning(segment.path, segment.bytes);
    if (!content && !segment.finished) {  // Finished meanwhile.
      content =
          ReadBeginning(folder + "/" + segment.stem + std::string(kFinishedEnding), segment.bytes);
    }
    if (!content) continue;  // Removed meanwhile.
    const std::string_view text(*content);
    if (!text.starts_with(kSegmentHead)) {
      if (segment.finished) stats.damaged_bytes += text.size();
      continue;
    }
    const std::uint64_t damaged = stats.damaged_bytes;
    VisitFrames(text.substr(kSegmentHead.size()), within, &ids, stats);
    // A frame that is just being written looks like a damaged one.
    if (!segment.finished) stats.damaged_bytes = damaged;
  }
  return stats;
}

}  // namespace penstock::meter
