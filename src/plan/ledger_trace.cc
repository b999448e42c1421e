#include "plan/ledger_trace.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

#include "base/file.h"
#include "trace/moment.h"
#include "trace/trace.h"

namespace penstock::plan {
namespace {

using simdjson::dom::element;

constexpr std::size_t kExportBytesMax = std::size_t{4} << 30;
constexpr std::int64_t kTooManyRequests = 429;
constexpr double kBytesPerTokenUnknown = 4;

struct Row {
  bool wanted = false;  // Of the endpoint that is asked for.
  double began_s = 0;
  std::int64_t status = 0;
  std::int64_t input_tokens = 0;
  std::int64_t output_tokens = 0;
  std::int64_t input_bytes = 0;
};

std::unexpected<Error> BadLine(std::size_t line, std::string_view what) {
  return Fail(Code::kCorrupt, fmt::format("line {}: {}", line, what));
}

Result<Row> ReadRow(element json, std::size_t line, std::string_view endpoint) {
  Row row;
  std::string_view text;
  if (json["ended_at"].get(text) != simdjson::SUCCESS) return BadLine(line, "ended_at is missing");
  const auto ended_ns = trace::ParseMoment(text, 1);
  if (!ended_ns) return BadLine(line, fmt::format("ended_at '{}' is no time", text.substr(0, 40)));
  std::int64_t duration_us = 0;
  for (const auto& [name, value] :
       {std::pair<std::string_view, std::int64_t*>{"duration_us", &duration_us},
        {"status", &row.status},
        {"input_tokens", &row.input_tokens},
        {"output_tokens", &row.output_tokens},
        {"input_bytes", &row.input_bytes}}) {
    if (json[name].get(*value) != simdjson::SUCCESS || *value < 0) {
      return BadLine(line, fmt::format("{} is missing or no number", name));
    }
  }
  row.began_s = static_cast<double>(*ended_ns) / 1e9 - static_cast<double>(duration_us) / 1e6;
  std::string_view name;
  if (json["endpoint"].get(name) != simdjson::SUCCESS) return BadLine(line, "endpoint is missing");
  std::string_view spilled;  // What another endpoint served in its place was asked of it, too.
  (void)json["spilled_from"].get(spilled);
  // The refusal itself names its own endpoint there.
  row.wanted = spilled != name && (spilled.empty() ? name : spilled) == endpoint;
  return row;
}

// What served requests tell of those that were refused.
struct Usual {
  double bytes_per_token = kBytesPerTokenUnknown;
  double output_tokens = 1;
};

Usual UsualOf(const std::vector<Row>& rows) {
  double bytes = 0;
  double tokens = 0;
  double output = 0;
  double served = 0;
  for (const Row& row : rows) {
    if (row.output_tokens == 0) continue;
    bytes += static_cast<double>(row.input_bytes);
    tokens += static_cast<double>(row.input_tokens);
    output += static_cast<double>(row.output_tokens);
    ++served;
  }
  Usual usual;
  if (tokens > 0 && bytes > 0) usual.bytes_per_token = bytes / tokens;
  if (served > 0) usual.output_tokens = output / served;
  return usual;
}

SimArrival ArrivalOf(const Row& row, const Usual& usual, double begin_s, double speed) {
  const bool refused = row.status == kTooManyRequests && row.output_tokens == 0;
  const double input = refused ? static_cast<double>(row.input_bytes) / usual.bytes_per_token
                               : static_cast<double>(row.input_tokens);
  const double output = refused ? usual.output_tokens : static_cast<double>(row.output_tokens);
  constexpr auto kMost = static_cast<double>(trace::kTokensMax);
  return {.at_s = (row.began_s - begin_s) / speed,
          .input_tokens = static_cast<int>(std::lround(std::clamp(input, 0.0, kMost))),
          .output_tokens = static_cast<int>(std::lround(std::clamp(output, 1.0, kMost)))};
}

}  // namespace

Result<std::vector<SimArrival>> ParseLedgerTrace(std::string_view text,
                                                 const LedgerOptions& options) {
  simdjson::dom::parser parser;
  std::vector<Row> rows;
  std::optional<double> begin_s;
  for (std::size_t line = 1; !text.empty(); ++line) {
    const std::size_t feed = text.find('\n');
    const std::string_view bytes = text.substr(0, feed);
    text.remove_prefix(feed == std::string_view::npos ? text.size() : feed + 1);
    if (bytes.find_first_not_of(" \t\r") == std::string_view::npos) continue;
    element json;
    if (const auto error = parser.parse(simdjson::padded_string(bytes)).get(json)) {
      return BadLine(line, simdjson::error_message(error));
    }
    const auto row = ReadRow(json, line, options.endpoint);
    if (!row) return Fail(row.error());
    begin_s = std::min(begin_s.value_or(row->began_s), row->began_s);
    const bool wrong = row->status >= 400 && row->status < 500 && row->status != kTooManyRequests;
    if (!row->wanted || wrong) continue;
    if (rows.size() >= trace::kArrivalsMax) {
      return Fail(Code::kTooLarge,
                  fmt::format("there are more than {} requests", trace::kArrivalsMax));
    }
    rows.push_back(*row);
  }
  if (rows.empty()) {
    return Fail(Code::kNotFound,
                fmt::format("there is no request of endpoint '{}'", options.endpoint), "endpoint");
  }
  const Usual usual = UsualOf(rows);
  std::vector<SimArrival> arrivals;
  arrivals.reserve(rows.size());
  for (const Row& row : rows) arrivals.push_back(ArrivalOf(row, usual, *begin_s, options.speed));
  std::ranges::sort(arrivals, {}, &SimArrival::at_s);
  return arrivals;
}

Result<std::vector<SimArrival>> ReadLedgerTrace(const std::string& path,
                                                const LedgerOptions& options) {
  const auto text = ReadSmallFile(path, kExportBytesMax);
  if (!text) return Fail(text.error());
  auto arrivals = ParseLedgerTrace(*text, options);
  if (!arrivals) return Fail(arrivals.error().code, path + ": " + arrivals.error().message);
  return arrivals;
}

}  // namespace penstock::plan
