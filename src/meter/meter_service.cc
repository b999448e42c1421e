#include "meter/meter_service.h"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <utility>

#include "base/log.h"
#include "meter/ledger_format.h"

namespace penstock::meter {
namespace {

constexpr double kUtilisationMilliMax = 1e9;
// Of a minute, for packing days that have ended.
constexpr Duration kPackTimeMax = std::chrono::seconds(5);

}  // namespace

Result<std::unique_ptr<MeterService>> MeterService::Open(const std::string& data_folder,
                                                         MeterSettings settings) {
  auto ledger = Ledger::Open(data_folder + "/ledger", settings.ledger);
  if (!ledger) return Fail(ledger.error());
  const std::string path = data_folder + "/series.db";
  auto writer = Series::Open(path);
  if (!writer) return Fail(writer.error());
  auto reader = Series::Open(path);
  if (!reader) return Fail(reader.error());
  auto positions = writer->ReadPositions();
  if (!positions) return Fail(positions.error());
  std::unique_ptr<MeterService> service(new MeterService(std::move(*ledger), std::move(*writer),
                                                         std::move(*reader), std::move(settings)));
  service->positions_ = std::move(*positions);
  return service;
}

MeterService::MeterService(std::unique_ptr<Ledger> ledger, Series writer, Series reader,
                           MeterSettings settings)
    : ledger_(std::move(ledger)),
      settings_(std::move(settings)),
      writer_(std::move(writer)),
      reader_(std::move(reader)),
      gauge_writer_(ledger_->MakeWriter()) {}

MeterService::~MeterService() { Stop(); }

void MeterService::Start() {
  sync_thread_ = std::jthread([this](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "penstock-sync");
    RunSync(stop);
  });
  thread_ = std::jthread([this](const std::stop_token& stop) {
    pthread_setname_np(pthread_self(), "penstock-meter");
    Run(stop);
  });
}

void MeterService::Stop() {
  if (!thread_.joinable()) return;
  sync_thread_.request_stop();
  thread_.request_stop();
  ledger_->WakeUp();
  sync_thread_.join();
  thread_.join();
  TakeSample(settings_.wall_now());
  WriteGauges(gauge_minute_ + 1);
  gauge_writer_.reset();
  ledger_->SyncDirty();
  CountSynced();
  Commit();
}

void MeterService::RunSync(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any pause;
  while (!stop.stop_requested()) {
    ledger_->WaitForRecords(kKeepInterval);
    {
      // Lets more records gather for one sync; ends at once when the service stops.
      std::unique_lock lock(mutex);
      pause.wait_for(lock, stop, kSyncInterval, [] { return false; });
    }
    ledger_->SyncDirty();
  }
}

void MeterService::Run(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any pause;
  TimePoint sample_at{};
  TimePoint keep_at = Clock::now() + kKeepInterval;
  CatchUp();
  for (;;) {
    std::unique_lock lock(mutex);
    pause.wait_for(lock, stop, kCountInterval, [] { return false; });
    if (stop.stop_requested()) return;
    CountSynced();
    const TimePoint now = Clock::now();
    if (now >= sample_at) {
      sample_at = now + kSampleInterval;
      TakeSample(settings_.wall_now());
    }
    if (lost_before_ == 0) ReportLosses();  // The first ones at once, later ones by the minute.
    if (now < keep_at) continue;
    keep_at = now + kKeepInterval;
    Keep();
  }
}

// Counts what an earlier process wrote and did not count.
void MeterService::CatchUp() {
  const auto segments = ListSegments(ledger_->folder());
  if (!segments) return;
  Positions there;
  for (const SegmentFile& segment : *segments) {
    if (!segment.finished) continue;
    std::uint64_t& position = there[segment.stem];
    position = positions_[segment.stem];
    if (position >= segment.bytes) continue;
    const auto content = ReadBeginning(segment.path, segment.bytes);
    if (!content || !content->starts_with(kSegmentHead)) continue;
    std::size_t consumed = std::max<std::size_t>(position, kSegmentHead.size());
    Count(std::string_view(*content).substr(consumed), consumed);
    position = segment.bytes;  // What is damaged stays so.
    positions_[segment.stem] = position;
    Commit();
  }
  positions_ = std::move(there);
}

