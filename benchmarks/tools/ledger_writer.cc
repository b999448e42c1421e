// ledger_writer: writes usage records as fast as they go, or at a given pace, and says how fast
// that was.
//
//   ledger_writer ledger|sqlite FOLDER SECONDS [RECORDS_PER_S]
//
// Two threads write; the ledger's own thread syncs. For comparison: the same records into SQLite
// through one connection behind a lock, a transaction per 50 ms. Prints one JSON object.
#include <sqlite3.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "meter/meter_service.h"

namespace {

using penstock::Clock;
using penstock::meter::UsageRecord;

constexpr int kThreads = 2;

UsageRecord RecordOf(std::uint64_t thread, std::uint64_t number) {
  return {.id = {.high = thread, .low = number},
          .ended_at = std::chrono::time_point_cast<std::chrono::milliseconds>(
              std::chrono::system_clock::now()),
          .endpoint = "summaries",
          .endpoint_id = "88fd3f75a0d24b0380ddc40484d7a31b",
          .served_entity = "llama-3-8b-instruct-1",
          .model = "main.default.llama-3-8b-instruct",
          .model_version = 1,
          .requester = "team-a",
          .client_request_id = "0f8fad5b-d9cb-469f-a165-70867728950e",
          .operation = penstock::meter::Operation::kChat,
          .source = penstock::meter::UsageSource::kUpstream,
          .stream = true,
          .status = 200,
          .input_tokens = 1500 + number % 1000,
          .output_tokens = 200 + number % 100,
          .input_bytes = 6000,
          .output_bytes = 900,
          .duration_us = 2'000'000 + number % 100'000,
          .ttft_us = 150'000 + number % 50'000,
          .tpot_ns = 8'000'000 + number % 1'000'000,
          .cost_milli = 2'500'000};
}

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Run {
  double seconds = 0;
  double records_per_s = 0;  // 0: flat out.
};

// Calls `write(thread, number)` from two threads for as long as `run` says.
template <typename Write>
void Drive(const Run& run, const char* what, const Write& write,
           const std::function<double()>& unsynced_ms_max) {
  std::atomic<std::uint64_t> total{0};
  const double cpu = CpuSeconds();
  const auto began = Clock::now();
  std::vector<std::jthread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::uint64_t number = 0;
      for (;;) {
        const double elapsed = penstock::Seconds(Clock::now() - began);
        if (elapsed >= run.seconds) break;
        const bool ahead = run.records_per_s > 0 &&
                           static_cast<double>(number) > elapsed * run.records_per_s / kThreads;
        if (ahead) {
          std::this_thread::yield();
          continue;
        }
        write(t, number++);
      }
      total += number;
    });
  }
  threads.clear();
  const double elapsed = penstock::Seconds(Clock::now() - began);
  const auto records = static_cast<double>(total.load());
  fmt::print(
      "{{\"what\":\"{}\",\"records\":{},\"records_per_s\":{},\"cpu_us_per_record\":{},"
      "\"unsynced_ms_max\":{}}}\n",
      what, records, records / elapsed, (CpuSeconds() - cpu) * 1e6 / records, unsynced_ms_max());
}

int RunLedger(const std::string& folder, const Run& run) {
  auto service = penstock::meter::MeterService::Open(
      folder, {.wall_now = [] {
        return std::chrono::time_point_cast<std::chrono::milliseconds>(
            std::chrono::system_clock::now());
      }});
  if (!service) {
    fmt::print(stderr, "{}\n", service.error().message);
    return 2;
  }
  std::vector<std::unique_ptr<penstock::meter::LedgerWriter>> writers;
  for (int i = 0; i < kThreads; ++i) writers.push_back((*service)->MakeWriter());
  (*service)->Start();
  Drive(
      run, "ledger",
      [&](std::uint64_t thread, std::uint64_t number) {
        writers[thread]->Record(RecordOf(thread, number));
      },
      [&] {
        return static_cast<double>((*service)->ledger().counters().unsynced_us_max.load()) / 1000;
      });
  writers.clear();
  (*service)->Stop();
  return 0;
}

int RunSqlite(const std::string& folder, const Run& run) {
  sqlite3* database = nullptr;
  sqlite3_stmt* insert = nullptr;
  const auto execute = [&](const char* sql) {
    if (sqlite3_exec(database, sql, nullptr, nullptr, nullptr) == SQLITE_OK) return;
    fmt::print(stderr, "{}: {}\n", sql, sqlite3_errmsg(database));
    std::exit(2);
  };
  sqlite3_open((folder + "/peer.db").c_str(), &database);
  execute("PRAGMA journal_mode=WAL");
  execute("PRAGMA synchronous=FULL");
  execute("CREATE TABLE usage (id BLOB PRIMARY KEY, record BLOB) WITHOUT ROWID");
  sqlite3_prepare_v2(database, "INSERT INTO usage VALUES (?, ?)", -1, &insert, nullptr);
  execute("BEGIN");
  std::mutex mutex;
  auto begun = Clock::now();
  Drive(
      run, "sqlite",
      [&](std::uint64_t thread, std::uint64_t number) {
        std::string bytes;
        const UsageRecord record = RecordOf(thread, number);
        Encode(record, bytes);
        const std::scoped_lock lock(mutex);
        sqlite3_bind_blob(insert, 1, &record.id, sizeof(record.id), SQLITE_TRANSIENT);
        sqlite3_bind_blob(insert, 2, bytes.data(), static_cast<int>(bytes.size()),
                          SQLITE_TRANSIENT);
        sqlite3_step(insert);
        sqlite3_reset(insert);
        if (Clock::now() - begun < std::chrono::milliseconds(50)) return;
        execute("COMMIT");
        execute("BEGIN");
        begun = Clock::now();
      },
      [] { return 0.0; });
  execute("COMMIT");
  sqlite3_finalize(insert);
  sqlite3_close(database);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    fmt::print(stderr, "usage: ledger_writer ledger|sqlite FOLDER SECONDS [RECORDS_PER_S]\n");
    return 2;
  }
  const std::string what = argv[1];
  const Run run{.seconds = std::atof(argv[3]), .records_per_s = argc > 4 ? std::atof(argv[4]) : 0};
  return what == "sqlite" ? RunSqlite(argv[2], run) : RunLedger(argv[2], run);
}
