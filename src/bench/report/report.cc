#include "bench/report/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "bench/judge/answer.h"
#include "bench/judge/validity.h"
#include "bench/report/report_charts.h"
#include "bench/report/report_parts.h"
#include "bench/report/report_terms.h"
#include "page/numbers.h"
#include "page/page.h"
#include "page/svg_chart.h"

namespace penstock::bench {

using page::Chart;
using page::Count;
using page::DurationText;
using page::EscapeHtml;
using page::Figure;
using page::Page;

namespace {

void AddHead(const RunSummary& summary, Page& page) {
  page.Open(
      fmt::format("Load test of {}", TargetText(summary.header)),
      fmt::format("{} · {}", summary.header.settings.url, MomentText(summary.header.started_at)));
}

void AddBudgetAnswer(const RunSummary& summary, Page& page) {
  if (summary.within_budget) {
    page.Add("<p class=\"answer\">{} output tokens per second within the budget</p>",
             Figure(summary.levels[*summary.within_budget].best_rates().output_tokens_per_s));
  } else {
    page.Add("<p class=\"answer\">The budget cannot be met</p>");
  }
  page.Add("<p class=\"lead\">{}</p>", EscapeHtml(AnswerWithoutProvision(summary)));
  if (const auto provision = Recommend(summary)) {
    page.Add("<section class=\"provision\"><strong>Provision {} tokens/s</strong><br>{}</section>",
             RangeText(*provision), EscapeHtml(ProvisionText(*provision)));
  }
}

void AddAnswer(const RunSummary& summary, Page& page) {
  if (!summary.highest) {
    page.Add("<p class=\"answer\">No request succeeded.</p>");
    page.Add("<p class=\"lead\">There is no figure to give; the reasons stand below.</p>");
    return;
  }
  if (!summary.budget.empty()) return AddBudgetAnswer(summary, page);
  const LevelSummary& level = summary.levels[*summary.highest];
  const RunSettings& settings = summary.header.settings;
  page.Add("<p class=\"answer\">Up to {} output tokens per second</p>",
           Figure(level.best_rates().output_tokens_per_s));
  page.Add(
      "<p class=\"lead\">With requests of {} input and {} output tokens, this endpoint gave at "
      "most {} output tokens/s, {} counting input, at {}. There, half of "
      "the answers were complete within {}, and nine of ten within {}.</p>",
      Count(settings.input_tokens), Count(settings.output_tokens),
      Figure(level.best_rates().output_tokens_per_s), Figure(level.best_rates().total_tokens_per_s),
      LoadText(level), DurationText(level.latency_ms.p50), DurationText(level.latency_ms.p90));
}

void AddCard(const LevelSummary& level, std::string_view name, std::string_view meaning,
             Page& page) {
  page.Add("<section class=\"card\"><h3>{} <span>{} · {}</span></h3><dl>", name, LoadText(level),
           meaning);
  const std::string scatter = PlusMinus(level.repeats, level.repeats.output_tokens_per_s);
  page.AddTerm("Output", Figure(level.best_rates().output_tokens_per_s) + " tokens/s");
  if (!scatter.empty()) page.AddTerm("95 %", scatter + " tokens/s");
  page.AddTerm("With input", Figure(level.best_rates().total_tokens_per_s) + " tokens/s");
  if (level.ttft_ms.count > 0) page.AddTerm("TTFT p50", DurationText(level.ttft_ms.p50));
  if (level.tpot_ms.count > 0) {
    page.AddTerm("TPOT p50", DurationText(level.tpot_ms.p50));
    page.AddTerm("Each stream", Figure(1000 / level.tpot_ms.p50) + " tokens/s");
  }
  page.AddTerm("Latency p50", DurationText(level.latency_ms.p50));
  page.AddTerm("Latency p90", DurationText(level.latency_ms.p90));
  page.Add("</dl></section>");
}

// A level may be several things at once; it then has one card.
void AddCards(const RunSummary& summary, Page& page) {
  if (!summary.highest) return;
  page.Add("<div class=\"cards\">");
  const std::size_t fastest = *summary.fastest;
  const std::size_t balanced = *summary.balanced;
  const std::size_t highest = *summary.highest;
  if (fastest != balanced && fastest != highest) {
    AddCard(summary.levels[fastest], "Fastest", "least latency", page);
  }
  if (balanced != highest) {
    AddCard(summary.levels[balanced], balanced == fastest ? "Fastest and balanced" : "Balanced",
            "the knee of the curve", page);
  }
  const bool all = highest == fastest && highest == balanced;
  AddCard(summary.levels[highest],
          all                   ? "Best in every way"
          : highest == balanced ? "Balanced, and most throughput"
                                : "Most throughput",
          all ? "no trade to make" : "latency set aside", page);
  page.Add("</div>");
}

void AddVerdict(const RunSummary& summary, Page& page) {
  const std::vector<Warning> warnings = AllWarnings(summary);
  const bool doubt = std::ranges::count(warnings, Severity::kDoubt, &Warning::severity) > 0;
  page.Add("<section class=\"verdict {}\"><p>{}</p>",
           !summary.valid ? "invalid"
           : doubt        ? "doubt"
                          : "good",
           !summary.valid ? "Invalid: these figures must not be used"
           : doubt        ? "Valid, with reasons to doubt some figures"
                          : "Valid: nothing found that would colour these figures");
  if (!warnings.empty()) page.Add("<ul>");
  for (const Warning& warning : warnings) {
    page.Add("<li><span class=\"tag {0}\">{0}</span> {1}</li>", Name(warning.severity),
             EscapeHtml(warning.message));
  }
  if (!warnings.empty()) page.Add("</ul>");
  page.Add("</section>");
}

// Two charts beside each other; without points, nothing.
void AddPair(std::string_view title, const Chart& left, std::string_view left_text,
             const Chart& right, std::string_view right_text, Page& page) {
  if (left.series.empty() || left.series.front().points.empty()) return;
  page.Add("<h2>{}</h2><div class=\"pair\">", title);
  page.Add("<figure>{}<figcaption>{}</figcaption></figure>", RenderChart(left), left_text);
  if (!right.series.empty() && !right.series.front().points.empty()) {
    page.Add("<figure>{}<figcaption>{}</figcaption></figure>", RenderChart(right), right_text);
  }
  page.Add("</div>");
}

void AddCharts(const RunSummary& summary, Page& page) {
  if (!summary.highest) return;
  page.Add("<h2>Throughput against latency</h2><figure class=\"curve\">{}",
           RenderChart(ThroughputCurve(summary)));
  page.Add(
      "<figcaption>Each point is a level, labelled with its concurrency. Up is more tokens, "
      "left is less waiting. The balanced point is where throughput ÷ latency is greatest; beyond "
      "it, further requests mostly wait.</figcaption></figure>");
  AddPair("First token and each further token",
          ByLoad(summary, Metric::kTtft, "ttft", "TTFT", &LevelSummary::ttft_ms),
          "Time until an answer begins to show.",
          ByLoad(summary, Metric::kTpot, "tpot", "TPOT", &LevelSummary::tpot_ms),
          "Time between tokens once it has begun.", page);
  AddPair("How they are distributed",
          DistributionChart(summary, "ttftcdf", "TTFT", &LevelSummary::ttft_curve_ms),
          "The share of requests whose first token came within a time, by load.",
          DistributionChart(summary, "tpotcdf", "TPOT", &LevelSummary::tpot_curve_ms),
          "The same of the time per output token.", page);
  if (summary.timeline.empty()) return;
  page.Add(
      "<h2>Over time</h2><figure class=\"curve\">{}</figure><figure "
      "class=\"curve\">{}<figcaption>From the first request to the "
      "last answer, level after level.</figcaption></figure>",
      RenderChart(RateTimeline(summary)), RenderChart(LatencyTimeline(summary)));
}

void AddTable(const RunSummary& summary, Page& page) {
  page.Add(
      "<div class=\"keep\"><h2>All levels</h2><div class=\"wide\"><table><thead><tr><th></th><th "
      "colspan=\"3\">TTFT, ms"
      "</th><th colspan=\"3\">TPOT, ms</th><th colspan=\"3\">latency, s</th><th colspan=\"2\">"
      "tokens/s</th><th colspan=\"2\">requests</th><th></th></tr>");
  page.Add(
      "<tr><th>load</th><th>p50</th><th>p95</th><th>p99</th><th>p50</th><th>p95</th>"
      "<th>p99</th><th>p50</th><th>p95</th><th>p99</th><th>output</th><th>total</th><th>done"
      "</th><th>failed</th><th class=\"remark\"></th></tr></thead><tbody>");
  for (std::size_t i = 0; i < summary.levels.size(); ++i) {
    const LevelSummary& level = summary.levels[i];
    page.Add("<tr{}><td class=\"strong\">{}</td>", i == summary.balanced ? " class=\"best\"" : "",
             level.rate_per_s > 0 ? Figure(level.rate_per_s) : Count(level.concurrency));
    const auto cells = [&page](const Distribution& of, double scale) {
      for (const double value : {of.p50, of.p95, of.p99}) {
        page.Add("<td>{}</td>", of.count > 0 ? Figure(value * scale) : "–");
      }
    };
    cells(level.ttft_ms, 1);
    cells(level.tpot_ms, 1);
    cells(level.latency_ms, 1e-3);
    page.Add("<td class=\"strong\">{}</td><td>{}</td><td>{}</td><td>{}</td>",
             Figure(level.best_rates().output_tokens_per_s),
             Figure(level.best_rates().total_tokens_per_s), Count(level.succeeded),
             Count(level.failures()));
    page.Add("<td class=\"remark\">{}</td></tr>", RemarkOf(summary, i));
  }
  page.Add("</tbody></table></div></div>");
}

// How much the repeats differ.
void AddScatter(const RunSummary& summary, Page& page) {
  const bool repeated = std::ranges::any_of(
      summary.levels, [](const LevelSummary& level) { return level.repeats.count > 1; });
  if (!repeated) return;
  page.Add(
      "<div class=\"keep\"><h2>How much it scatters</h2><p>Means over the repeats of each load, "
      "with their 95 % intervals by Student's t: each repeat is one sample.</p>"
      "<div class=\"wide\"><table><thead><tr><th>load</th><th>repeats</th><th>output tokens/s</th>"
      "<th>TTFT p50, ms</th><th>TTFT p95, ms</th><th>TPOT p50, ms</th><th>TPOT p95, ms</th>"
      "<th>latency p50, ms</th></tr></thead><tbody>");
  for (const LevelSummary& level : summary.levels) {
    const Repeats& all = level.repeats;
    if (all.count < 2) continue;
    page.Add("<tr><td class=\"strong\">{}</td><td>{}</td>", LoadText(level), all.count);
    for (const Interval& interval : {all.output_tokens_per_s, all.ttft_p50_ms, all.ttft_p95_ms,
                                     all.tpot_p50_ms, all.tpot_p95_ms, all.latency_p50_ms}) {
      page.Add("<td>{} {}</td>", Figure((interval.low + interval.high) / 2),
               PlusMinus(all, interval));
    }
    page.Add("</tr>");
  }
  page.Add("</tbody></table></div></div>");
}

void AddFacts(const RunHeader& header, Page& page) {
  const RunSettings& settings = header.settings;
  page.Add("<h2>Settings and environment</h2><div class=\"facts\"><dl>");
  page.AddTerm("URL", settings.url);
  page.AddTerm("Model", settings.model.empty() ? "not named" : settings.model);
  page.AddTerm("Workload", fmt::format("{} input, {} output tokens", Count(settings.input_tokens),
                                       Count(settings.output_tokens)));
  page.AddTerm("Replies", settings.streamed ? "streamed" : "in one piece");
  page.AddTerm("Load", settings.mode == "closed_loop" ? "closed loop" : settings.mode);
  page.AddTerm("Levels", settings.concurrency.empty()
                             ? std::string("1, 2, 4, 8 … while it pays")
                             : fmt::format("{}", fmt::join(settings.concurrency, ", ")));
  if (!settings.budget.empty()) page.AddTerm("Budget", settings.budget);
  page.AddTerm("Time-out", DurationText(static_cast<double>(settings.timeout_ms)));
  page.AddTerm("Text", settings.corpus);
  page.AddTerm("Seed, salt", fmt::format("{}, {}", settings.seed, settings.salt));
  page.Add("</dl>");
  AddEnvironment(header, page);
  page.Add("</div>");
}

void AddTerms(Page& page) {
  page.Add("<div class=\"keep\"><h2>What the words mean</h2><dl class=\"terms\">");
  for (const auto& [term, meaning] : kReportTerms) {
    page.Add("<div><dt>{}</dt><dd>{}</dd></div>", term, meaning);
  }
  page.Add("</dl></div>");
}

}  // namespace

std::string RenderReport(const RunSummary& summary) {
  Page page;
  AddHead(summary, page);
  AddAnswer(summary, page);
  AddCards(summary, page);
  AddVerdict(summary, page);
  AddCharts(summary, page);
  AddTable(summary, page);
  AddScatter(summary, page);
  AddFacts(summary.header, page);
  AddTerms(page);
  page.Close(
      "Every figure on this page is computed from the run's records, one per request. "
      "The same records always give the same page.");
  return page.Take();
}

}  // namespace penstock::bench
