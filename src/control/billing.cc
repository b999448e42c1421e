#include "control/billing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <tuple>

#include "base/log.h"
#include "control/json_reader.h"

namespace penstock::control {
namespace {

using std::chrono::minutes;

constexpr Duration kFlushInterval = minutes(1);

std::int64_t MinuteFloor(WallTime time) {
  return std::chrono::floor<minutes>(time).time_since_epoch().count();
}
std::int64_t MinuteCeil(WallTime time) {
  return std::chrono::ceil<minutes>(time).time_since_epoch().count();
}

// Minutes [from, until) at one level.
struct Piece {
  std::int64_t from = 0;
  std::int64_t until = 0;
  std::int64_t level = 0;
};

// Puts the next span behind what is there. A minute that both touch goes to the higher level.
void Append(std::vector<Piece>& pieces, Piece next) {
  while (!pieces.empty() && next.from < pieces.back().until) {
    Piece& last = pieces.back();
    if (next.level <= last.level) {
      next.from = last.until;
      break;
    }
    last.until = next.from;
    if (last.until > last.from) break;
    pieces.pop_back();
  }
  if (next.from < next.until) pieces.push_back(next);
}

bool Fits(const Price& price, const store::BillingSpanRecord& span) {
  if (price.unit != span.unit) return false;
  if (!price.model.ends_with('*')) return price.model == span.model;
  return span.model.starts_with(std::string_view(price.model).substr(0, price.model.size() - 1));
}

// "2026-11-25T15:00:00Z" or milliseconds.
Result<WallTime> ParseTime(const std::string& text, const std::string& field) {
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), ms);
  constexpr std::int64_t kMsMax = 253'402'300'800'000;  // The year 10000.
  if (error == std::errc() && end == text.data() + text.size() && ms >= 0 && ms < kMsMax) {
    return WallTime(std::chrono::milliseconds(ms));
  }
  int year = 0;
  unsigned month = 0;
  unsigned day = 0;
  int hour = 0;
  int minute = 0;
  const int read =
      std::sscanf(text.c_str(), "%4d-%2u-%2uT%2d:%2d", &year, &month, &day, &hour, &minute);
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(month),
                                         std::chrono::day(day)};
  const bool whole = read == 3 || read == 5;
  if (!whole || !date.ok() || year < 1970 || hour > 23 || minute > 59) {
    return Fail(Code::kInvalidArgument,
                fmt::format("{} must be milliseconds since 1970 or a UTC time like "
                            "2026-11-25T15:00, got \"{}\"",
                            field, text.substr(0, 80)),
                field);
  }
  return WallTime(std::chrono::sys_days(date) + std::chrono::hours(hour) + minutes(minute));
}

boost::json::object RowJson(const BilledRow& row) {
  boost::json::object json{{"endpoint_name", row.endpoint},
                           {"endpoint_id", row.endpoint_id},
                           {"served_entity_name", row.served_entity},
                           {"entity_name", row.model},
                           {"unit", row.unit},
                           {"level", row.level},
                           {"minutes", row.minutes},
                           {"hours", static_cast<double>(row.minutes) / 60}};
  if (row.priced) json["amount"] = row.amount;
  return json;
}

}  // namespace

Result<PriceTable> ParsePriceTable(std::string_view json) {
  const auto object = ParseJsonObject(json);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  PriceTable table;
  table.currency = reader.String("currency").value_or(table.currency);
  const auto* array = reader.Array("prices");
  for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
    const auto* element = reader.Element(*array, "prices", i);
    if (element == nullptr) break;
    JsonReader inner(*element, reader.PathOf("prices", i) + ".", failure);
    Price price;
    price.model = inner.String("model").value_or(price.model);
    price.unit = inner.String("unit").value_or(price.unit);
    const auto number = [&](std::string_view key, double& into) {
      const auto* value = element->if_contains(key);
      if (value == nullptr) return;
      if (!value->is_number() || value->to_number<double>() < 0) {
        inner.Refuse(key, "a number of 0 or more", *value);
      } else {
        into = value->to_number<double>();
      }
    };
    number("per", price.per);
    number("price_per_hour", price.price_per_hour);
    if (price.per <= 0) inner.Refuse("per", "more than 0", boost::json::value(price.per));
    if (!inner.Has("price_per_hour")) {
      const std::string field = inner.PathOf("price_per_hour");
      inner.Refuse({Code::kInvalidArgument, field + " is required", field});
    }
    constexpr std::array<std::string_view, 3> kUnits = {"tokens_per_s", "model_units", "ptu"};
    if (std::ranges::find(kUnits, price.unit) == kUnits.end()) {
      inner.Refuse("unit", "tokens_per_s, model_units or ptu", boost::json::value(price.unit));
    }
    table.prices.push_back(std::move(price));
  }
  if (failure) return Fail(std::move(*failure));
  return table;
}

