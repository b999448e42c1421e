#include "meter/ledger.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <random>
#include <utility>

#include "base/log.h"
#include "meter/ledger_format.h"

namespace penstock::meter {

namespace {
// 0 where it cannot be told.
std::uint64_t SizeOf(const Descriptor& file) {
  struct stat found{};
  return fstat(file.get(), &found) == 0 ? static_cast<std::uint64_t>(found.st_size) : 0;
}
}  // namespace

Ledger::Ledger(std::string folder, LedgerSettings settings)
    : folder_(std::move(folder)), settings_(settings) {
  std::random_device entropy;
  run_ = fmt::format("{:08x}", entropy());
}

Result<std::unique_ptr<Ledger>> Ledger::Open(std::string folder, LedgerSettings settings) {
  if (mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return Fail(SystemError("make the folder", folder, errno));
  }
  std::unique_ptr<Ledger> ledger(new Ledger(std::move(folder), settings));
  if (Status recovered = ledger->Recover(); !recovered) return Fail(recovered.error());
  return ledger;
}

Result<std::shared_ptr<Segment>> Ledger::NewSegment(WallTime at) {
  const std::scoped_lock lock(mutex_);
  auto segment = std::make_shared<Segment>();
  segment->stem =
      fmt::format("{:013}-{}-{:06}", at.time_since_epoch().count(), run_, next_number_++);
  const std::string path = fmt::format("{}/{}{}", folder_, segment->stem, kOpenEnding);
  segment->file = Descriptor(open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!segment->file) return Fail(SystemError("make", path, errno));
  living_.push_back(segment);
  return segment;
}

void Ledger::NoteDirty() {
  if (dirty_.exchange(true, std::memory_order_acq_rel)) return;
  dirty_since_ns_ = Clock::now().time_since_epoch().count();
  const std::scoped_lock lock(
      mutex_);  // Else the waiter may miss it between its look and its wait.
  dirty_or_woken_.notify_one();
}

void Ledger::WaitForRecords(Duration patience) {
  std::unique_lock lock(mutex_);
  dirty_or_woken_.wait_for(lock, patience, [this] { return dirty_.load() || woken_; });
  woken_ = false;
}

void Ledger::WakeUp() {
  const std::scoped_lock lock(mutex_);
  woken_ = true;
  dirty_or_woken_.notify_one();
}

std::vector<std::shared_ptr<Segment>> Ledger::Living() const {
  const std::scoped_lock lock(mutex_);
  return living_;
}

std::vector<std::shared_ptr<Segment>> Ledger::TakeFinished() {
  const std::scoped_lock lock(mutex_);
  return std::exchange(finished_, {});
}

void Ledger::SyncDirty() {
  const std::int64_t dirty_since_ns = dirty_since_ns_;
  const bool dirty = dirty_.exchange(false, std::memory_order_acq_rel);
  const auto began = Clock::now();
  bool synced = false;
  for (const std::shared_ptr<Segment>& segment : Living()) {
    const bool finished = segment->finished.load(std::memory_order_acquire);
    const std::uint64_t written = segment->written.load(std::memory_order_acquire);
    if (written > segment->synced) {
      // A store into a page that is partly beyond the end is no signal, and lost all the same.
      if (SizeOf(segment->file) < written) segment->cut.store(true, std::memory_order_relaxed);
      const bool is_new = segment->synced == 0;
      bool good = fdatasync(segment->file.get()) == 0;
      if (is_new) good = SyncFolder(folder_) && good;
      if (!good) ++counters_.sync_failures;
      segment->synced = written;
      synced = true;
    }
    if (!finished) continue;
    const std::string path = folder_ + "/" + segment->stem;
    if (rename((path + std::string(kOpenEnding)).c_str(),
               (path + std::string(kFinishedEnding)).c_str()) != 0) {
      ++counters_.sync_failures;
    }
    const std::scoped_lock lock(mutex_);
    std::erase(living_, segment);
    finished_.push_back(segment);
  }
  if (synced && dirty) {
    const auto waited_us = static_cast<std::uint64_t>(
        (Clock::now().time_since_epoch().count() - dirty_since_ns) / 1000);
    if (waited_us > counters_.unsynced_us_max) counters_.unsynced_us_max = waited_us;
  }
  if (synced) {
    counters_.sync_us = static_cast<std::uint64_t>(
        std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - began).count());
  }
}

