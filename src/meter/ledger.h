// Ledger: every request's usage record on disk, in append-only segments.
//
//   ledger/TIME-RUN-NUMBER.open     being written, by one thread
//   ledger/TIME-RUN-NUMBER.ledger   finished
//
// TIME is the first record's, in milliseconds since 1970; RUN tells the process. Each I/O thread
// writes a segment of its own, so recording takes no lock: a record is copied into the file's pages
// (LedgerWindow; where that cannot be, by one write) before Record() returns, and survives the
// death of the process from then on. A background thread calls SyncDirty(), so that a power cut
// loses what it did not reach. A segment that is being written ends in zeros.
//
// A segment that another program cuts short while it is being written is given up: what was lost is
// counted and said, and records go on in a new one.
//
// A disk that fails keeps nobody from being served: up to kPendingBytesMax of records wait in
// memory, what does not fit is counted as lost.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/result.h"
#include "meter/ledger_window.h"
#include "meter/usage_record.h"

namespace penstock::meter {

struct LedgerSettings {
  std::uint64_t segment_bytes_max = std::uint64_t{16} << 20;  // Then a new one is begun.
  Duration segment_age_max = std::chrono::hours(1);           // Likewise.
  std::uint64_t bytes_max = std::uint64_t{16} << 30;          // Of all; the oldest go first.
  Duration keep = std::chrono::days(93);                      // Then a segment is removed.
};

// What the ledger has to say for itself. Written by several threads.
struct LedgerCounters {
  std::atomic<std::uint64_t> records{0};       // Handed to the kernel.
  std::atomic<std::uint64_t> lost_records{0};  // No room on disk, nor in memory.
  std::atomic<std::uint64_t> write_failures{0};
  std::atomic<std::uint64_t> sync_failures{0};
  std::atomic<std::uint64_t> pending_bytes{0};     // Waiting for the disk.
  std::atomic<std::uint64_t> disk_bytes{0};        // Of all segments, as of the last Retain().
  std::atomic<std::uint64_t> removed_segments{0};  // By Retain().
  std::atomic<std::uint64_t> torn_bytes{0};        // Cut off at the start: of unfinished frames.
  std::atomic<std::uint64_t> cut_bytes{0};         // Of records, by another program.
  std::atomic<std::uint64_t> unsynced_us_max{0};   // Longest that a record waited for the disk.
  std::atomic<std::uint64_t> sync_us{0};           // What the last sync took.
};

// A segment as its writer and the background thread share it.
struct Segment {
  std::string stem;  // The file's name without its ending.
  Descriptor file;
  std::atomic<std::uint64_t> written{0};  // Bytes.
  std::atomic<bool> finished{false};      // Nothing more will be written.
  std::atomic<bool> cut{false};           // Somebody else made it shorter than it was written.
  std::atomic<std::uint64_t> synced{0};   // Bytes that are on disk.
};

class Ledger;

// One thread's way into the ledger.
class LedgerWriter : public UsageSink {
 public:
  static constexpr std::size_t kPendingBytesMax = std::size_t{1} << 20;

  explicit LedgerWriter(Ledger& ledger) : ledger_(ledger) {}
  ~LedgerWriter() override;

  void Record(const UsageRecord& record) override;
  void Record(const GaugeRecord& record);

 private:
  template <typename T>
  void Append(const T& record, WallTime at);
  void Write(WallTime at);
  bool WritePending();
  void Written();
  void Leave();
  bool Begin(WallTime at);
  void Finish();

  Ledger& ledger_;
  std::shared_ptr<Segment> segment_;
  LedgerWindow window_;  // Of segment_.
  WallTime begun_at_{};
  std::string pending_;  // What is not written yet; usually one frame.
  std::uint64_t pending_records_ = 0;
  std::uint64_t counted_pending_ = 0;  // What pending_bytes knows of it.
  bool bound_ = false;  // `pending_` begins with what belongs into this segment alone.
};

class Ledger {
 public:
  // Makes the folder, and finishes what a killed process left: cuts an unfinished frame off and
  // renames the file. Errors: as SystemError().
  static Result<std::unique_ptr<Ledger>> Open(std::string folder, LedgerSettings settings = {});

  // A writer for one thread, which must not outlive the ledger.
  std::unique_ptr<LedgerWriter> MakeWriter() { return std::make_unique<LedgerWriter>(*this); }

  // ---- The background thread.

  // Waits until there is something to sync, or `patience` has passed, or WakeUp().
  void WaitForRecords(Duration patience);
  void WakeUp();
  // Puts on disk what was written by now, and finishes segments whose writers are done with them.
  void SyncDirty();
  // Removes finished segments that are too old at `now`, or over bytes_max in all.
  void Retain(WallTime now);
  // The segments that are being written now, or not yet renamed.
  std::vector<std::shared_ptr<Segment>> Living() const;
  // Those that were finished since the last call.
  std::vector<std::shared_ptr<Segment>> TakeFinished();

  const std::string& folder() const { return folder_; }
  const LedgerSettings& settings() const { return settings_; }
  const LedgerCounters& counters() const { return counters_; }

 private:
  friend class LedgerWriter;
  Ledger(std::string folder, LedgerSettings settings);
  Status Recover();
  Result<std::shared_ptr<Segment>> NewSegment(WallTime at);
  void NoteDirty();

  std::string folder_;
  LedgerSettings settings_;
  std::string run_;  // 8 hex digits: this process.
  LedgerCounters counters_;
  mutable std::mutex mutex_;  // Guards what follows; taken for each segment, not for each record.
  std::condition_variable dirty_or_woken_;
  std::vector<std::shared_ptr<Segment>> living_;
  std::vector<std::shared_ptr<Segment>> finished_;
  std::uint64_t next_number_ = 0;
  bool woken_ = false;
  std::atomic<bool> dirty_{false};
  std::atomic<std::int64_t> dirty_since_ns_{0};  // When the first record came that is not synced.
};

// ---- Files.

inline constexpr std::string_view kOpenEnding = ".open";
inline constexpr std::string_view kFinishedEnding = ".ledger";
// An empty file: segments were removed, so the ledger does not reach back to its beginning.
inline constexpr std::string_view kRemovedMark = "removed";

struct SegmentFile {
  std::string path;
  std::string stem;
  WallTime first_at{};
  std::uint64_t bytes = 0;
  bool finished = false;
};
// The segments of a folder, oldest first. No folder: none.
Result<std::vector<SegmentFile>> ListSegments(const std::string& folder);
// The first `bytes` of a file; fewer where it is shorter.
Result<std::string> ReadBeginning(const std::string& path, std::uint64_t bytes);
// Puts a folder's entries on disk; false where that failed.
bool SyncFolder(const std::string& folder);

}  // namespace penstock::meter
