// MeterService: the ledger, the minute series, and the threads that look after them.
//
// One thread puts records on disk at most kSyncInterval after they were written. Another adds what
// is on disk to the present minute, stores minutes, and removes what is too old. Writers are made
// before Start(), one for each I/O thread.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "meter/ledger.h"
#include "meter/ledger_reader.h"
#include "meter/metrics.h"
#include "meter/rollup.h"
#include "meter/series.h"

namespace penstock::meter {

struct MeterSettings {
  LedgerSettings ledger;
  std::function<WallTime()> wall_now;  // Required. Any thread.
  // What the endpoints show now; called on a thread of the service.
  std::function<std::vector<EndpointState>()> sample = [] { return std::vector<EndpointState>(); };
};

struct SeriesCounters {
  std::atomic<std::uint64_t> records{0};     // Counted into minutes.
  std::atomic<std::uint64_t> duplicates{0};  // Records that were there twice.
  std::atomic<std::uint64_t> damaged_bytes{0};
  std::atomic<std::uint64_t> commit_failures{0};
};

class MeterService {
 public:
  // How long a record may wait for the disk, besides the time that the disk takes.
  static constexpr Duration kSyncInterval = std::chrono::milliseconds(50);
  static constexpr Duration kCountInterval = std::chrono::seconds(1);
  static constexpr Duration kSampleInterval = std::chrono::seconds(5);
  static constexpr Duration kKeepInterval = std::chrono::minutes(1);

  // `data_folder`/ledger and `data_folder`/series.db are the service's. Errors: as Ledger::Open,
  // Series::Open.
  static Result<std::unique_ptr<MeterService>> Open(const std::string& data_folder,
                                                    MeterSettings settings);
  ~MeterService();  // Stop()s. Writers must be gone.

  std::unique_ptr<LedgerWriter> MakeWriter() { return ledger_->MakeWriter(); }
  void Start();
  // Syncs and counts what there is, and ends the threads.
  void Stop();

  // Every minute of the range, stored and present, as Series::Read. One thread at a time.
  // May block for as long as a commit takes.
  Status ReadMinutes(const std::optional<std::string>& endpoint, Series::Range range,
                     Columns columns, const Series::Visit& visit);

  // Lets `metrics` show the counters. `metrics` must not be read after this is gone.
  void AddTo(Metrics& metrics);

  const Ledger& ledger() const { return *ledger_; }
  const SeriesCounters& counters() const { return counters_; }

 private:
  MeterService(std::unique_ptr<Ledger> ledger, Series writer, Series reader,
               MeterSettings settings);
  void RunSync(const std::stop_token& stop);
  void Run(const std::stop_token& stop);
  void CatchUp();
  void CountSynced();
  void Consume(const Segment& segment);
  void Count(std::string_view frames, std::size_t& consumed);
  void TakeSample(WallTime now);
  void WriteGauges(Minute until);
  void Keep();
  void Commit();
  void ReportLosses();

  std::unique_ptr<Ledger> ledger_;
  MeterSettings settings_;
  Series writer_;  // Of the thread that counts.
  Series reader_;  // ReadMinutes's.
  std::unique_ptr<LedgerWriter> gauge_writer_;
  SeriesCounters counters_;
  Positions positions_;
  RecentIds ids_;
  std::unordered_map<std::string, GaugeCell> gauges_;           // Of gauge_minute_.
  std::unordered_map<std::string, std::uint64_t> drawn_milli_;  // Cost since the last sample.
  TimePoint sampled_at_{};
  Minute gauge_minute_ = 0;
  std::uint64_t lost_before_ = 0;
  std::string buffer_;
  std::mutex mutex_;  // Guards what follows. Held while minutes are stored.
  Rollup rollup_;     // What is counted and not stored yet.
  std::jthread sync_thread_;
  std::jthread thread_;
};

}  // namespace penstock::meter