void MeterService::CountSynced() {
  // The living first: one that is finished meanwhile is among those that are taken next.
  for (const auto& segment : ledger_->Living()) Consume(*segment);
  for (const auto& segment : ledger_->TakeFinished()) Consume(*segment);
}

void MeterService::Consume(const Segment& segment) {
  const std::uint64_t synced = segment.synced;
  std::uint64_t& position = positions_[segment.stem];
  std::size_t consumed = std::max<std::size_t>(position, kSegmentHead.size());
  if (synced <= consumed) return;
  buffer_.resize(synced - consumed);
  const ssize_t got =
      pread(segment.file.get(), buffer_.data(), buffer_.size(), static_cast<off_t>(consumed));
  if (got <= 0) return;
  Count(std::string_view(buffer_).substr(0, static_cast<std::size_t>(got)), consumed);
  position = consumed;
}

void MeterService::Count(std::string_view frames, std::size_t& consumed) {
  LedgerReadStats stats;
  const std::scoped_lock lock(mutex_);
  consumed += VisitFrames(frames,
                          {.usage =
                               [this](const UsageRecord& record) {
                                 rollup_.Add(record);
                                 if (record.cost_milli != 0) {
                                   drawn_milli_[std::string(record.endpoint)] += record.cost_milli;
                                 }
                               },
                           .gauge = [this](const GaugeRecord& record) { rollup_.Add(record); }},
                          &ids_, stats);
  counters_.records += stats.records;
  counters_.duplicates += stats.duplicates;
  counters_.damaged_bytes += stats.damaged_bytes;
}

void MeterService::TakeSample(WallTime now) {
  const Minute minute = MinuteOf(now);
  if (minute != gauge_minute_) WriteGauges(minute);
  gauge_minute_ = minute;
  const TimePoint at = Clock::now();
  const bool first = sampled_at_ == TimePoint();  // There is no time to divide by.
  const double elapsed_s = Seconds(at - sampled_at_);
  sampled_at_ = at;
  for (const EndpointState& state : settings_.sample()) {
    GaugeCell& cell = gauges_[state.endpoint];
    cell.replicas_ready.Add(state.replicas_ready);
    cell.replicas_total.Add(state.replicas_ready + state.replicas_other);
    cell.queued.Add(state.queued);
    cell.running.Add(state.running);
    const double provisioned = state.provisioned_cost_per_s;
    if (provisioned <= 0) continue;
    cell.provisioned_milli.Add(static_cast<std::uint64_t>(provisioned * 1000));
    // Drawn ÷ (provisioned × time), both in thousandths.
    const auto drawn = static_cast<double>(drawn_milli_[state.endpoint]);
    const double utilisation = std::min(drawn / (provisioned * elapsed_s), kUtilisationMilliMax);
    if (!first) {
      cell.utilisation_milli.Add(static_cast<std::uint64_t>(utilisation));
    }
  }
  drawn_milli_.clear();
}

// Writes the gauges of the minute that was sampled, which is before `until`, to the ledger.
void MeterService::WriteGauges(Minute until) {
  const bool sampled = gauge_minute_ != 0 && gauge_minute_ < until;
  for (const auto& [endpoint, cell] : gauges_) {
    const bool idle = cell.replicas_total.maximum == 0 && cell.running.maximum == 0 &&
                      cell.queued.maximum == 0 && cell.provisioned_milli.maximum == 0;
    if (!sampled || idle) continue;
    gauge_writer_->Record(GaugeRecord{.at = TimeOf(gauge_minute_),
                                      .endpoint = endpoint,
                                      .replicas_ready = cell.replicas_ready,
                                      .replicas_total = cell.replicas_total,
                                      .queued = cell.queued,
                                      .running = cell.running,
                                      .utilisation_milli = cell.utilisation_milli,
                                      .provisioned_milli = cell.provisioned_milli});
  }
  gauges_.clear();
}

