#include "bench/report/exports.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "bench/judge/answer.h"
#include "bench/judge/validity.h"
#include "bench/report/report_parts.h"
#include "bench/report/summary_times.h"
#include "page/numbers.h"

namespace penstock::bench {

using page::Count;
using page::DurationText;
using page::Figure;
namespace {

constexpr std::array<std::pair<std::string_view, double Distribution::*>, 6> kQuantiles = {
    {{"mean", &Distribution::mean},
     {"p50", &Distribution::p50},
     {"p90", &Distribution::p90},
     {"p95", &Distribution::p95},
     {"p99", &Distribution::p99},
     {"max", &Distribution::maximum}}};

// A figure that is not of times, under one name everywhere.
struct Plain {
  std::string_view name;
  std::string_view help;
  double (*of)(const LevelSummary&);
};

constexpr std::array<Plain, 14> kPlain = {{
    {"output_tokens_per_s", "Output tokens per second in the steady window.",
     [](const LevelSummary& level) { return level.best_rates().output_tokens_per_s; }},
    {"total_tokens_per_s", "Input and output tokens per second in the steady window.",
     [](const LevelSummary& level) { return level.best_rates().total_tokens_per_s; }},
    {"requests_per_s", "Requests per second in the steady window.",
     [](const LevelSummary& level) { return level.best_rates().requests_per_s; }},
    {"whole_output_tokens_per_s", "Output tokens per second over the whole level.",
     [](const LevelSummary& level) { return level.whole.output_tokens_per_s; }},
    {"succeeded", "Measured requests that succeeded.",
     [](const LevelSummary& level) { return static_cast<double>(level.succeeded); }},
    {"failed", "Requests that failed.",
     [](const LevelSummary& level) { return static_cast<double>(level.failures()); }},
    {"refused", "Requests that were refused with status 429.",
     [](const LevelSummary& level) {
       return static_cast<double>(level.errors[static_cast<std::size_t>(ErrorKind::kRateLimited)]);
     }},
    {"goodput_share", "Requests that met every bound of the budget, of all attempts.",
     [](const LevelSummary& level) { return level.goodput_share; }},
    {"cached_tokens", "Input tokens that a prefix cache served.",
     [](const LevelSummary& level) { return static_cast<double>(level.tokens.cached_tokens); }},
    {"identity_residual_max", "Largest deviation from latency = TTFT + TPOT x (N - n_first).",
     [](const LevelSummary& level) { return level.identity_residual_max; }},
    {"repeats", "Times that the load ran; 0 where it was not repeated.",
     [](const LevelSummary& level) { return static_cast<double>(level.repeats.count); }},
    {"output_tokens_per_s_low", "Lower end of its 95 % interval over the repeats (Student's t).",
     [](const LevelSummary& level) { return level.repeats.output_tokens_per_s.low; }},
    {"output_tokens_per_s_high", "Upper end of its 95 % interval over the repeats (Student's t).",
     [](const LevelSummary& level) { return level.repeats.output_tokens_per_s.high; }},
    {"client_load", "Share of time in which the load generator's threads were busy.",
     [](const LevelSummary& level) { return level.client_load; }},
}};

std::string CsvField(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string field = "\"";
  for (const char c : text) {
    if (c == '"') field += '"';
    field += c;
  }
  return field + '"';
}

std::string LabelValue(std::string_view text) {
  std::string value;
  for (const char c : text) {
    if (c == '\\' || c == '"') value += '\\';
    value += c == '\n' ? ' ' : c;
  }
  return value;
}

std::string Labels(const RunSummary& summary, const LevelSummary& level) {
  std::string labels = fmt::format("model=\"{}\"", LabelValue(summary.header.settings.model));
  return labels + (level.rate_per_s > 0 ? fmt::format(",rate_per_s=\"{}\"", level.rate_per_s)
                                        : fmt::format(",concurrency=\"{}\"", level.concurrency));
}

// A cell of a Markdown table must not hold a bar or a line end.
std::string Cell(std::string text) {
  std::string cell;
  for (const char c : text) {
    if (c == '|') cell += '\\';
    cell += c == '\n' ? ' ' : c;
  }
  return cell;
}

std::string Trimmed(std::string text) {
  while (text.ends_with(' ')) text.pop_back();
  return text;
}

std::string Milliseconds(const Distribution& of, double value) {
  return of.count > 0 ? DurationText(value) : "–";
}

}  // namespace

std::string RenderCsv(const RunSummary& summary) {
  std::string out = "concurrency,rate_per_s,within_budget";
  for (const Plain& plain : kPlain) fmt::format_to(std::back_inserter(out), ",{}", plain.name);
  for (const SummaryTime& times : kSummaryTimes) {
    for (const auto& [quantile, value] : kQuantiles) {
      fmt::format_to(std::back_inserter(out), ",{}_{}_ms", times.name, quantile);
    }
  }
  out += ",warnings\r\n";
  for (const LevelSummary& level : summary.levels) {
    fmt::format_to(std::back_inserter(out), "{},{},{}", level.concurrency, level.rate_per_s,
                   level.verdict.judged == 0 ? ""
                   : level.verdict.passes    ? "true"
                                             : "false");
    for (const Plain& plain : kPlain) {
      fmt::format_to(std::back_inserter(out), ",{:.6g}", plain.of(level));
    }
    for (const SummaryTime& times : kSummaryTimes) {
      const Distribution& distribution = level.*times.of;
      for (const auto& [quantile, value] : kQuantiles) {
        out += ',';
        if (distribution.count > 0) {
          fmt::format_to(std::back_inserter(out), "{:.6g}", distribution.*value);
        }
      }
    }
    std::string names;
    for (const Warning& warning : level.warnings)
      names += (names.empty() ? "" : ";") + warning.name;
    out += ',' + CsvField(names) + "\r\n";
  }
  return out;
}

std::string RenderPrometheus(const RunSummary& summary) {
  std::string out;
  const auto head = [&out](std::string_view name, std::string_view help) {
    fmt::format_to(std::back_inserter(out),
                   "# HELP penstock_bench_{0} {1}\n# TYPE penstock_bench_{0} gauge\n", name, help);
  };
  head("valid", "1 where the figures may be used.");
  fmt::format_to(std::back_inserter(out), "penstock_bench_valid {}\n", summary.valid ? 1 : 0);
  for (const Plain& plain : kPlain) {
    head(plain.name, plain.help);
    for (const LevelSummary& level : summary.levels) {
      fmt::format_to(std::back_inserter(out), "penstock_bench_{}{{{}}} {:.9g}\n", plain.name,
                     Labels(summary, level), plain.of(level));
    }
  }
  for (const SummaryTime& times : kSummaryTimes) {
    const std::string name = fmt::format("{}_seconds", times.name);
    head(name, "Of the measured requests that succeeded, by quantile.");
    for (const LevelSummary& level : summary.levels) {
      const Distribution& distribution = level.*times.of;
      if (distribution.count == 0) continue;
      for (const auto& [quantile, value] : kQuantiles) {
        if (quantile == "mean") continue;
        const std::string share = quantile == "max" ? "1" : fmt::format("0.{}", quantile.substr(1));
        fmt::format_to(std::back_inserter(out), "penstock_bench_{}{{{},quantile=\"{}\"}} {:.9g}\n",
                       name, Labels(summary, level), share, distribution.*value / 1000);
      }
    }
  }
  return out;
}

std::string RenderMarkdown(const RunSummary& summary) {
  const RunSettings& settings = summary.header.settings;
  std::string out = fmt::format("### Load test of {}\n\n", Cell(TargetText(summary.header)));
  if (!summary.valid) out += "**INVALID: these figures must not be used.**\n\n";
  out += Answer(summary) + "\n\n";
  out +=
      "| load | output tokens/s | total | TTFT p50 | p95 | TPOT p50 | p95 | latency p50 | p95 | "
      "done | failed | |\n|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|---|\n";
  for (std::size_t i = 0; i < summary.levels.size(); ++i) {
    const LevelSummary& level = summary.levels[i];
    fmt::format_to(std::back_inserter(out),
                   "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
                   LoadText(level),
                   Trimmed(Figure(level.best_rates().output_tokens_per_s) + " " +
                           PlusMinus(level.repeats, level.repeats.output_tokens_per_s)),
                   Figure(level.best_rates().total_tokens_per_s),
                   Milliseconds(level.ttft_ms, level.ttft_ms.p50),
                   Milliseconds(level.ttft_ms, level.ttft_ms.p95),
                   Milliseconds(level.tpot_ms, level.tpot_ms.p50),
                   Milliseconds(level.tpot_ms, level.tpot_ms.p95),
                   Milliseconds(level.latency_ms, level.latency_ms.p50),
                   Milliseconds(level.latency_ms, level.latency_ms.p95), Count(level.succeeded),
                   Count(level.failures()), RemarkOf(summary, i));
  }
  const bool repeated = std::ranges::any_of(
      summary.levels, [](const LevelSummary& level) { return level.repeats.count > 1; });
  if (repeated) out += "\n± is the 95 % interval over the repeats (Student's t).\n";
  out += '\n';
  for (const Warning& warning : AllWarnings(summary)) {
    fmt::format_to(std::back_inserter(out), "- **{}** ({}): {}\n", Name(warning.severity),
                   warning.name, Cell(warning.message));
  }
  fmt::format_to(std::back_inserter(out),
                 "\n{} input and {} output tokens, {}, seed {}, {}, penstock {} ({}) on {} ({} "
                 "cores)\n",
                 settings.input_tokens, settings.output_tokens, settings.mode, settings.seed,
                 summary.header.started_at, summary.header.environment.version,
                 summary.header.environment.build_type, summary.header.environment.host_cpu,
                 summary.header.environment.host_cores);
  if (!settings.command.empty()) {
    fmt::format_to(std::back_inserter(out), "\n```\n{}\n```\n", settings.command);
  }
  return out;
}

}  // namespace penstock::bench
