#include "meter/usage_query.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <map>
#include <utility>

#include "meter/time_text.h"

namespace penstock::meter {
namespace {

namespace json = boost::json;

constexpr std::array<std::string_view, 11> kGroupWords = {
    "endpoint", "key", "model", "served_entity", "operation", "stream",
    "status",   "end", "day",   "hour",          "minute"};

std::string ValueOf(const UsageRecord& record, GroupBy group) {
  switch (group) {
    case GroupBy::kEndpoint:
      return std::string(record.endpoint);
    case GroupBy::kRequester:
      return std::string(record.requester);
    case GroupBy::kModel:
      return record.model_version == 0 ? std::string(record.model)
                                       : fmt::format("{}/{}", record.model, record.model_version);
    case GroupBy::kServedEntity:
      return std::string(record.served_entity);
    case GroupBy::kOperation:
      return std::string(ToWord(record.operation));
    case GroupBy::kStream:
      return record.stream ? "true" : "false";
    case GroupBy::kStatus:
      return fmt::format("{}", record.status);
    case GroupBy::kEnd:
      return std::string(ToWord(record.end));
    case GroupBy::kDay:
      return FormatTime(std::chrono::floor<std::chrono::days>(record.ended_at)).substr(0, 10);
    case GroupBy::kHour:
      return FormatTime(std::chrono::floor<std::chrono::hours>(record.ended_at));
    case GroupBy::kMinute:
      return FormatTime(std::chrono::floor<std::chrono::minutes>(record.ended_at));
  }
  return {};
}

bool Is(const std::optional<std::string>& wanted, std::string_view value) {
  return !wanted || *wanted == value;
}

double Milliseconds(double microseconds) { return microseconds / 1000; }

json::value Latencies(const Distribution& distribution) {
  const GaugeStat& stat = distribution.stat;
  if (stat.samples == 0) return nullptr;
  const auto quantile = [&](double q) { return Milliseconds(distribution.sketch.Quantile(q)); };
  return {
      {"average", Milliseconds(static_cast<double>(stat.sum)) / static_cast<double>(stat.samples)},
      {"minimum", Milliseconds(static_cast<double>(stat.minimum))},
      {"p50", quantile(0.5)},
      {"p95", quantile(0.95)},
      {"p99", quantile(0.99)},
      {"maximum", Milliseconds(static_cast<double>(stat.maximum))}};
}

json::object RowToJson(const UsageRow& row, const std::vector<GroupBy>& groups) {
  json::object object;
  for (std::size_t i = 0; i < groups.size(); ++i) object[ToWord(groups[i])] = row.groups[i];
  const SeriesCell& sum = row.sum;
  object["requests"] = sum.requests;
  object["refused"] = row.refused;
  object["failed"] = sum.failed;
  object["disconnected"] = sum.disconnected;
  object["input_tokens"] = sum.input.sum;
  object["cached_tokens"] = sum.cached.sum;
  object["output_tokens"] = sum.output.sum;
  object["total_tokens"] = sum.total.sum;
  object["cost"] = static_cast<double>(sum.cost_milli) / 1000;
  object["ttft_ms"] = Latencies(sum.ttft_us);
  object["tpot_ms"] = Latencies(sum.tpot_us);
  object["duration_ms"] = Latencies(sum.duration_us);
  object["queue_wait_ms"] = Latencies(sum.queue_us);
  return object;
}

// RFC 4180: quotes where they are needed.
void AppendCsv(std::string_view text, std::string& out) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  out += '"';
}

}  // namespace

std::string_view ToWord(GroupBy group) { return kGroupWords[static_cast<std::size_t>(group)]; }

Result<std::vector<GroupBy>> ParseGroups(std::string_view words) {
  std::vector<GroupBy> groups;
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(','));
    words.remove_prefix(std::min(words.size(), word.size() + 1));
    const auto* const found = std::ranges::find(kGroupWords, word);
    if (found == kGroupWords.end()) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("group by '{}': use a list of {}", word.substr(0, 64),
                              fmt::join(kGroupWords, ", ")),
                  "group_by");
    }
    groups.push_back(static_cast<GroupBy>(found - kGroupWords.begin()));
  }
  return groups;
}

bool UsageFilter::Matches(const UsageRecord& record) const {
  return Is(endpoint, record.endpoint) && Is(requester, record.requester) &&
         Is(model, record.model) && Is(served_entity, record.served_entity) &&
         (!status || *status == record.status);
}