// The minute's housekeeping.
void MeterService::Keep() {
  Commit();
  const WallTime now = settings_.wall_now();
  ledger_->Retain(now);
  const TimePoint pack_until = Clock::now() + kPackTimeMax;
  Result<bool> more = true;
  while (more && *more && Clock::now() < pack_until) more = writer_.Compact(now);
  if (!more) {
    ++counters_.commit_failures;
    Log().warn("series: {}", more.error().message);
  }
  ReportLosses();
}

void MeterService::Commit() {
  const std::scoped_lock lock(mutex_);
  if (rollup_.empty()) return;
  if (const Status stored = writer_.Commit(rollup_, positions_); !stored) {
    // What is counted stays, and is tried again; the ledger has it besides.
    ++counters_.commit_failures;
    Log().error("series: {}", stored.error().message);
    return;
  }
  rollup_.Clear();
}

void MeterService::ReportLosses() {
  const std::uint64_t lost = ledger_->counters().lost_records;
  if (lost != lost_before_) {
    Log().error("ledger: {} usage records were lost, {} in all: the disk takes no more",
                lost - lost_before_, lost);
  }
  lost_before_ = lost;
}

Status MeterService::ReadMinutes(const std::optional<std::string>& endpoint, Series::Range range,
                                 Columns columns, const Series::Visit& visit) {
  Rollup present;
  std::unique_lock lock(mutex_);  // Until the file's state is taken: nothing moves meanwhile.
  const Status read = reader_.Read(endpoint, range, columns, visit, [&] {
    for (const auto& [name, minutes] : rollup_.endpoints()) {
      if (endpoint && name != *endpoint) continue;
      for (auto at = minutes.lower_bound(range.from);
           at != minutes.end() && at->first < range.until; ++at) {
        present.Merge(name, at->first, at->second);
      }
    }
    lock.unlock();
  });
  for (const auto& [name, minutes] : present.endpoints()) {
    for (const auto& [minute, content] : minutes) visit(name, minute, content);
  }
  return read;
}

void MeterService::AddTo(Metrics& metrics) {
  const LedgerCounters& counters = ledger_->counters();
  const auto add = [&metrics](const char* name, const char* help,
                              const std::atomic<std::uint64_t>& value, double unit = 1) {
    metrics.AddSource(
        {name, help, {}, [&value, unit] { return static_cast<double>(value.load()) * unit; }});
  };
  add("penstock_ledger_records_total", "Usage records written.", counters.records);
  add("penstock_ledger_lost_records_total",
      "Usage records lost: neither the disk nor memory had room.", counters.lost_records);
  add("penstock_ledger_write_failures_total", "Writes that the disk refused.",
      counters.write_failures);
  add("penstock_ledger_sync_failures_total", "Syncs that the disk refused.",
      counters.sync_failures);
  add("penstock_ledger_pending_bytes", "Records that wait in memory for a disk that is full.",
      counters.pending_bytes);
  add("penstock_ledger_disk_bytes", "Size of the ledger on disk, as of the last minute.",
      counters.disk_bytes);
  add("penstock_ledger_removed_segments_total", "Segments removed for age or size.",
      counters.removed_segments);
  add("penstock_ledger_torn_bytes",
      "Bytes of unfinished records that were cut off at the last start.", counters.torn_bytes);
  add("penstock_ledger_cut_bytes_total",
      "Bytes of records that another program cut off a segment while it was being written.",
      counters.cut_bytes);
  add("penstock_ledger_sync_seconds", "What the last sync took.", counters.sync_us, 1e-6);
  add("penstock_ledger_unsynced_seconds_max", "The longest that a record waited for the disk.",
      counters.unsynced_us_max, 1e-6);
  add("penstock_series_records_total", "Usage records counted into minutes.", counters_.records);
  add("penstock_series_failures_total", "Minutes that could not be stored, and are tried again.",
      counters_.commit_failures);
}

}  // namespace penstock::meter
