#include "plan/sizing_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <chrono>
#include <iterator>

#include "page/numbers.h"
#include "trace/csv.h"

namespace penstock::plan {

using page::Count;
using page::Counted;
using page::Figure;
using page::Hundredths;

namespace {

std::string MinuteText(std::int64_t minute) {
  const std::chrono::sys_seconds when{std::chrono::minutes(minute)};
  const auto day = std::chrono::floor<std::chrono::days>(when);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss time{when - day};
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     time.hours().count(), time.minutes().count());
}

std::string Title(const Sizing& sizing) {
  const std::string name = sizing.name.empty() ? "workload" : sizing.name;
  return fmt::format("{}: {} input + {} output = {} tokens/min, {} requests/min ({})", name,
                     Figure(sizing.tokens.input), Figure(sizing.tokens.output),
                     Figure(sizing.tokens.total()), Figure(sizing.tokens.requests), sizing.peak);
}

std::string Money(std::optional<double> per_hour, double hours) {
  return per_hour ? Hundredths(*per_hour * hours) : "-";
}

bool Priced(std::span<const Sizing> sizings) {
  return std::ranges::any_of(sizings, [](const Sizing& sizing) {
    return std::ranges::any_of(sizing.rows,
                               [](const SizingRow& row) { return row.cost_per_hour.has_value(); });
  });
}

// The figures of a history, one line each.
std::vector<std::string> HistoryLines(const UsageSummary& usage) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("{} from {} on, {}, {} of them silent",
                              Counted(usage.requests, "request"), MinuteText(usage.first_minute),
                              Counted(usage.minutes, "minute"), Count(usage.empty_minutes)));
  const auto line = [&lines](const char* what, const MinuteFigures& figures) {
    lines.push_back(fmt::format(
        "{:<16} min {:>9}  mean {:>9}  p50 {:>9}  p95 {:>9}  p99 {:>9}  max {:>9} at {}", what,
        Figure(figures.min), Figure(figures.mean), Figure(figures.p50), Figure(figures.p95),
        Figure(figures.p99), Figure(figures.max), MinuteText(figures.max_minute)));
  };
  line("requests/min", usage.requests_per_minute);
  line("input TPM", usage.input);
  line("uncached TPM", usage.uncached);
  line("output TPM", usage.output);
  line("total TPM", usage.total);
  if (usage.tokens.cached > 0) {
    lines.push_back(
        fmt::format("{:.1f} % of the input came from a prompt cache", usage.cache_rate() * 100));
  }
  if (usage.tokenless_requests > 0) {
    lines.push_back(fmt::format("{} had no tokens at all: refused or failed ones",
                                Counted(usage.tokenless_requests, "request")));
  }
  return lines;
}

boost::json::object FiguresJson(const MinuteFigures& figures) {
  return {{"min", figures.min},
          {"mean", figures.mean},
          {"p50", figures.p50},
          {"p95", figures.p95},
          {"p99", figures.p99},
          {"max", figures.max},
          {"max_at", MinuteText(figures.max_minute)}};
}

boost::json::object UsageJson(const UsageSummary& usage) {
  return {{"from", MinuteText(usage.first_minute)},
          {"minutes", usage.minutes},
          {"empty_minutes", usage.empty_minutes},
          {"requests", usage.requests},
          {"requests_without_tokens", usage.tokenless_requests},
          {"cache_rate", usage.cache_rate()},
          {"requests_per_minute", FiguresJson(usage.requests_per_minute)},
          {"input_tpm", FiguresJson(usage.input)},
          {"uncached_input_tpm", FiguresJson(usage.uncached)},
          {"output_tpm", FiguresJson(usage.output)},
          {"total_tpm", FiguresJson(usage.total)}};
}

boost::json::object RowJson(const SizingRow& row) {
  boost::json::object json = {{"offer", row.offer}, {"model", row.model},   {"unit", row.unit},
                              {"raw", row.raw},     {"amount", row.amount}, {"note", row.note}};
  if (row.cost_per_hour) {
    json["cost_per_hour"] = *row.cost_per_hour;
    json["cost_per_month"] = *row.cost_per_hour * kHoursPerMonth;
  }
  return json;
}

}  // namespace

