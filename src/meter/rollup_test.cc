#include "meter/rollup.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/random.h"
#include "meter/series.h"
#include "meter/usage_testing.h"

namespace penstock::meter {
namespace {

using std::chrono::minutes;

constexpr WallTime kStart = kRandomRecordsBegin;

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

// Of the two records of a request that spilled over, the one of the place that it went on to is the
// spill-over; the refusal before it is not.
TEST(Rollup, ASpillOverCountsWhereItWentTo) {
  Rollup rollup;
  rollup.Add({.ended_at = kStart,
              .endpoint = "ptu",
              .endpoint_id = "x",
              .spilled_from = "ptu",
              .status = 429});
  rollup.Add({.ended_at = kStart,
              .endpoint = "std",
              .endpoint_id = "y",
              .spilled_from = "ptu",
              .status = 200});
  const Minute minute = MinuteOf(kStart);
  ASSERT_EQ(rollup.endpoints().at("ptu").at(minute).cells.size(), 1u);
  EXPECT_FALSE(rollup.endpoints().at("ptu").at(minute).cells[0].key.spilled);
  ASSERT_EQ(rollup.endpoints().at("std").at(minute).cells.size(), 1u);
  EXPECT_TRUE(rollup.endpoints().at("std").at(minute).cells[0].key.spilled);
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

}  // namespace
}  // namespace penstock::meter
