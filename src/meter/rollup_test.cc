#include "meter/rollup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "meter/series.h"

namespace penstock::meter {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;

constexpr WallTime kStart{milliseconds(1'800'000'000'000)};

UsageRecord RandomRecord(Random& random) {
  static constexpr std::string_view kNames[] = {"chat", "code", "embed"};
  UsageRecord record{.id = {.high = random.Next(), .low = random.Next()},
                     .ended_at = kStart + milliseconds(random.Below(10 * 60'000)),
                     .endpoint = kNames[random.Below(3)],
                     .endpoint_id = "id",
                     .model = random.Below(2) == 0 ? "m" : "main.default.model",
                     .model_version = static_cast<std::int64_t>(random.Below(3))};
  record.operation = static_cast<Operation>(random.Below(4));
  record.end = static_cast<RequestEnd>(random.Below(kRequestEnds));
  record.source = static_cast<UsageSource>(random.Below(4));
  record.stream = random.Below(2) == 0;
  record.spilled_from = random.Below(9) == 0 ? "full" : "";
  record.status = random.Below(5) == 0 ? 429 : 200;
  record.input_tokens = random.Below(10'000);
  record.cached_tokens = random.Below(record.input_tokens + 1);
  record.output_tokens = random.Below(1000);
  record.duration_us = random.Below(1 << 20) << random.Below(10);
  record.queue_wait_us = random.Below(3) == 0 ? random.Below(100'000) : 0;
  if (random.Below(3) != 0) record.ttft_us = random.Below(1 << 20);
  if (random.Below(3) != 0) record.tpot_ns = random.Below(1 << 30);
  record.cost_milli = random.Below(1 << 30);
  return record;
}

TEST(Rollup, AMinuteTellsWhatItsRequestsDid) {
  Rollup rollup;
  UsageRecord record{.ended_at = kStart,
                     .endpoint = "chat",
                     .endpoint_id = "x",
                     .operation = Operation::kChat,
                     .source = UsageSource::kUpstream,
                     .stream = true,
                     .status = 200,
                     .input_tokens = 100,
                     .output_tokens = 10,
                     .duration_us = 5000,
                     .ttft_us = 1000,
                     .tpot_ns = 2'000'000};
  rollup.Add(record);
  record.input_tokens = 300;
  record.ttft_us = 3000;
  rollup.Add(record);
  const auto& cells = rollup.endpoints().at("chat").at(MinuteOf(kStart)).cells;
  ASSERT_EQ(cells.size(), 1u);
  const SeriesCell& cell = cells[0].cell;
  EXPECT_EQ(cell.requests, 2u);
  EXPECT_EQ(cell.input, (GaugeStat{.samples = 2, .sum = 400, .minimum = 100, .maximum = 300}));
  EXPECT_EQ(cell.total.sum, 420u);
  EXPECT_EQ(cell.ttft_us.stat.sum, 4000u);
  EXPECT_EQ(cell.tpot_us.stat.minimum, 2000u);
  EXPECT_NEAR(cell.ttft_us.sketch.Quantile(0.5), 1000, 10);
}

TEST(Rollup, NamesThatNobodyServesAreOneSeries) {
  Rollup rollup;
  for (const char* name : {"a", "b", "c"}) {
    rollup.Add(UsageRecord{.ended_at = kStart, .endpoint = name, .status = 404});
  }
  ASSERT_EQ(rollup.endpoints().size(), 1u);
  EXPECT_EQ(rollup.endpoints().at("").begin()->second.cells[0].cell.requests, 3u);
}

// Records in any order and in any parts give the same minutes, also through their bytes.
TEST(Rollup, IsTheSameInAnyOrder) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    std::vector<UsageRecord> records(random.Below(400));
    for (UsageRecord& record : records) record = RandomRecord(random);
    Rollup whole;
    for (const UsageRecord& record : records) whole.Add(record);
    std::vector<Rollup> parts(3);
    for (auto at = records.rbegin(); at != records.rend(); ++at) parts[random.Below(3)].Add(*at);
    Rollup sum;
    for (const Rollup& part : parts) {
      for (const auto& [endpoint, by_minute] : part.endpoints()) {
        for (const auto& [minute, content] : by_minute) {
          std::string bytes;
          Encode(content, Sketches::kWith, bytes);
          EndpointMinute read;
          ASSERT_TRUE(Decode(bytes, Sketches::kWith, read));
          ASSERT_EQ(read, content);
          sum.Merge(endpoint, minute, read);
        }
      }
    }
    ASSERT_EQ(sum.endpoints().size(), whole.endpoints().size());
    for (const auto& [endpoint, by_minute] : whole.endpoints()) {
      ASSERT_EQ(sum.endpoints().at(endpoint).size(), by_minute.size());
      for (const auto& [minute, content] : by_minute) {
        EndpointMinute sorted;
        sorted.Merge(content);
        ASSERT_EQ(sum.endpoints().at(endpoint).at(minute), sorted);
      }
    }
  }
}

// Thinning moves the sketches to the hour and keeps everything else.
TEST(PackMinutes, ThinsSketchesToTheHourAndNothingElse) {
  Random random(7);
  std::map<Minute, EndpointMinute> day;
  const Minute begins = MinuteOf(kStart) / kMinutesPerDay * kMinutesPerDay;
  EndpointMinute all;
  for (int i = 0; i < 3000; ++i) {
    UsageRecord record = RandomRecord(random);
    record.model = "m";
    Rollup one;
    one.Add(record);
    const Minute minute = begins + static_cast<Minute>(random.Below(kMinutesPerDay));
    day[minute].Merge(one.endpoints().begin()->second.begin()->second);
    all.Merge(one.endpoints().begin()->second.begin()->second);
  }
  for (const bool fine : {true, false}) {
    const std::string packed = PackMinutes(day, begins, fine);
    EndpointMinute sum;
    std::size_t seen = 0;
    ASSERT_TRUE(UnpackMinutes(packed, begins, Sketches::kWith,
                              [&](Minute minute, const EndpointMinute& content) {
                                ++seen;
                                EXPECT_EQ(content.cells.size(), day.at(minute).cells.size());
                                if (fine) EXPECT_EQ(content, day.at(minute));
                                sum.Merge(content);
                              }));
    EXPECT_EQ(seen, day.size());
    EXPECT_EQ(sum, all);
  }
}

TEST(PackMinutes, DamageIsAnError) {
  std::map<Minute, EndpointMinute> day;
  day[5].cells.resize(1);
  const std::string packed = PackMinutes(day, 0, true);
  const auto ignore = [](Minute, const EndpointMinute&) {};
  EXPECT_TRUE(UnpackMinutes(packed, 0, Sketches::kWith, ignore));
  for (std::size_t size = 1; size < packed.size(); ++size) {
    EXPECT_FALSE(UnpackMinutes(packed.substr(0, size), 0, Sketches::kWith, ignore)) << size;
  }
}

}  // namespace
}  // namespace penstock::meter
