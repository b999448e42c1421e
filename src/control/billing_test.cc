#include "control/billing.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <map>

#include "base/random.h"
#include "base/test_folder.h"

namespace penstock::control {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

WallTime At(Duration since_start) {
  return WallTime(std::chrono::duration_cast<std::chrono::milliseconds>(since_start));
}
store::BillingSpanRecord Span(Duration from, Duration until, std::int64_t level) {
  return {.endpoint_id = "id",
          .served_entity = "m",
          .from = At(from),
          .until = At(until),
          .endpoint = "e",
          .model = "a.b.c",
          .unit = "tokens_per_s",
          .level = level,
          .replicas = 1};
}
std::vector<BilledRow> BillAll(const std::vector<store::BillingSpanRecord>& spans) {
  return Bill(spans, At(seconds(0)), At(std::chrono::hours(1000)), {});
}

TEST(Bill, ProratesByTheMinute) {
  const auto rows = BillAll({Span(seconds(30), minutes(61), 980)});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0].minutes, 61);  // The begun minute counts.
  EXPECT_EQ(rows[0].level, 980);
}

TEST(Bill, ASharedMinuteGoesToTheHigherLevel) {
  const auto rows =
      BillAll({Span(minutes(0), seconds(90), 980), Span(seconds(90), seconds(100), 2940),
               Span(seconds(100), minutes(10), 980)});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].minutes, 9);
  EXPECT_EQ(rows[1].level, 2940);
  EXPECT_EQ(rows[1].minutes, 1);
}

TEST(Bill, UsesTheFirstPriceThatFits) {
  const PriceTable prices{.currency = "EUR",
                          .prices = {{.model = "a.b.*", .per = 980, .price_per_hour = 12},
                                     {.model = "*", .per = 1, .price_per_hour = 99}}};
  const auto rows =
      Bill({Span(minutes(0), minutes(30), 1960)}, At(minutes(0)), At(minutes(60)), prices);
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_DOUBLE_EQ(rows[0].amount, 2 * 0.5 * 12);
  EXPECT_TRUE(rows[0].priced);
}

// Against a plain table of minutes.
TEST(Bill, BillsEachMinuteOnceAtItsHighestLevel) {
  for (std::uint64_t seed = 0; seed < 300; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    std::vector<store::BillingSpanRecord> spans;
    std::map<std::int64_t, std::int64_t> expected;  // Minute -> level.
    Duration now = seconds(random.Below(100));
    for (int i = 0; i < 40; ++i) {
      const Duration until = now + seconds(1 + random.Below(100));
      const auto level = static_cast<std::int64_t>(1 + random.Below(4));
      spans.push_back(Span(now, until, level));
      for (auto minute = now / minutes(1); minute * minutes(1) < until; ++minute) {
        expected[minute] = std::max(expected[minute], level);
      }
      now = until + seconds(random.Below(3) == 0 ? random.Below(200) : 0);
    }
    std::map<std::int64_t, std::int64_t> minutes_by_level;
    for (const auto& [minute, level] : expected) ++minutes_by_level[level];
    std::map<std::int64_t, std::int64_t> billed;
    for (const BilledRow& row : BillAll(spans)) billed[row.level] = row.minutes;
    EXPECT_EQ(billed, minutes_by_level);
  }
}

TEST(ParsePriceTable, NamesWhatIsWrong) {
  const auto good = ParsePriceTable(
      R"({"currency":"USD","prices":[{"model":"*","unit":"ptu","price_per_hour":1}]})");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->currency, "USD");
  EXPECT_EQ(good->prices[0].unit, "ptu");
  EXPECT_EQ(ParsePriceTable(R"({"prices":[{"per":0}]})").error().field, "prices[0].per");
  EXPECT_EQ(ParsePriceTable(R"({"prices":[{"price_per_hour":"x"}]})").error().field,
            "prices[0].price_per_hour");
  EXPECT_FALSE(ParsePriceTable("[]"));
}

class BillingTest : public testing::Test {
 protected:
  BillingLevel Level(std::int64_t level) {
    return {.endpoint_id = "id",
            .endpoint = "e",
            .served_entity = "m",
            .model = "a.b.c",
            .unit = "tokens_per_s",
            .level = level,
            .replicas = 1};
  }
  TestFolder folder_;
  store::Store store_ = store::Store::Open(folder_.File("db")).value();
};

TEST_F(BillingTest, RefusesAStartInTheFutureAndAnEndBeforeIt) {
  Billing billing(store_);
  const WallTime now = At(minutes(60));
  const auto ms = [](WallTime time) { return fmt::format("{}", time.time_since_epoch().count()); };
  EXPECT_EQ(billing.ReportJson(ms(now + minutes(1)), "", now).error().field, "start");
  EXPECT_EQ(billing.ReportJson(ms(now), ms(now - minutes(1)), now).error().field, "end");
  EXPECT_TRUE(billing.ReportJson(ms(now), ms(now), now));
}

TEST_F(BillingTest, KeepsSpansAndSurvivesARestart) {
  {
    Billing billing(store_);
    billing.Observe({Level(980)}, At(minutes(10)));
    billing.Observe({Level(980)}, At(minutes(12)));
    billing.Observe({Level(1960)}, At(minutes(15)));
    billing.Observe({Level(1960)}, At(minutes(16)));
  }  // Killed: nothing was closed.
  Billing billing(store_);
  billing.Observe({Level(1960)}, At(minutes(60)));
  billing.Observe({}, At(minutes(61)));
  const auto report = billing.ReportJson("0", "36000000", At(minutes(90)));
  ASSERT_TRUE(report) << report.error().message;
  ASSERT_EQ(report->at("rows").as_array().size(), 2u);
  EXPECT_EQ(report->at("rows").at(0).at("minutes"), 5);
  EXPECT_EQ(report->at("rows").at(1).at("minutes"), 2);  // 15 to 16, 60 to 61: not while down.
}

TEST_F(BillingTest, RefusesBadTimes) {
  Billing billing(store_);
  EXPECT_EQ(billing.ReportJson("yesterday", "", At(minutes(1))).error().field, "start");
  EXPECT_EQ(billing.ReportJson("", "2026-13-01", At(minutes(1))).error().field, "end");
  const WallTime later = std::chrono::sys_days(std::chrono::year(2026) / 11 / 26);
  EXPECT_TRUE(billing.ReportJson("2026-11-25", "2026-11-25T15:30", later));
}

}  // namespace
}  // namespace penstock::control
