#include "app/usage_table.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

namespace penstock::app {

namespace {

namespace json = boost::json;

using Row = std::vector<std::string>;

// UTF-8 characters, near enough to columns.
std::size_t WidthOf(const std::string& text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

// The first `left` columns lean to the left, the others to the right.
std::string Align(const Row& head, const std::vector<Row>& rows, std::size_t left) {
  std::vector<std::size_t> widths;
  for (const std::string& cell : head) widths.push_back(WidthOf(cell));
  for (const Row& row : rows) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], WidthOf(row[i]));
  }
  std::string text;
  const auto append = [&](const Row& row) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string blanks(widths[i] - WidthOf(row[i]), ' ');
      if (i != 0) line += "  ";
      line += i < left ? row[i] + blanks : blanks + row[i];
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + '\n';
  };
  append(head);
  for (const Row& row : rows) append(row);
  return text;
}

std::string Csv(const Row& head, const std::vector<Row>& rows) {
  std::string text;
  const auto append = [&text](const Row& row) {
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i != 0) text += ',';
      if (row[i].find_first_of(",\"\n") == std::string::npos) {
        text += row[i];
        continue;
      }
      text += '"';
      for (const char c : row[i]) text += c == '"' ? "\"\"" : std::string(1, c);
      text += '"';
    }
    text += '\n';
  };
  append(head);
  for (const Row& row : rows) append(row);
  return text;
}

// A number or text as a cell; "-" where there is none. Numbers of people get 3 digits or so.
std::string Cell(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_bool()) return value.get_bool() ? "true" : "false";
  if (value.is_int64()) return fmt::format("{}", value.get_int64());
  if (value.is_uint64()) return fmt::format("{}", value.get_uint64());
  if (value.is_double()) return fmt::format("{:.1f}", value.get_double());
  return "-";
}

// "1 record", "5 records".
std::string Counted(const json::value& value, std::string_view noun) {
  const std::string number = Cell(value);
  return fmt::format("{} {}{}", number, noun, number == "1" ? "" : "s");
}

// The member at "ttft_ms.p95"; null where there is none.
json::value At(const json::value& value, std::string_view path) {
  const json::value* at = &value;
  while (!path.empty()) {
    const std::string_view name = path.substr(0, path.find('.'));
    path.remove_prefix(std::min(path.size(), name.size() + 1));
    const json::value* const next = at->is_object() ? at->as_object().if_contains(name) : nullptr;
    if (next == nullptr) return nullptr;
    at = next;
  }
  return *at;
}

struct Column {
  std::string title;
  std::string path;
};

Row Titles(const std::vector<Column>& columns) {
  Row row;
  for (const Column& column : columns) row.push_back(column.title);
  return row;
}

std::vector<Row> Rows(const json::array& objects, const std::vector<Column>& columns) {
  std::vector<Row> rows;
  for (const json::value& object : objects) {
    Row row;
    for (const Column& column : columns) row.push_back(Cell(At(object, column.path)));
    rows.push_back(std::move(row));
  }
  return rows;
}

// For people: requests for endpoints that there are not.
std::vector<Row> NamedRows(const json::array& objects, const std::vector<Column>& columns) {
  std::vector<Row> rows = Rows(objects, columns);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].path != "endpoint") continue;
    for (Row& row : rows) {
      if (row[i].empty()) row[i] = "(unknown)";
    }
  }
  return rows;
}

std::vector<Column> GroupColumns(const std::string& group_by) {
  std::vector<Column> columns;
  std::string_view words = group_by;
  while (!words.empty()) {
    const std::string word(words.substr(0, words.find(',')));
    words.remove_prefix(std::min(words.size(), word.size() + 1));
    columns.push_back({word, word});
  }
  return columns;
}

std::vector<Column> SummaryColumns(const std::string& group_by, bool all) {
  std::vector<Column> columns = GroupColumns(group_by);
  const std::vector<Column> shown = {{"requests", "requests"},       {"429", "refused"},
                                     {"failed", "failed"},           {"left", "disconnected"},
                                     {"input", "input_tokens"},      {"cached", "cached_tokens"},
                                     {"output", "output_tokens"},    {"cost", "cost"},
                                     {"TTFT p50 ms", "ttft_ms.p50"}, {"p95", "ttft_ms.p95"},
                                     {"TPOT p50 ms", "tpot_ms.p50"}, {"p95", "tpot_ms.p95"}};
  columns.insert(columns.end(), shown.begin(), shown.end());
  if (!all) return columns;
  columns = GroupColumns(group_by);
  for (const char* name : {"requests", "refused", "failed", "disconnected", "input_tokens",
                           "cached_tokens", "output_tokens", "total_tokens", "cost"}) {
    columns.push_back({name, name});
  }
  for (const char* what : {"ttft_ms", "tpot_ms", "duration_ms", "queue_wait_ms"}) {
    for (const char* how : {"minimum", "average", "p50", "p95", "p99", "maximum"}) {
      const std::string path = fmt::format("{}.{}", what, how);
      columns.push_back({path, path});
    }
  }
  return columns;
}

