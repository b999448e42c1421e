// UsageQuery: which usage records, and summed up by what; answered from the ledger's records.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "meter/ledger_reader.h"
#include "meter/series_cell.h"
#include "meter/usage_record.h"

namespace penstock::meter {

struct UsageFilter {
  WallTime from{};   // Included; by the end of the request.
  WallTime until{};  // Not included.
  std::optional<std::string> endpoint;
  std::optional<std::string> requester;  // Name of a key.
  std::optional<std::string> model;
  std::optional<std::string> served_entity;
  std::optional<std::uint16_t> status;

  bool Matches(const UsageRecord& record) const;  // The time aside.
};

enum class GroupBy : std::uint8_t {
  kEndpoint,
  kRequester,
  kModel,
  kServedEntity,
  kOperation,
  kStream,
  kStatus,
  kEnd,
  kDay,
  kHour,
  kMinute,
};
// "endpoint", "key", "model", "served_entity", "operation", "stream", "status", "end", "day",
// "hour", "minute".
std::string_view ToWord(GroupBy group);
// Of a list, "endpoint,day". kInvalidArgument names the words that there are.
Result<std::vector<GroupBy>> ParseGroups(std::string_view words);

struct UsageRow {
  std::vector<std::string> groups;  // Values, in the order that was asked for.
  std::uint64_t refused = 0;        // 429.
  SeriesCell sum;
};

struct UsageSummary {
  std::vector<UsageRow> rows;  // In order of their groups.
  LedgerReadStats stats;
};

// More rows than this are refused: kTooLarge.
inline constexpr std::size_t kUsageRowsMax = 200'000;

// Reads `folder`, the ledger's. Blocks.
Result<UsageSummary> SummariseUsage(const std::string& folder, const UsageFilter& filter,
                                    const std::vector<GroupBy>& groups);

// {"rows": [...]}: each with its groups by name, counts, tokens, cost, latencies in ms.
std::string ToJson(const UsageSummary& summary, const std::vector<GroupBy>& groups,
                   const UsageFilter& filter);

// One record as a line, newline included.
void AppendJsonLine(const UsageRecord& record, std::string& out);
// Databricks' system.serving.endpoint_usage, as CSV.
std::string_view DatabricksHeader();
void AppendDatabricksRow(const UsageRecord& record, std::string& out);

}  // namespace penstock::meter
