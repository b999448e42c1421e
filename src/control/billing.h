// Billing: provisioned hours by the level that each served entity was scaled to, prorated by the
// minute, and what they cost after a table of prices.
//
// Levels are observed about once a second and kept as spans of equal level. An open span is written
// every minute, so a server that is killed loses less than one; the time it was down is not billed.
#pragma once

#include <boost/json.hpp>
#include <chrono>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace penstock::control {

// What one unit of a level costs an hour. The first rule that fits counts.
struct Price {
  std::string model = "*";            // Full name, or a pattern with one '*' at its end.
  std::string unit = "tokens_per_s";  // tokens_per_s, model_units, ptu
  double per = 1;                     // The price is for so many units; more than 0.
  double price_per_hour = 0;
};
struct PriceTable {
  std::string currency = "EUR";
  std::vector<Price> prices;
};
// {"currency", "prices": [{"model", "unit", "per", "price_per_hour"}]}.
Result<PriceTable> ParsePriceTable(std::string_view json);

struct BilledRow {
  std::string endpoint;
  std::string endpoint_id;
  std::string served_entity;
  std::string model;
  std::string unit;
  std::int64_t level = 0;
  std::int64_t minutes = 0;
  double amount = 0;  // 0 where no price fits.
  bool priced = false;
};
// Each minute that a span touches is billed once, at the highest level that it saw. `spans` by
// endpoint, entity and time, cut to [from, until). Pure.
std::vector<BilledRow> Bill(const std::vector<store::BillingSpanRecord>& spans, WallTime from,
                            WallTime until, const PriceTable& prices);

// What a served entity is scaled to at this moment.
struct BillingLevel {
  std::string endpoint_id;
  std::string endpoint;
  std::string served_entity;
  std::string model;
  std::string unit;
  std::int64_t level = 0;  // 0: nothing to bill.
  std::int64_t replicas = 0;
};

class Billing {
 public:
  // `store` is borrowed and outlives this.
  explicit Billing(store::Store& store, PriceTable prices = {})
      : store_(store), prices_(std::move(prices)) {}

  // All levels as they stand; what is missing has ended.
  void Observe(const std::vector<BillingLevel>& levels, WallTime now);
  // Writes what is open. Before the end.
  void Flush(WallTime now);

  // {"currency", "rows": […], "total"}. `start` and `end` in ms since 1970 or as RFC 3339; empty:
  // this month, now.
  Result<boost::json::object> ReportJson(const std::string& start, const std::string& end,
                                         WallTime now);

 private:
  void Put(const store::BillingSpanRecord& span);

  store::Store& store_;
  PriceTable prices_;
  std::map<std::pair<std::string, std::string>, store::BillingSpanRecord> open_;
  WallTime flushed_at_{};
};

}  // namespace penstock::control