void Ledger::Retain(WallTime now) {
  const auto segments = ListSegments(folder_);
  if (!segments) return;
  const std::uint64_t removed_before = counters_.removed_segments;
  std::uint64_t total = 0;
  for (const SegmentFile& segment : *segments) total += segment.bytes;
  const WallTime oldest = now - std::chrono::duration_cast<std::chrono::milliseconds>(
                                    settings_.keep + settings_.segment_age_max);
  for (const SegmentFile& segment : *segments) {
    if (total <= settings_.bytes_max && segment.first_at >= oldest) break;
    if (!segment.finished || unlink(segment.path.c_str()) != 0) continue;
    total -= segment.bytes;
    ++counters_.removed_segments;
  }
  if (counters_.removed_segments != removed_before) {
    const std::string mark = folder_ + "/" + std::string(kRemovedMark);
    const Descriptor made(open(mark.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  }
  counters_.disk_bytes = total;
}

// ---- LedgerWriter

LedgerWriter::~LedgerWriter() { Finish(); }

void LedgerWriter::Record(const UsageRecord& record) { Append(record, record.ended_at); }
void LedgerWriter::Record(const GaugeRecord& record) { Append(record, record.at); }

template <typename T>
void LedgerWriter::Append(const T& record, WallTime at) {
  if (pending_.size() >= kPendingBytesMax) Write(at);
  if (pending_.size() >= kPendingBytesMax) {
    ++ledger_.counters_.lost_records;
    return;
  }
  const std::size_t offset = pending_.size();
  pending_.resize(offset + kFrameHeadBytes);
  Encode(record, pending_);
  FinishFrame(pending_, offset);
  ++pending_records_;
  Write(at);
}

void LedgerWriter::Write(WallTime at) {
  // A clock that was set back makes a segment look young for long; its size still bounds it.
  const bool old = segment_ && at - begun_at_ >= ledger_.settings_.segment_age_max;
  const bool full = segment_ && segment_->written >= ledger_.settings_.segment_bytes_max;
  // What waits may begin with the segment's head, or with the rest of a frame: then it stays.
  if (segment_ && segment_->cut.load(std::memory_order_relaxed)) Leave();
  if (segment_ && (old || full) && !bound_) Finish();
  // The second time, where the first found its segment cut.
  for (int attempt = 0; attempt < 2; ++attempt) {
    if (!segment_ && !Begin(at)) break;
    if (WritePending()) break;
    Leave();
  }
  if (pending_.size() == counted_pending_) return;
  ledger_.counters_.pending_bytes += pending_.size() - counted_pending_;  // Wraps as it should.
  counted_pending_ = pending_.size();
}

// False: the segment was cut short. What the disk does not take stays pending.
bool LedgerWriter::WritePending() {
  const std::uint64_t at = segment_->written.load(std::memory_order_relaxed);
  if (pending_.size() <= LedgerWindow::kBytes / 2 &&
      window_.Reach(segment_->file.get(), at, pending_.size())) {
    if (!window_.Put(at, pending_)) return false;
    Written();
    return true;
  }
  // Behind a gap, readers would not find it.
  if (SizeOf(segment_->file) < at) return false;
  const ssize_t wrote =
      pwrite(segment_->file.get(), pending_.data(), pending_.size(), static_cast<off_t>(at));
  if (wrote < 0 || static_cast<std::size_t>(wrote) < pending_.size()) {
    ++ledger_.counters_.write_failures;
    if (wrote <= 0) return true;
    // The rest follows when there is room; a reader waits for it as for any unfinished frame.
    pending_.erase(0, static_cast<std::size_t>(wrote));
    segment_->written.fetch_add(static_cast<std::uint64_t>(wrote), std::memory_order_release);
    bound_ = true;
    return true;
  }
  Written();
  return true;
}

// All that was pending is in the file.
void LedgerWriter::Written() {
  segment_->written.fetch_add(pending_.size(), std::memory_order_release);
  ledger_.counters_.records += pending_records_;
  pending_.clear();
  pending_records_ = 0;
  bound_ = false;
  ledger_.NoteDirty();
}

bool LedgerWriter::Begin(WallTime at) {
  auto made = ledger_.NewSegment(at);
  if (!made) {
    ++ledger_.counters_.write_failures;
    return false;
  }
  segment_ = std::move(*made);
  begun_at_ = at;
  pending_.insert(0, kSegmentHead);
  bound_ = true;
  return true;
}

// Gives a segment up that somebody else cut short. What is pending goes into the next one, unless
// it is the rest of a frame whose beginning is here.
void LedgerWriter::Leave() {
  window_.Close();
  const std::uint64_t written = segment_->written.load(std::memory_order_relaxed);
  const std::uint64_t size = std::min(SizeOf(segment_->file), written);
  ledger_.counters_.cut_bytes += written - size;
  Log().error("ledger: {}/{}{} was cut to {} bytes by somebody else: {} bytes of records are lost",
              ledger_.folder_, segment_->stem, kOpenEnding, size, written - size);
  if (bound_ && written == 0) {
    pending_.erase(0, kSegmentHead.size());
  } else if (bound_) {
    ledger_.counters_.lost_records += pending_records_;
    pending_.clear();
    pending_records_ = 0;
  }
  bound_ = false;
  segment_->finished.store(true, std::memory_order_release);
  segment_ = nullptr;
  ledger_.WakeUp();
}

void LedgerWriter::Finish() {
  if (!segment_) return;
  if (SizeOf(segment_->file) < segment_->written.load(std::memory_order_relaxed)) {
    Leave();
    return;
  }
  window_.Close();
  // What was made ready and not used. Where it cannot be cut off, readers pass over it.
  const auto written = static_cast<off_t>(segment_->written.load(std::memory_order_relaxed));
  if (ftruncate(segment_->file.get(), written) != 0) ++ledger_.counters_.write_failures;
  segment_->finished.store(true, std::memory_order_release);
  segment_ = nullptr;
  ledger_.WakeUp();
}

}  // namespace penstock::meter