Result<UsageSummary> SummariseUsage(const std::string& folder, const UsageFilter& filter,
                                    const std::vector<GroupBy>& groups) {
  std::map<std::vector<std::string>, UsageRow> rows;
  bool too_many = false;
  std::vector<std::string> values(groups.size());
  const auto stats = ReadLedger(folder, filter.from, filter.until,
                                {.usage =
                                     [&](const UsageRecord& record) {
                                       if (too_many || !filter.Matches(record)) return;
                                       for (std::size_t i = 0; i < groups.size(); ++i)
                                         values[i] = ValueOf(record, groups[i]);
                                       auto at = rows.find(values);
                                       if (at == rows.end())
                                         at = rows.emplace(values, UsageRow()).first;
                                       too_many = rows.size() > kUsageRowsMax;
                                       at->second.refused += record.status == 429;
                                       at->second.sum.Add(record);
                                     },
                                 .gauge = {}});
  if (!stats) return Fail(stats.error());
  if (too_many) {
    return Fail(
        Code::kTooLarge,
        fmt::format("more than {} rows; ask for less time, or group by less", kUsageRowsMax),
        "group_by");
  }
  UsageSummary summary{.rows = {}, .stats = *stats};
  summary.rows.reserve(rows.size());
  for (auto& [group, row] : rows) {
    row.groups = group;
    summary.rows.push_back(std::move(row));
  }
  return summary;
}

std::string ToJson(const UsageSummary& summary, const std::vector<GroupBy>& groups,
                   const UsageFilter& filter) {
  json::array rows;
  for (const UsageRow& row : summary.rows) rows.push_back(RowToJson(row, groups));
  json::object object = {{"from", FormatTime(filter.from)},
                         {"until", FormatTime(filter.until)},
                         {"records", summary.stats.records},
                         {"duplicates", summary.stats.duplicates},
                         {"damaged_bytes", summary.stats.damaged_bytes}};
  object["rows"] = std::move(rows);
  return json::serialize(object);
}

void AppendJsonLine(const UsageRecord& record, std::string& out) {
  json::object object = {{"request_id", record.id.ToString()},
                         {"ended_at", FormatTime(record.ended_at)},
                         {"endpoint", record.endpoint},
                         {"endpoint_id", record.endpoint_id},
                         {"served_entity", record.served_entity},
                         {"model", record.model},
                         {"model_version", record.model_version},
                         {"key", record.requester},
                         {"client_request_id", record.client_request_id},
                         {"spilled_from", record.spilled_from},
                         {"operation", ToWord(record.operation)},
                         {"end", ToWord(record.end)},
                         {"source", ToWord(record.source)},
                         {"stream", record.stream},
                         {"status", record.status},
                         {"input_tokens", record.input_tokens},
                         {"cached_tokens", record.cached_tokens},
                         {"output_tokens", record.output_tokens},
                         {"input_bytes", record.input_bytes},
                         {"output_bytes", record.output_bytes},
                         {"input_characters", record.input_characters},
                         {"output_characters", record.output_characters},
                         {"duration_us", record.duration_us},
                         {"queue_wait_us", record.queue_wait_us},
                         {"cost", static_cast<double>(record.cost_milli) / 1000},
                         {"reserved_cost", static_cast<double>(record.reserved_milli) / 1000}};
  object["ttft_us"] = record.ttft_us ? json::value(*record.ttft_us) : json::value(nullptr);
  object["tpot_ns"] = record.tpot_ns ? json::value(*record.tpot_ns) : json::value(nullptr);
  boost::system::error_code error;
  json::value context = json::parse(std::string_view(record.usage_context), error);
  object["usage_context"] = error ? json::value(nullptr) : std::move(context);
  out += json::serialize(object);
  out += '\n';
}

std::string_view DatabricksHeader() {
  return "account_id,workspace_id,client_request_id,databricks_request_id,requester,status_code,"
         "request_time,input_token_count,output_token_count,input_character_count,"
         "output_character_count,usage_context,request_streaming,served_entity_id\n";
}

void AppendDatabricksRow(const UsageRecord& record, std::string& out) {
  out += ",,";  // One server, and nobody's account.
  AppendCsv(record.client_request_id, out);
  out += fmt::format(",{},", record.id.ToString());
  AppendCsv(record.requester, out);
  out += fmt::format(",{},{},{},{},{},{},", record.status, FormatTime(record.started_at()),
                     record.input_tokens, record.output_tokens, record.input_characters,
                     record.output_characters);
  AppendCsv(record.usage_context, out);
  out += fmt::format(",{},", record.stream);
  AppendCsv(record.served_entity, out);
  out += '\n';
}

}  // namespace penstock::meter
