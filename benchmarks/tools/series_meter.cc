// series_meter: what the minute series and /metrics cost.
//
//   series_meter record             ns to count one usage record into its minute
//   series_meter fill FOLDER DAYS   makes DAYS of minutes of a busy endpoint; size, and time
//   series_meter query FOLDER DAYS  a query over them at one-minute grain, here and in plain SQLite
//   series_meter page ENDPOINTS     ms to write /metrics
//
// Prints one JSON object.
#include <sqlite3.h>

#include <chrono>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/random.h"
#include "meter/azure_metrics.h"
#include "meter/metrics.h"
#include "meter/rollup.h"
#include "meter/series.h"

namespace {

using penstock::Clock;
using penstock::Random;
using penstock::WallTime;
using namespace penstock::meter;  // tidy: allow(using-namespace): a program of one file

constexpr Minute kBegin = 20'000 * kMinutesPerDay;
constexpr int kRequestsPerMinute = 60;

UsageRecord RecordOf(Random& random, Minute minute) {
  const bool refused = random.Below(20) == 0;
  UsageRecord record{.id = {.high = random.Next(), .low = random.Next()},
                     .ended_at = TimeOf(minute) + std::chrono::milliseconds(random.Below(60'000)),
                     .endpoint = "summaries",
                     .endpoint_id = "x",
                     .model = "main.default.llama-3-8b-instruct",
                     .model_version = 1,
                     .operation = Operation::kChat,
                     .source = refused ? UsageSource::kNone : UsageSource::kUpstream,
                     .stream = true,
                     .status = static_cast<std::uint16_t>(refused ? 429 : 200)};
  if (refused) {
    record.duration_us = 50 + random.Below(100);
    return record;
  }
  // Spread as latencies are: over an order of magnitude, most of them near the bottom.
  const auto spread = [&random](double least, double factor) {
    const double u = random.Uniform();
    return static_cast<std::uint64_t>(least * std::pow(factor, u * u));
  };
  record.input_tokens = spread(200, 20);
  record.cached_tokens = random.Below(2) == 0 ? 0 : record.input_tokens / 2;
  record.output_tokens = spread(30, 20);
  record.ttft_us = spread(60'000, 12);
  record.tpot_ns = spread(8e6, 3);
  record.duration_us = *record.ttft_us + *record.tpot_ns / 1000 * record.output_tokens;
  record.queue_wait_us = random.Below(4) == 0 ? spread(100, 100) : 0;
  record.cost_milli = (record.input_tokens + 4 * record.output_tokens) * 1000;
  return record;
}

double Microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

int MeasureRecord() {
  constexpr int kRecords = 400'000;
  Random random(1);
  std::vector<std::string> frames;
  for (int i = 0; i < 4096; ++i) {
    Encode(RecordOf(random, kBegin + i / 1024), frames.emplace_back());
  }
  Rollup rollup;
  const auto began = Clock::now();
  for (int i = 0; i < kRecords; ++i) {
    rollup.Add(*DecodeUsage(frames[static_cast<std::size_t>(i) % frames.size()]));
  }
  const double total = Microseconds(Clock::now() - began);
  fmt::print("{{\"ns_per_record\":{},\"endpoints\":{}}}\n", total * 1000 / kRecords,
             rollup.endpoints().size());
  return 0;
}

int Refuse(const penstock::Error& error) {
  fmt::print(stderr, "{}\n", error.message);
  return 2;
}

int Fill(const std::string& folder, int days) {
  auto series = Series::Open(folder + "/series.db");
  if (!series) return Refuse(series.error());
  Random random(2);
  const auto began = Clock::now();
  for (Minute minute = kBegin; minute < kBegin + days * kMinutesPerDay;) {
    Rollup rollup;
    for (int i = 0; i < 240; ++i, ++minute) {
      for (int r = 0; r < kRequestsPerMinute; ++r) rollup.Add(RecordOf(random, minute));
      GaugeRecord gauges{.at = TimeOf(minute), .endpoint = "summaries"};
      for (int s = 0; s < 12; ++s) {
        gauges.replicas_ready.Add(2);
        gauges.replicas_total.Add(2);
        gauges.queued.Add(random.Below(3));
        gauges.running.Add(random.Below(20));
        gauges.utilisation_milli.Add(300 + random.Below(500));
        gauges.provisioned_milli.Add(980'000);
      }
      rollup.Add(gauges);
    }
    if (auto done = series->Commit(rollup, {}); !done) return Refuse(done.error());
  }
  // As on the day after the last one.
  for (;;) {
    const auto more =
        series->Compact(TimeOf(kBegin + days * kMinutesPerDay) + std::chrono::hours(2));
    if (!more) return Refuse(more.error());
    if (!*more) break;
  }
  const double seconds = Microseconds(Clock::now() - began) / 1e6;
  std::uint64_t bytes = 0;
  if (auto read = series->Read("summaries", {.from = 0, .until = Minute{1} << 40},
                               Columns::Numbers(), [](const auto&, auto, const auto&) {});
      !read) {
    return Refuse(read.error());
  }
  bytes = series->StoredBytes().value_or(0);
  fmt::print("{{\"days\":{},\"requests_per_minute\":{},\"stored_bytes\":{},\"seconds\":{}}}\n",
             days, kRequestsPerMinute, bytes, seconds);
  return 0;
}

// The same numbers as rows of a plain table; made from the series, so that both hold the same.
int FillPeer(Series& series, const std::string& path) {
  sqlite3* database = nullptr;
  sqlite3_open(path.c_str(), &database);
  sqlite3_exec(database,
               "PRAGMA journal_mode=OFF; CREATE TABLE cell (endpoint TEXT, minute INTEGER, status "
               "INTEGER, requests INTEGER, input INTEGER, output INTEGER, ttft_sum INTEGER, "
               "ttft_min INTEGER, ttft_max INTEGER, PRIMARY KEY (endpoint, minute, status)) "
               "WITHOUT ROWID; BEGIN",
               nullptr, nullptr, nullptr);
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(database, "INSERT INTO cell VALUES ('summaries', ?, ?, ?, ?, ?, ?, ?, ?)", -1,
                     &insert, nullptr);
  const auto read =
      series.Read("summaries", {.from = 0, .until = Minute{1} << 40}, Columns::Numbers(),
                  [insert](const std::string&, Minute minute, const EndpointMinute& content) {
                    for (const auto& [key, cell] : content.cells) {
                      int at = 0;
                      for (const std::uint64_t value :
                           {static_cast<std::uint64_t>(minute), std::uint64_t{key.status},
                            cell.requests, cell.input.sum, cell.output.sum, cell.ttft_us.stat.sum,
                            cell.ttft_us.stat.minimum, cell.ttft_us.stat.maximum}) {
                        sqlite3_bind_int64(insert, ++at, static_cast<sqlite3_int64>(value));
                      }
                      sqlite3_step(insert);
                      sqlite3_reset(insert);
                    }
                  });
  sqlite3_finalize(insert);
  sqlite3_exec(database, "COMMIT", nullptr, nullptr, nullptr);
  sqlite3_close(database);
  return read ? 0 : Refuse(read.error());
}

double QueryPeer(const std::string& path, Minute from, Minute until) {
  sqlite3* database = nullptr;
  sqlite3_open(path.c_str(), &database);
  const auto began = Clock::now();
  sqlite3_stmt* select = nullptr;
  sqlite3_prepare_v2(database,
                     "SELECT minute, sum(requests), sum(input), sum(output), sum(ttft_sum), "
                     "min(ttft_min), max(ttft_max) FROM cell WHERE endpoint = 'summaries' AND "
                     "minute >= ? AND minute < ? GROUP BY minute",
                     -1, &select, nullptr);
  sqlite3_bind_int64(select, 1, from);
  sqlite3_bind_int64(select, 2, until);
  double sum = 0;
  while (sqlite3_step(select) == SQLITE_ROW) sum += sqlite3_column_double(select, 1);
  const double took = Microseconds(Clock::now() - began) / 1000;
  sqlite3_finalize(select);
  sqlite3_close(database);
  return sum > 0 ? took : -1;
}

int Query(const std::string& folder, int days) {
  auto series = Series::Open(folder + "/series.db");
  if (!series) return Refuse(series.error());
  const std::string peer = folder + "/peer.db";
  if (!std::filesystem::exists(peer)) {
    if (const int failed = FillPeer(*series, peer); failed != 0) return failed;
  }
  const Minute until = kBegin + 93 * kMinutesPerDay;
  const Series::Range range{.from = until - days * kMinutesPerDay, .until = until};
  const auto began = Clock::now();
  std::uint64_t requests = 0;
  const auto read = series->Read("summaries", range, Column::kRequests,
                                 [&](const std::string&, Minute, const EndpointMinute& content) {
                                   for (const auto& [key, cell] : content.cells) {
                                     requests += cell.requests;
                                   }
                                 });
  const double read_ms = Microseconds(Clock::now() - began) / 1000;
  if (!read) return Refuse(read.error());
  // As the metrics API answers it, JSON included.
  const AzureParameters parameters{.resource = "/subscriptions/s/x",
                                   .metric_names = "ProcessedPromptTokens",
                                   .aggregation = "total",
                                   .filter = "ModelDeploymentName eq 'summaries'"};
  AzureQuery query{.metrics = {2}, .aggregations = {"total"}, .range = range};
  query.filter = *ParseAzureFilter(parameters.filter);
  const auto asked = Clock::now();
  const auto answer = AnswerAzureQuery(
      parameters, query, [&](Series::Range wanted, Columns columns, const Series::Visit& visit) {
        return series->Read("summaries", wanted, columns, visit);
      });
  const double api_ms = Microseconds(Clock::now() - asked) / 1000;
  if (!answer) return Refuse(answer.error());
  fmt::print(
      "{{\"days\":{},\"requests\":{},\"read_ms\":{},\"api_ms\":{},\"api_bytes\":{},"
      "\"peer_ms\":{}}}\n",
      days, requests, read_ms, api_ms, answer->size(), QueryPeer(peer, range.from, range.until));
  return 0;
}

int Page(int endpoints) {
  Metrics metrics("bench");
  for (int i = 0; i < endpoints; ++i) {
    EndpointMetrics& endpoint = metrics.ForEndpoint(fmt::format("endpoint-{:04}", i));
    for (int r = 0; r < 50; ++r) {
      endpoint.RequestStarted();
      endpoint.TokensIn(1000, 100);
      endpoint.TokensOut(100);
      endpoint.FirstToken(std::chrono::milliseconds(10 * r), Operation::kChat);
      endpoint.TimePerOutputToken(std::chrono::milliseconds(r), Operation::kChat);
      endpoint.RequestEnded(RequestEnd::kCompleted, std::chrono::milliseconds(100 * r),
                            Operation::kChat);
    }
  }
  (void)metrics.Expose();
  const auto began = Clock::now();
  const std::string page = metrics.Expose();
  fmt::print("{{\"endpoints\":{},\"bytes\":{},\"ms\":{}}}\n", endpoints, page.size(),
             Microseconds(Clock::now() - began) / 1000);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "record") return MeasureRecord();
  if (what == "fill" && argc == 4) return Fill(argv[2], std::atoi(argv[3]));
  if (what == "query" && argc == 4) return Query(argv[2], std::atoi(argv[3]));
  if (what == "page" && argc == 3) return Page(std::atoi(argv[2]));
  fmt::print(stderr,
             "usage: series_meter record | fill FOLDER DAYS | query FOLDER DAYS | page N\n");
  return 2;
}
