// LedgerReader: the records of a ledger's folder, whether its server runs or not.
//
// Reads segment after segment, oldest first. A record that the ledger holds twice (a copied file, a
// write repeated) is given once: ids are remembered over the last 2 × kRememberedMax records, which
// is further apart than any two writes of the same record.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <unordered_map>

#include "base/clock.h"
#include "base/result.h"
#include "meter/ledger.h"
#include "meter/usage_record.h"

namespace penstock::meter {

// Tells whether an id was seen before, within a bounded memory.
class RecentIds {
 public:
  static constexpr std::size_t kRememberedMax = 1 << 16;

  // True the first time.
  bool Insert(const RequestId& id);

 private:
  struct Hash {
    std::size_t operator()(const RequestId& id) const {
      return static_cast<std::size_t>(id.low * 0x9E3779B97F4A7C15u ^ id.high);
    }
  };
  // By block of 64 ids in a row: those that were seen, as bits.
  using Blocks = std::unordered_map<RequestId, std::uint64_t, Hash>;
  Blocks newer_;
  Blocks older_;
  std::size_t newer_size_ = 0;  // Ids.
};

struct LedgerVisitor {
  std::function<void(const UsageRecord&)> usage;  // Views live during the call.
  std::function<void(const GaugeRecord&)> gauge;  // May be empty.
};

struct LedgerReadStats {
  std::uint64_t records = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t unknown = 0;        // Of a newer version's kinds.
  std::uint64_t damaged_bytes = 0;  // Unreadable, to the end of their segments.
};

// Visits the records of all segments that may hold one of [from, until). A server may write and
// remove segments meanwhile. Blocks. Errors: the folder cannot be read.
Result<LedgerReadStats> ReadLedger(const std::string& folder, WallTime from, WallTime until,
                                   const LedgerVisitor& visitor);

// Visits the whole frames of `bytes`, which begin at a frame. Gives how many bytes they were.
std::size_t VisitFrames(std::string_view bytes, const LedgerVisitor& visitor, RecentIds* ids,
                        LedgerReadStats& stats);

}  // namespace penstock::meter