std::vector<BilledRow> Bill(const std::vector<store::BillingSpanRecord>& spans, WallTime from,
                            WallTime until, const PriceTable& prices) {
  std::map<std::tuple<std::string, std::string, std::string, std::string>,
           std::vector<const store::BillingSpanRecord*>>
      lanes;
  for (const auto& span : spans) {
    lanes[{span.endpoint, span.endpoint_id, span.served_entity, span.unit}].push_back(&span);
  }
  std::vector<BilledRow> rows;
  for (auto& [key, lane] : lanes) {
    std::ranges::sort(lane, {}, &store::BillingSpanRecord::from);
    std::vector<Piece> pieces;
    for (const auto* span : lane) {
      Append(pieces, {.from = MinuteFloor(std::max(span->from, from)),
                      .until = MinuteCeil(std::min(span->until, until)),
                      .level = span->level});
    }
    std::map<std::int64_t, std::int64_t> minutes_by_level;
    for (const Piece& piece : pieces) minutes_by_level[piece.level] += piece.until - piece.from;
    for (const auto& [level, count] : minutes_by_level) {
      const store::BillingSpanRecord& span = *lane.front();
      BilledRow row{.endpoint = span.endpoint,
                    .endpoint_id = span.endpoint_id,
                    .served_entity = span.served_entity,
                    .model = span.model,
                    .unit = span.unit,
                    .level = level,
                    .minutes = count};
      for (const Price& price : prices.prices) {
        if (!Fits(price, span)) continue;
        row.priced = true;
        row.amount = static_cast<double>(level) / price.per * static_cast<double>(count) / 60 *
                     price.price_per_hour;
        break;
      }
      rows.push_back(std::move(row));
    }
  }
  return rows;
}

void Billing::Observe(const std::vector<BillingLevel>& levels, WallTime now) {
  std::map<std::pair<std::string, std::string>, const BillingLevel*> present;
  for (const BillingLevel& level : levels) {
    if (level.level > 0) present[{level.endpoint_id, level.served_entity}] = &level;
  }
  for (auto span = open_.begin(); span != open_.end();) {
    const auto found = present.find(span->first);
    const bool same = found != present.end() && found->second->level == span->second.level &&
                      found->second->unit == span->second.unit;
    if (same) {
      present.erase(found);
      ++span;
      continue;
    }
    span->second.until = now;
    Put(span->second);
    span = open_.erase(span);
  }
  for (const auto& [key, level] : present) {
    store::BillingSpanRecord span{.endpoint_id = level->endpoint_id,
                                  .served_entity = level->served_entity,
                                  .from = now,
                                  .until = now,
                                  .endpoint = level->endpoint,
                                  .model = level->model,
                                  .unit = level->unit,
                                  .level = level->level,
                                  .replicas = level->replicas};
    Put(span);
    open_.emplace(key, std::move(span));
  }
  if (now - flushed_at_ >= kFlushInterval) Flush(now);
}

void Billing::Flush(WallTime now) {
  flushed_at_ = now;
  for (auto& [key, span] : open_) {
    span.until = std::max(span.from, now);
    Put(span);
  }
}

void Billing::Put(const store::BillingSpanRecord& span) {
  if (auto put = store_.PutBillingSpan(span); !put) {
    Log().error("billing of endpoint {}: {}", span.endpoint, put.error().message);
  }
}

Result<boost::json::object> Billing::ReportJson(const std::string& start, const std::string& end,
                                                WallTime now) {
  Flush(now);
  const auto today = std::chrono::year_month_day(std::chrono::floor<std::chrono::days>(now));
  const WallTime month = std::chrono::sys_days(today.year() / today.month() / 1);
  const auto from = start.empty() ? Result<WallTime>(month) : ParseTime(start, "start");
  if (!from) return Fail(from.error());
  const auto until = end.empty() ? Result<WallTime>(now) : ParseTime(end, "end");
  if (!until) return Fail(until.error());
  if (*from > now) {
    return Fail(Code::kInvalidArgument,
                "start must not be in the future: what is provisioned then is not known", "start");
  }
  if (*until < *from) {
    return Fail(Code::kInvalidArgument, "end must not be before start", "end");
  }
  const auto spans = store_.ListBillingSpans(*from, *until);
  if (!spans) return Fail(spans.error());
  boost::json::array rows;
  double total = 0;
  for (const BilledRow& row : Bill(*spans, *from, *until, prices_)) {
    rows.push_back(RowJson(row));
    total += row.amount;
  }
  return boost::json::object{{"start", from->time_since_epoch().count()},
                             {"end", until->time_since_epoch().count()},
                             {"currency", prices_.currency},
                             {"rows", std::move(rows)},
                             {"total", total}};
}

}  // namespace penstock::control
