#include "meter/series.h"

#include <gtest/gtest.h>

#include <fstream>
#include <string>

#include "base/test_folder.h"

namespace penstock::meter {
namespace {

using std::chrono::days;
using std::chrono::hours;

constexpr WallTime kStart{days(20'000)};

Rollup OneRequest(const std::string& endpoint, WallTime at, std::uint64_t tokens = 5) {
  Rollup rollup;
  rollup.Add(UsageRecord{.ended_at = at,
                         .endpoint = endpoint,
                         .endpoint_id = "x",
                         .source = UsageSource::kUpstream,
                         .status = 200,
                         .output_tokens = tokens,
                         .ttft_us = 1000});
  return rollup;
}

// Output tokens and requests of an endpoint over all time; TTFTs that its sketches hold.
struct Sum {
  std::uint64_t requests = 0;
  std::uint64_t tokens = 0;
  std::uint64_t sketched = 0;
  std::size_t parts = 0;
};
Sum SumOf(Series& series, const std::optional<std::string>& endpoint, Series::Range range) {
  Sum sum;
  EXPECT_TRUE(series.Read(endpoint, range, Columns::All(),
                          [&sum](const std::string&, Minute, const EndpointMinute& minute) {
                            ++sum.parts;
                            for (const auto& [key, cell] : minute.cells) {
                              sum.requests += cell.requests;
                              sum.tokens += cell.output.sum;
                              sum.sketched += cell.ttft_us.sketch.count();
                            }
                          }));
  return sum;
}
constexpr Series::Range kAllTime{.from = 0, .until = Minute{1} << 40};

void CompactAll(Series& series, WallTime now) {
  for (;;) {
    const auto more = series.Compact(now);
    ASSERT_TRUE(more);
    if (!*more) return;
  }
}

TEST(Series, CommitsAddUp) {
  const TestFolder folder;
  auto series = *Series::Open(folder.File("series.db"));
  ASSERT_TRUE(series.Commit(OneRequest("chat", kStart), {{"a", 10}}));
  ASSERT_TRUE(series.Commit(OneRequest("chat", kStart), {{"a", 20}, {"b", 1}}));
  ASSERT_TRUE(series.Commit(OneRequest("code", kStart), {{"b", 2}}));
  EXPECT_EQ(SumOf(series, "chat", kAllTime).requests, 2u);
  EXPECT_EQ(SumOf(series, "chat", kAllTime).parts, 1u);
  EXPECT_EQ(SumOf(series, std::nullopt, kAllTime).requests, 3u);
  EXPECT_EQ(SumOf(series, "nobody", kAllTime).requests, 0u);
  EXPECT_EQ(*series.ReadPositions(), (Positions{{"b", 2}}));
  EXPECT_EQ(*series.Endpoints(), (std::vector<std::string>{"chat", "code"}));
  auto again = *Series::Open(folder.File("series.db"));
  EXPECT_EQ(SumOf(again, "chat", kAllTime).tokens, 10u);
}

TEST(Series, ARangeIsHalfOpen) {
  const TestFolder folder;
  auto series = *Series::Open(folder.File("series.db"));
  const Minute minute = MinuteOf(kStart);
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(series.Commit(OneRequest("chat", TimeOf(minute + i)), {}));
  }
  EXPECT_EQ(SumOf(series, "chat", {.from = minute + 1, .until = minute + 4}).requests, 3u);
  CompactAll(series, kStart + days(2));
  EXPECT_EQ(SumOf(series, "chat", {.from = minute + 1, .until = minute + 4}).requests, 3u);
}

TEST(Series, DaysArePackedThinnedAndForgotten) {
  const TestFolder folder;
  auto series = *Series::Open(folder.File("series.db"));
  for (int i = 0; i < 48; ++i) {
    ASSERT_TRUE(series.Commit(OneRequest("chat", kStart + hours(i)), {}));
  }
  CompactAll(series, kStart + hours(24));  // The first day has not settled.
  EXPECT_EQ(SumOf(series, "chat", kAllTime).requests, 48u);
  for (const auto now : {kStart + hours(25), kStart + days(3), kStart + days(30)}) {
    CompactAll(series, now);
    const Sum sum = SumOf(series, "chat", kAllTime);
    EXPECT_EQ(sum.requests, 48u);
    EXPECT_EQ(sum.tokens, 240u);
    EXPECT_EQ(sum.sketched, 48u);
  }
  CompactAll(series, kStart + days(Series::kKeepDays + 1));
  EXPECT_EQ(SumOf(series, "chat", kAllTime).requests, 24u);
  CompactAll(series, kStart + days(Series::kKeepDays + 2));
  EXPECT_EQ(SumOf(series, "chat", kAllTime).requests, 0u);
}

TEST(Series, ALateRecordJoinsItsPackedDay) {
  const TestFolder folder;
  auto series = *Series::Open(folder.File("series.db"));
  for (const auto now : {kStart + days(2), kStart + days(20)}) {
    ASSERT_TRUE(series.Commit(OneRequest("chat", kStart), {}));
    CompactAll(series, now);
    ASSERT_TRUE(series.Commit(OneRequest("chat", kStart), {}));
    EXPECT_EQ(SumOf(series, "chat", kAllTime).parts, 2u);
    CompactAll(series, now);
    EXPECT_EQ(SumOf(series, "chat", kAllTime).parts, 1u);
  }
  EXPECT_EQ(SumOf(series, "chat", kAllTime).requests, 4u);
}

TEST(Series, ADamagedFileIsSetAside) {
  const TestFolder folder;
  folder.Write("series.db", std::string(8192, 'x'));
  auto series = Series::Open(folder.File("series.db"));
  ASSERT_TRUE(series);
  EXPECT_TRUE(series->Commit(OneRequest("chat", kStart), {}));
  EXPECT_TRUE(std::ifstream(folder.File("series.db.damaged")).good());
}

}  // namespace
}  // namespace penstock::meter
