#include "meter/meter_service.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "base/test_folder.h"

namespace penstock::meter {
namespace {

using std::chrono::milliseconds;

constexpr WallTime kStart{milliseconds(1'800'000'000'000)};

UsageRecord RecordOf(std::uint64_t number, WallTime at = kStart) {
  return {.id = {.high = 1, .low = number},
          .ended_at = at,
          .endpoint = "chat",
          .endpoint_id = "x",
          .source = UsageSource::kUpstream,
          .status = 200,
          .output_tokens = 1,
          .duration_us = number};
}

MeterSettings Settings() {
  return {.ledger = {.segment_bytes_max = 20'000}, .wall_now = [] { return kStart; }};
}

std::uint64_t RequestsOf(MeterService& service) {
  std::uint64_t requests = 0;
  EXPECT_TRUE(
      service.ReadMinutes(std::nullopt, {.from = 0, .until = Minute{1} << 40}, Columns::Numbers(),
                          [&requests](const std::string&, Minute, const EndpointMinute& minute) {
                            for (const auto& [key, cell] : minute.cells) requests += cell.requests;
                          }));
  return requests;
}

std::uint64_t RecordsOf(const std::string& folder) {
  const auto stats = ReadLedger(folder, WallTime::min(), WallTime::max(),
                                {.usage = [](const UsageRecord&) {}, .gauge = {}});
  EXPECT_TRUE(stats);
  return stats ? stats->records : 0;
}

TEST(MeterService, ThreadsWriteTogetherAndNothingIsLost) {
  const TestFolder folder;
  auto service = *MeterService::Open(folder.path(), Settings());
  constexpr std::uint64_t kThreads = 4;
  constexpr std::uint64_t kEach = 2000;
  std::vector<std::unique_ptr<LedgerWriter>> writers;
  for (std::uint64_t t = 0; t < kThreads; ++t) writers.push_back(service->MakeWriter());
  service->Start();
  std::vector<std::jthread> threads;
  for (std::uint64_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&writers, t] {
      for (std::uint64_t i = 0; i < kEach; ++i) writers[t]->Record(RecordOf(t * kEach + i));
    });
  }
  threads.clear();
  writers.clear();
  service->Stop();
  EXPECT_EQ(RecordsOf(folder.File("ledger")), kThreads * kEach);
  EXPECT_EQ(RequestsOf(*service), kThreads * kEach);
  for (const auto& entry : std::filesystem::directory_iterator(folder.File("ledger"))) {
    EXPECT_EQ(entry.path().extension(), ".ledger");
  }
}

// However often it stops, in order or not, each record is counted once.
TEST(MeterService, CountsEachRecordOnceOverManyLives) {
  for (std::uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    const TestFolder folder;
    std::uint64_t number = 0;
    for (int life = 0; life < 4; ++life) {
      auto service = *MeterService::Open(folder.path(), Settings());
      auto writer = service->MakeWriter();
      const bool counts = random.Below(2) == 0;
      if (counts) service->Start();
      const std::uint64_t records = random.Below(400);
      for (std::uint64_t i = 0; i < records; ++i) writer->Record(RecordOf(number++));
      // Without a start it dies as a killed process does: its last segment stays open, uncounted.
      if (counts || random.Below(2) == 0) writer.reset();
      service->Stop();
      writer.reset();
    }
    auto service = *MeterService::Open(folder.path(), Settings());
    service->Start();
    service->Stop();
    EXPECT_EQ(RecordsOf(folder.File("ledger")), number);
    EXPECT_EQ(RequestsOf(*service), number);
  }
}

TEST(MeterService, ALostSeriesIsMadeAgain) {
  const TestFolder folder;
  for (int life = 0; life < 2; ++life) {
    auto service = *MeterService::Open(folder.path(), Settings());
    auto writer = service->MakeWriter();
    service->Start();
    if (life == 0) {
      for (std::uint64_t i = 0; i < 1000; ++i) writer->Record(RecordOf(i));
    }
    writer.reset();
    service->Stop();
    EXPECT_EQ(RequestsOf(*service), 1000u);
    service.reset();
    std::filesystem::remove(folder.File("series.db"));
  }
}

TEST(MeterService, WritesTheGaugesOfAMinute) {
  const TestFolder folder;
  MeterSettings settings = Settings();
  settings.sample = [] {
    return std::vector<EndpointState>{
        {.endpoint = "chat", .replicas_ready = 2, .replicas_other = 1}, {.endpoint = "idle"}};
  };
  auto service = *MeterService::Open(folder.path(), std::move(settings));
  service->Start();
  service->Stop();  // Takes a last sample.
  std::map<std::string, GaugeCell> gauges;
  ASSERT_TRUE(service->ReadMinutes(
      std::nullopt, {.from = 0, .until = Minute{1} << 40}, Columns::Numbers(),
      [&gauges](const std::string& endpoint, Minute minute, const EndpointMinute& content) {
        EXPECT_EQ(minute, MinuteOf(kStart));
        gauges[endpoint].Merge(content.gauges);
      }));
  ASSERT_EQ(gauges.size(), 1u);
  EXPECT_EQ(gauges["chat"].replicas_ready.maximum, 2u);
  EXPECT_EQ(gauges["chat"].replicas_total.minimum, 3u);
}

}  // namespace
}  // namespace penstock::meter
