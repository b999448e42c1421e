#include "meter/usage_report.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <deque>
#include <utility>

#include "meter/time_text.h"

namespace penstock::meter {
namespace {

namespace json = boost::json;

json::value Latency(const Distribution& distribution) {
  const GaugeStat& stat = distribution.stat;
  if (stat.samples == 0) return nullptr;
  const auto ms = [](double us) { return us / 1000; };
  json::object object = {
      {"count", stat.samples},
      {"total", ms(static_cast<double>(stat.sum))},
      {"minimum", ms(static_cast<double>(stat.minimum))},
      {"average", ms(static_cast<double>(stat.sum) / static_cast<double>(stat.samples))},
      {"maximum", ms(static_cast<double>(stat.maximum))}};
  if (!distribution.sketch.empty()) {
    for (const auto& [name, q] : {std::pair("p50", 0.5), {"p95", 0.95}, {"p99", 0.99}}) {
      object[name] = ms(distribution.sketch.Quantile(q));
    }
  }
  return object;
}

json::value Tokens(const GaugeStat& stat) {
  if (stat.samples == 0) return nullptr;
  return {{"total", stat.sum},
          {"minimum", stat.minimum},
          {"average", static_cast<double>(stat.sum) / static_cast<double>(stat.samples)},
          {"maximum", stat.maximum}};
}

json::value Gauge(const GaugeStat& stat, double scale) {
  if (stat.samples == 0) return nullptr;
  const auto scaled = [scale](double value) { return value * scale; };
  return {{"minimum", scaled(static_cast<double>(stat.minimum))},
          {"average", scaled(static_cast<double>(stat.sum) / static_cast<double>(stat.samples))},
          {"maximum", scaled(static_cast<double>(stat.maximum))}};
}

json::object CellToJson(const SeriesKey& key, const SeriesCell& cell) {
  return {{"model", key.model},
          {"model_version", key.model_version},
          {"operation", ToWord(key.operation)},
          {"stream", key.stream},
          {"status", key.status},
          {"spilled_over", key.spilled},
          {"requests", cell.requests},
          {"failed", cell.failed},
          {"disconnected", cell.disconnected},
          {"input_tokens", Tokens(cell.input)},
          {"cached_tokens", Tokens(cell.cached)},
          {"output_tokens", Tokens(cell.output)},
          {"total_tokens", Tokens(cell.total)},
          {"cost", static_cast<double>(cell.cost_milli) / 1000},
          {"reserved_cost", static_cast<double>(cell.reserved_milli) / 1000},
          {"ttft_ms", Latency(cell.ttft_us)},
          {"tpot_ms", Latency(cell.tpot_us)},
          {"duration_ms", Latency(cell.duration_us)},
          {"queue_wait_ms", Latency(cell.queue_us)}};
}

json::value GaugesToJson(const GaugeCell& gauges) {
  if (gauges.replicas_total.samples == 0) return nullptr;
  return {{"replicas_ready", Gauge(gauges.replicas_ready, 1)},
          {"replicas", Gauge(gauges.replicas_total, 1)},
          {"queued", Gauge(gauges.queued, 1)},
          {"running", Gauge(gauges.running, 1)},
          {"utilisation", Gauge(gauges.utilisation_milli, 1e-3)},
          {"provisioned_cost_per_s", Gauge(gauges.provisioned_milli, 1e-3)}};
}

}  // namespace

Result<std::string> RecordsToJson(const std::string& ledger_folder, const UsageFilter& filter,
                                  std::size_t limit) {
  std::deque<std::string> newest;
  const auto stats = ReadLedger(ledger_folder, filter.from, filter.until,
                                {.usage =
                                     [&](const UsageRecord& record) {
                                       if (!filter.Matches(record)) return;
                                       AppendJsonLine(record, newest.emplace_back());
                                       newest.back().pop_back();
                                       if (newest.size() > limit) newest.pop_front();
                                     },
                                 .gauge = {}});
  if (!stats) return Fail(stats.error());
  std::string text = "{\"records\":[";
  for (auto at = newest.rbegin(); at != newest.rend(); ++at) {
    if (at != newest.rbegin()) text += ',';
    text += *at;
  }
  return text + "]}";
}

Result<std::string> MinutesToJson(const std::optional<std::string>& endpoint, Series::Range range,
                                  const ReadSeries& read) {
  std::map<std::pair<Minute, std::string>, EndpointMinute> minutes;
  bool too_many = false;
  const Status done =
      read(range, [&](const std::string& name, Minute minute, const EndpointMinute& content) {
        if (endpoint && name != *endpoint) return;
        too_many = too_many || minutes.size() > kUsageRowsMax;
        if (!too_many) minutes[{minute, name}].Merge(content);
      });
  if (!done) return Fail(done.error());
  if (too_many) {
    return Fail(
        Code::kTooLarge,
        fmt::format("more than {} minutes; ask for less time, or for one endpoint", kUsageRowsMax),
        "from");
  }
  json::array array;
  for (const auto& [key, content] : minutes) {
    json::array cells;
    for (const auto& [kind, cell] : content.cells) cells.push_back(CellToJson(kind, cell));
    array.push_back({{"minute", FormatTime(TimeOf(key.first))},
                     {"endpoint", key.second},
                     {"gauges", GaugesToJson(content.gauges)},
                     {"requests", std::move(cells)}});
  }
  return json::serialize(json::value{{"minutes", std::move(array)}});
}

std::string ToJson(const SeriesCheck& check) {
  json::array examples;
  for (const std::string& example : check.examples) examples.push_back(json::string(example));
  return json::serialize(json::value{
      {"agree", check.differences == 0},
      {"records", check.records},
      {"minutes", check.minutes},
      {"differences", check.differences},
      {"pending", check.pending},
      {"pending_from", check.pending > 0 ? json::value(FormatTime(TimeOf(check.pending_from)))
                                         : json::value(nullptr)},
      {"examples", std::move(examples)}});
}

}  // namespace penstock::meter
