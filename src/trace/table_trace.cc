#include "trace/table_trace.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "trace/csv.h"
#include "trace/moment.h"

namespace penstock::trace {
namespace {

constexpr std::size_t kQuotedBytesMax = 60;  // Of a wrong cell, in its error.

Result<Arrival> ReadRow(const CsvRows& rows, const std::vector<std::string>& cells,
                        const std::vector<std::string>& header, const ColumnPlaces& places,
                        std::int64_t unit_ns) {
  const std::size_t last = std::max({places.time, places.input, places.output});
  if (cells.size() <= last) {
    return FailAt(rows.row(), header[last], fmt::format("the row has {} cells only", cells.size()));
  }
  const auto wrong = [&](std::size_t place, std::string_view wanted) {
    return FailAt(rows.row(), header[place],
                  fmt::format("'{}' is not {}", cells[place].substr(0, kQuotedBytesMax), wanted));
  };
  const auto at_ns = ParseMoment(cells[places.time], unit_ns);
  if (!at_ns) return wrong(places.time, "a time");
  const auto input = ParseTokens(cells[places.input]);
  if (!input) return wrong(places.input, "a number of tokens");
  const auto output = ParseTokens(cells[places.output]);
  if (!output) return wrong(places.output, "a number of tokens");
  return Arrival{.at_ns = *at_ns, .input_tokens = *input, .output_tokens = *output};
}

}  // namespace

Result<Trace> ParseTable(std::string_view text, const ColumnNames& names) {
  CsvRows rows(text);
  std::vector<std::string> header;
  if (!rows.Next(header)) return Fail(Code::kCorrupt, "the file is empty");
  const auto places = FindColumns(header, names);
  if (!places) return Fail(places.error());
  const std::int64_t unit_ns = names.time_unit_ns > 0 ? names.time_unit_ns : kNanosecondsPerSecond;
  Trace trace{.format = std::string(FormatOfHeader(header))};
  std::vector<std::string> cells;
  while (rows.Next(cells)) {
    auto arrival = ReadRow(rows, cells, header, *places, unit_ns);
    if (!arrival) return Fail(arrival.error());
    if (trace.arrivals.size() >= kArrivalsMax) {
      return Fail(Code::kTooLarge, fmt::format("there are more than {} rows", kArrivalsMax));
    }
    trace.arrivals.push_back(std::move(*arrival));
  }
  if (trace.arrivals.empty()) return Fail(Code::kCorrupt, "there is no row below the header");
  Normalise(trace);
  return trace;
}

}  // namespace penstock::trace