// One object per minute and kind of request; minutes that have gauges alone give one, too.
json::array FlatMinutes(const json::value& minutes) {
  json::array flat;
  for (const json::value& minute : minutes.at("minutes").as_array()) {
    const json::array& cells = minute.at("requests").as_array();
    for (std::size_t i = 0; i < std::max<std::size_t>(cells.size(), 1); ++i) {
      json::object row = cells.empty() ? json::object() : cells[i].as_object();
      row["minute"] = minute.at("minute");
      row["endpoint"] = minute.at("endpoint");
      row["gauges"] = minute.at("gauges");
      flat.push_back(std::move(row));
    }
  }
  return flat;
}

}  // namespace

std::string SummaryTable(const json::value& summary, const std::string& group_by) {
  const auto columns = SummaryColumns(group_by, false);
  const json::array& rows = summary.at("rows").as_array();
  std::string text =
      fmt::format("{} to {}\n\n", Cell(At(summary, "from")), Cell(At(summary, "until")));
  text += rows.empty()
              ? "No requests.\n"
              : Align(Titles(columns), NamedRows(rows, columns), GroupColumns(group_by).size());
  if (const json::value damaged = At(summary, "damaged_bytes"); Cell(damaged) != "0") {
    text += fmt::format("\n{} bytes of the ledger are damaged and left out.\n", Cell(damaged));
  }
  return text;
}

std::string SummaryCsv(const json::value& summary, const std::string& group_by) {
  const auto columns = SummaryColumns(group_by, true);
  return Csv(Titles(columns), Rows(summary.at("rows").as_array(), columns));
}

std::string RecordsTable(const json::value& records) {
  const std::vector<Column> columns = {{"ended", "ended_at"},
                                       {"endpoint", "endpoint"},
                                       {"key", "key"},
                                       {"operation", "operation"},
                                       {"end", "end"},
                                       {"source", "source"},
                                       {"request", "request_id"},
                                       {"status", "status"},
                                       {"input", "input_tokens"},
                                       {"cached", "cached_tokens"},
                                       {"output", "output_tokens"},
                                       {"TTFT µs", "ttft_us"},
                                       {"took µs", "duration_us"}};
  const json::array& rows = records.at("records").as_array();
  if (rows.empty()) return "No records.\n";
  return Align(Titles(columns), NamedRows(rows, columns), 7);
}

std::string MinutesTable(const json::value& minutes) {
  const std::vector<Column> columns = {{"minute", "minute"},
                                       {"endpoint", "endpoint"},
                                       {"operation", "operation"},
                                       {"stream", "stream"},
                                       {"status", "status"},
                                       {"requests", "requests"},
                                       {"input", "input_tokens.total"},
                                       {"cached", "cached_tokens.total"},
                                       {"output", "output_tokens.total"},
                                       {"TTFT p50 ms", "ttft_ms.p50"},
                                       {"p95", "ttft_ms.p95"},
                                       {"TPOT p50 ms", "tpot_ms.p50"},
                                       {"replicas", "gauges.replicas_ready.average"},
                                       {"utilisation", "gauges.utilisation.average"}};
  const json::array rows = FlatMinutes(minutes);
  if (rows.empty()) return "No minutes.\n";
  return Align(Titles(columns), NamedRows(rows, columns), 4);
}

std::string MinutesCsv(const json::value& minutes) {
  std::vector<Column> columns;
  for (const char* name :
       {"minute", "endpoint", "model", "model_version", "operation", "stream", "status",
        "spilled_over", "requests", "failed", "disconnected", "cost", "reserved_cost"}) {
    columns.push_back({name, name});
  }
  for (const char* what : {"input_tokens", "cached_tokens", "output_tokens", "total_tokens"}) {
    for (const char* how : {"total", "minimum", "average", "maximum"}) {
      columns.push_back({fmt::format("{}.{}", what, how), fmt::format("{}.{}", what, how)});
    }
  }
  for (const char* what : {"ttft_ms", "tpot_ms", "duration_ms", "queue_wait_ms"}) {
    for (const char* how : {"count", "minimum", "average", "p50", "p95", "p99", "maximum"}) {
      columns.push_back({fmt::format("{}.{}", what, how), fmt::format("{}.{}", what, how)});
    }
  }
  for (const char* what : {"replicas_ready", "replicas", "queued", "running", "utilisation",
                           "provisioned_cost_per_s"}) {
    for (const char* how : {"minimum", "average", "maximum"}) {
      columns.push_back({fmt::format("{}.{}", what, how), fmt::format("gauges.{}.{}", what, how)});
    }
  }
  return Csv(Titles(columns), Rows(FlatMinutes(minutes), columns));
}

std::string CheckText(const json::value& check) {
  std::string text = fmt::format("{}, {} of endpoints: ", Counted(At(check, "records"), "record"),
                                 Counted(At(check, "minutes"), "minute"));
  const bool agree = At(check, "agree").as_bool();
  text += agree ? "ledger and series agree.\n"
                : Counted(At(check, "differences"), "difference") + ".\n";
  for (const json::value& example : check.at("examples").as_array()) {
    text += fmt::format("  {}\n", Cell(example));
  }
  if (!agree) text += "To make the series again: stop the server, remove series.db, start it.\n";
  const std::string pending = Cell(At(check, "pending"));
  if (pending == "-" || pending == "0") return text;
  return text + fmt::format(
                    "Not compared: {} from {} on, which the server did not get to count before "
                    "it ended; its next start adds them.\n",
                    Counted(At(check, "pending"), "record"), Cell(At(check, "pending_from")));
}

}  // namespace penstock::app
