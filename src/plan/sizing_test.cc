#include "plan/sizing.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "plan/sizing_text.h"

namespace penstock::plan {
namespace {

using testing::HasSubstr;
using testing::Not;

Offers AllOffers() {
  return {.azure = BuiltInPtuTable().Find("gpt-4o-mini").value(),
          .databricks = BuiltInChunkTable().Find("llama").value(),
          .own = {OwnModel{.name = "main.default.m",
                           .capacity = {.cost_per_s = 5000, .chunk_tokens_per_s = 300}}},
          .standard = QuotaUnit{}};
}

UsageSeries Weeks() {
  UsageSeries series;
  for (int minute = 0; minute < 1000; ++minute) {
    const std::int64_t tokens = minute == 500 ? 90'000 : 100 + minute;
    series.Add(minute * 60, {.input = tokens, .output = tokens / 10});
  }
  return series;
}

TEST(Sizing, OneWorkloadIsAnsweredForEveryOfferSideBySide) {
  const Sizing sizing =
      SizeFor({.requests = 1000, .input = 5'000'000, .output = 50'000}, AllOffers());
  ASSERT_EQ(sizing.rows.size(), 5u);
  EXPECT_EQ(sizing.rows[0].amount, 140);
  EXPECT_EQ(sizing.rows[1].amount, 150);
  EXPECT_EQ(sizing.rows[2].amount % 980, 0);
  EXPECT_EQ(sizing.rows[3].amount % 300, 0);
  EXPECT_THAT(sizing.rows[3].note, HasSubstr("replicas"));
  EXPECT_EQ(sizing.rows[4].amount, 5050);
}

TEST(Sizing, TheMinuteThatIsSizedForIsTheNamedOne) {
  const UsageSeries series = Weeks();
  const Offers offers = AllOffers();
  EXPECT_EQ(SizeFor("a", series, Peak::kMax, offers)->tokens.input, 90'000);
  EXPECT_EQ(SizeFor("a", series, Peak::kP99, offers)->tokens.input, 1090);
  EXPECT_NEAR(SizeFor("a", series, Peak::kMean, offers)->tokens.input, 689, 1);
  EXPECT_EQ(SizeFor("a", series, Peak::kP99, offers)->peak, "p99 minute");
  EXPECT_FALSE(ParsePeak("p98"));
}

TEST(Sizing, CostsAreShownOnlyWhereAPriceIsKnown) {
  Offers offers = AllOffers();
  const TokensPerMinute tokens{.requests = 500, .input = 500'000, .output = 150'000};
  EXPECT_THAT(SizingTable(std::vector{SizeFor(tokens, offers)}, {}), Not(HasSubstr("USD/h")));
  offers.prices = ParsePrices("currency: EUR\nper_hour: {ptu_global: 1.5}").value();
  const Sizing sizing = SizeFor(tokens, offers);
  EXPECT_EQ(sizing.rows[0].cost_per_hour, 45);
  EXPECT_FALSE(sizing.rows[1].cost_per_hour);
  const std::string table = SizingTable(std::vector{sizing}, {.currency = "EUR"});
  EXPECT_THAT(table, HasSubstr("EUR/h"));
  EXPECT_THAT(table, HasSubstr("32,850.00"));
}

TEST(Sizing, ABadPriceFileIsRefusedByField) {
  EXPECT_THAT(ParsePrices("a: 1").error().message, HasSubstr("per_hour"));
  EXPECT_THAT(ParsePrices("per_hour: {ptu: 1}").error().message, HasSubstr("per_hour.ptu"));
  EXPECT_THAT(ParsePrices("per_hour: {chunk: -1}").error().message, HasSubstr("per_hour.chunk"));
  EXPECT_FALSE(ParsePrices("per_hour: ["));
}

TEST(Sizing, EveryFormSaysTheSame) {
  UsageHistory history;
  history.series["chat"] = Weeks();
  const std::vector sizings = {
      SizeFor("chat", history.series["chat"], Peak::kP99, AllOffers()).value()};
  const SizingBasis basis{.sources = {"table of <today>"}};
  const boost::json::value json = boost::json::parse(SizingJson(sizings, basis));
  const boost::json::value& chat = json.at("sizings").at(0);
  EXPECT_EQ(chat.at("input_tpm").as_double(), 1090);
  EXPECT_EQ(chat.at("usage").at("input_tpm").at("max").as_double(), 90'000);
  EXPECT_EQ(chat.at("offers").as_array().size(), 5u);
  EXPECT_THAT(SizingTable(sizings, basis), HasSubstr("max    90,000 at 1970-01-01 08:20 UTC"));
  EXPECT_THAT(SizingMarkdown(sizings, basis), HasSubstr("| Azure OpenAI provisioned, global |"));
  EXPECT_THAT(SizingCsv(sizings), HasSubstr("\"chat\",\"p99 minute\""));
  const std::string page = SizingPage(sizings, basis, &history);
  EXPECT_THAT(page, HasSubstr("table of &lt;today&gt;"));
  EXPECT_THAT(page, HasSubstr("<svg"));
}

TEST(Sizing, ARangeBuysWhatItsReverseNeeds) {
  const Workload shape{.input_tokens = 1000, .output_tokens = 100};
  const Bought bought = Buys(980, shape, {.output = 4});
  EXPECT_NEAR(bought.input_tpm, bought.requests_per_minute * 1000, 1e-9);
  EXPECT_NEAR(bought.output_tpm, bought.requests_per_minute * 100, 1e-9);
}

}  // namespace
}  // namespace penstock::plan
