#include "bench/report/table.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/judge/answer.h"
#include "bench/judge/validity.h"
#include "page/numbers.h"

namespace penstock::bench {

using page::Count;
using page::Figure;

namespace {

struct Column {
  std::string_view group;  // Written once, over the first of its columns.
  std::string_view title;
};

constexpr std::array<Column, 15> kColumns = {{{"", "concurrency"},
                                              {"TTFT, ms", "p50"},
                                              {"TTFT, ms", "p90"},
                                              {"TTFT, ms", "p99"},
                                              {"TPOT, ms", "p50"},
                                              {"TPOT, ms", "p90"},
                                              {"TPOT, ms", "p99"},
                                              {"latency, s", "p50"},
                                              {"latency, s", "p90"},
                                              {"latency, s", "p99"},
                                              {"tokens/s", "output"},
                                              {"tokens/s", "total"},
                                              {"requests", "done"},
                                              {"requests", "failed"},
                                              {"", ""}}};

using Row = std::array<std::string, kColumns.size()>;

// Terminal columns of a UTF-8 text whose characters are all one column wide.
std::size_t Width(std::string_view text) {
  return static_cast<std::size_t>(
      std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; }));
}

void AppendRight(std::string_view text, std::size_t width, std::string& out) {
  out.append(width - std::min(width, Width(text)), ' ');
  out += text;
}

Row MakeRow(const RunSummary& summary, std::size_t index) {
  const LevelSummary& level = summary.levels[index];
  const auto figure = [](const Distribution& of, double value, double scale = 1) {
    return of.count > 0 ? Figure(value * scale) : std::string("-");
  };
  const Distribution& ttft = level.ttft_ms;
  const Distribution& tpot = level.tpot_ms;
  const Distribution& latency = level.latency_ms;
  return {level.rate_per_s > 0 ? Figure(level.rate_per_s) : Count(level.concurrency),
          figure(ttft, ttft.p50),
          figure(ttft, ttft.p90),
          figure(ttft, ttft.p99),
          figure(tpot, tpot.p50),
          figure(tpot, tpot.p90),
          figure(tpot, tpot.p99),
          figure(latency, latency.p50, 1e-3),
          figure(latency, latency.p90, 1e-3),
          figure(latency, latency.p99, 1e-3),
          Figure(level.best_rates().output_tokens_per_s),
          Figure(level.best_rates().total_tokens_per_s),
          Count(level.succeeded),
          Count(level.failures()),
          RemarkOf(summary, index)};
}

bool OpensGroup(std::size_t column) {
  return column == 0 || kColumns[column].group != kColumns[column - 1].group;
}

// Two spaces between columns, four where a group begins.
std::string_view Gap(std::size_t column) { return OpensGroup(column) ? "    " : "  "; }

// Loads are rates in an open loop.
std::string_view TitleOf(const RunSummary& summary, std::size_t column) {
  const bool rates = !summary.levels.empty() && summary.levels.front().rate_per_s > 0;
  return column == 0 && rates ? "requests/s" : kColumns[column].title;
}

std::string Header(const RunSummary& summary, std::span<const std::size_t> widths) {
  std::string groups;
  std::string titles;
  for (std::size_t column = 0; column + 1 < kColumns.size(); ++column) {
    if (column > 0) titles += Gap(column);
    // A group's name stands over its first column, flush with that column's left edge.
    if (OpensGroup(column) && !kColumns[column].group.empty()) {
      groups.append(Width(titles) - std::min(Width(titles), Width(groups)), ' ');
      groups += kColumns[column].group;
    }
    AppendRight(TitleOf(summary, column), widths[column], titles);
  }
  return groups + "\n" + titles + "\n";
}

std::string Body(const std::vector<Row>& rows, std::span<const std::size_t> widths) {
  std::string out;
  for (const Row& row : rows) {
    for (std::size_t column = 0; column + 1 < row.size(); ++column) {
      if (column > 0) out += Gap(column);
      AppendRight(row[column], widths[column], out);
    }
    if (!row.back().empty()) out += "    " + row.back();
    out += '\n';
  }
  return out;
}

// "2,286 ± 31": the mean of the repeats, and what it may be off.
std::string WithScatter(const Repeats& repeats, const Interval& interval, double scale = 1) {
  if (repeats.count < 2) return "-";
  return Figure((interval.low + interval.high) / 2 * scale) + " " +
         PlusMinus(repeats, interval, scale);
}

// How much the repeats differ; "" where nothing was repeated.
std::string Scatter(const RunSummary& summary) {
  std::string out;
  for (const LevelSummary& level : summary.levels) {
    const Repeats& all = level.repeats;
    if (all.count < 2) continue;
    if (out.empty()) {
      out = "\nmeans of the repeats, with their 95 % intervals (Student's t)\n";
      fmt::format_to(std::back_inserter(out),
                     "{:>18}  {:>7}  {:>16}  {:>16}  {:>16}  {:>16}  {:>16}\n", "", "repeats",
                     "output tokens/s", "TTFT p50, ms", "TTFT p95, ms", "TPOT p50, ms",
                     "latency p50, s");
    }
    fmt::format_to(std::back_inserter(out), "{:>18}  {:>7}", LoadText(level), all.count);
    for (const auto& [interval, scale] :
         {std::pair(all.output_tokens_per_s, 1.0), std::pair(all.ttft_p50_ms, 1.0),
          std::pair(all.ttft_p95_ms, 1.0), std::pair(all.tpot_p50_ms, 1.0),
          std::pair(all.latency_p50_ms, 1e-3)}) {
      out += "  ";
      AppendRight(WithScatter(all, interval, scale), 16, out);
    }
    out += '\n';
  }
  return out;
}

std::string Warnings(const RunSummary& summary) {
  std::string out;
  for (const Warning& warning : AllWarnings(summary)) {
    fmt::format_to(std::back_inserter(out), "{}: {}\n", Name(warning.severity), warning.message);
  }
  return out;
}

}  // namespace

std::string RenderTable(const RunSummary& summary) {
  std::vector<Row> rows;
  rows.reserve(summary.levels.size());
  for (std::size_t level = 0; level < summary.levels.size(); ++level) {
    rows.push_back(MakeRow(summary, level));
  }
  std::array<std::size_t, kColumns.size()> widths{};
  for (std::size_t column = 0; column < widths.size(); ++column) {
    widths[column] = std::max<std::size_t>(Width(TitleOf(summary, column)), column == 0 ? 0 : 5);
    for (const Row& row : rows) widths[column] = std::max(widths[column], Width(row[column]));
  }
  std::string out = Header(summary, widths) + Body(rows, widths) + Scatter(summary);
  const std::string warnings = Warnings(summary);
  if (!warnings.empty()) out += "\n" + warnings;
  out += "\n" + Answer(summary) + "\n";
  if (!summary.valid) out += "INVALID: these figures must not be used; see above.\n";
  return out;
}

}  // namespace penstock::bench