std::string SizingTable(std::span<const Sizing> sizings, const SizingBasis& basis) {
  std::string out;
  const auto add = std::back_inserter(out);
  const bool priced = Priced(sizings);
  for (const Sizing& sizing : sizings) {
    fmt::format_to(add, "{}\n", Title(sizing));
    if (sizing.usage) {
      for (const std::string& line : HistoryLines(*sizing.usage))
        fmt::format_to(add, "  {}\n", line);
    }
    fmt::format_to(add, "\n  {:<40} {:<24} {:>11} {:>11} {:<12}{}\n", "offer", "model", "raw",
                   "buy", "",
                   priced ? fmt::format("{:>12} {:>12}", basis.currency + "/h", "/month") : "");
    for (const SizingRow& row : sizing.rows) {
      fmt::format_to(add, "  {:<40} {:<24} {:>11} {:>11} {:<12}", row.offer, row.model,
                     Hundredths(row.raw), Count(row.amount), row.unit);
      if (priced) {
        fmt::format_to(add, "{:>12} {:>12}", Money(row.cost_per_hour, 1),
                       Money(row.cost_per_hour, kHoursPerMonth));
      }
      fmt::format_to(add, "  {}\n", row.note);
    }
    out += '\n';
  }
  for (const std::string& source : basis.sources) fmt::format_to(add, "{}\n", source);
  return out;
}

std::string SizingMarkdown(std::span<const Sizing> sizings, const SizingBasis& basis) {
  std::string out;
  const auto add = std::back_inserter(out);
  for (const Sizing& sizing : sizings) {
    fmt::format_to(add, "### {}\n\n", Title(sizing));
    if (sizing.usage) {
      out += "```\n";
      for (const std::string& line : HistoryLines(*sizing.usage)) fmt::format_to(add, "{}\n", line);
      out += "```\n\n";
    }
    fmt::format_to(
        add, "| offer | model | raw | buy | | {}/h | {}/month |\n|---|---|--:|--:|---|--:|--:|\n",
        basis.currency, basis.currency);
    for (const SizingRow& row : sizing.rows) {
      fmt::format_to(add, "| {} | {} | {} | **{}** {} | {} | {} | {} |\n", row.offer, row.model,
                     Hundredths(row.raw), Count(row.amount), row.unit, row.note,
                     Money(row.cost_per_hour, 1), Money(row.cost_per_hour, kHoursPerMonth));
    }
    out += '\n';
  }
  for (const std::string& source : basis.sources) fmt::format_to(add, "- {}\n", source);
  return out;
}

std::string SizingCsv(std::span<const Sizing> sizings) {
  std::string out =
      "name,peak,requests_per_minute,input_tpm,cached_tpm,output_tpm,offer,model,unit,raw,amount,"
      "cost_per_hour,note\n";
  for (const Sizing& sizing : sizings) {
    for (const SizingRow& row : sizing.rows) {
      fmt::format_to(std::back_inserter(out), "{},{},{},{},{},{},{},{},{},{},{},{},{}\n",
                     trace::CsvCell(sizing.name), trace::CsvCell(sizing.peak),
                     sizing.tokens.requests, sizing.tokens.input, sizing.tokens.cached,
                     sizing.tokens.output, trace::CsvCell(row.offer), trace::CsvCell(row.model),
                     trace::CsvCell(row.unit), row.raw, row.amount,
                     row.cost_per_hour ? fmt::format("{}", *row.cost_per_hour) : "",
                     trace::CsvCell(row.note));
    }
  }
  return out;
}

std::string SizingJson(std::span<const Sizing> sizings, const SizingBasis& basis) {
  boost::json::array all;
  for (const Sizing& sizing : sizings) {
    boost::json::object json = {{"name", sizing.name},
                                {"peak", sizing.peak},
                                {"requests_per_minute", sizing.tokens.requests},
                                {"input_tpm", sizing.tokens.input},
                                {"cached_tpm", sizing.tokens.cached},
                                {"output_tpm", sizing.tokens.output},
                                {"total_tpm", sizing.tokens.total()}};
    if (sizing.usage) json["usage"] = UsageJson(*sizing.usage);
    boost::json::array rows;
    for (const SizingRow& row : sizing.rows) rows.push_back(RowJson(row));
    json["offers"] = std::move(rows);
    all.push_back(std::move(json));
  }
  boost::json::array sources;
  for (const std::string& source : basis.sources) sources.emplace_back(source);
  return boost::json::serialize(boost::json::object{
      {"currency", basis.currency}, {"sizings", std::move(all)}, {"sources", std::move(sources)}});
}

}  // namespace penstock::plan
