#include "bench/report/compare_report.h"

#include <algorithm>
#include <string_view>

#include "bench/judge/answer.h"
#include "bench/report/json_writer.h"
#include "bench/report/report_parts.h"
#include "page/numbers.h"
#include "page/page.h"
#include "page/svg_chart.h"

namespace penstock::bench {

using page::Chart;
using page::ChartSeries;
using page::DurationText;
using page::EscapeHtml;
using page::Figure;
using page::Page;
namespace {

std::string Percent(double ratio) { return fmt::format("{:+.1f} %", 100 * (ratio - 1)); }

std::string FigureOf(const Difference& difference, double value) {
  return difference.more_is_better ? Figure(value) : DurationText(value);
}

std::string_view Style(Change change) {
  return change == Change::kBetter ? "good" : change == Change::kWorse ? "invalid" : "note";
}

// The curves of all runs in one picture.
void AddCurves(const Comparison& comparison, Page& page) {
  Chart chart{.id = "curves",
              .title = "Throughput against latency",
              .x_title = "median latency, seconds",
              .y_title = "output tokens per second"};
  for (std::size_t run = 0; run < comparison.summaries.size(); ++run) {
    ChartSeries series{.name = comparison.names[run]};
    for (const LevelSummary& level : comparison.summaries[run].levels) {
      if (level.succeeded == 0) continue;
      const double rate = level.best_rates().output_tokens_per_s;
      series.points.push_back(
          {.x = level.latency_ms.p50 / 1000,
           .y = rate,
           .label = run == 0 ? LoadText(level).substr(LoadText(level).rfind(' ') + 1) : "",
           .tooltip =
               fmt::format("{}, {}: {} output tokens/s, p50 {}", comparison.names[run],
                           LoadText(level), Figure(rate), DurationText(level.latency_ms.p50))});
    }
    if (!series.points.empty()) chart.series.push_back(std::move(series));
  }
  chart.description = ComparisonAnswer(comparison);
  page.Add(
      "<h2>Throughput against latency</h2><figure class=\"curve\">{}<figcaption>Each line is a "
      "run, each point a level. Up is more tokens, left is less waiting.</figcaption></figure>",
      RenderChart(chart));
}

void AddTable(const Comparison& comparison, Page& page) {
  std::size_t run = 0;
  for (const LevelComparison& level : comparison.levels) {
    if (level.run != run) {
      if (run != 0) page.Add("</tbody></table></div>");
      run = level.run;
      page.Add(
          "<h2>{} against {}</h2><div class=\"wide\"><table><thead><tr><th class=\"remark\">load"
          "</th><th class=\"remark\">median of</th><th>first</th><th>other</th><th>change</th>"
          "<th>95 % interval</th><th>p</th><th>requests</th><th class=\"remark\"></th></tr>"
          "</thead><tbody>",
          EscapeHtml(comparison.names[run]), EscapeHtml(comparison.names.front()));
    }
    bool first = true;
    for (const Difference& difference : level.differences) {
      page.Add(
          "<tr><td class=\"remark strong\">{}</td><td class=\"remark\">{}</td><td>{}</td>"
          "<td>{}</td><td>{}</td><td>{} to {}</td><td>{}</td><td>{}</td><td class=\"remark\">"
          "<span class=\"pill {}\">{}</span></td></tr>",
          first ? level.load : "", difference.metric, FigureOf(difference, difference.base),
          FigureOf(difference, difference.other), Percent(difference.ratio),
          Percent(difference.ratio_95.low), Percent(difference.ratio_95.high),
          difference.p < 0.001 ? "&lt; 0.001" : fmt::format("{:.3f}", difference.p),
          first ? fmt::format("{}, {}", level.base_samples, level.other_samples) : "",
          Style(difference.change), Name(difference.change));
      first = false;
    }
  }
  if (run != 0) page.Add("</tbody></table></div>");
}

void AddRuns(const Comparison& comparison, Page& page) {
  page.Add("<h2>The runs</h2><div class=\"facts\">");
  for (std::size_t run = 0; run < comparison.names.size(); ++run) {
    const RunHeader& header = comparison.summaries[run].header;
    page.Add("<dl>");
    page.AddTerm(run == 0 ? "First" : "Other", comparison.names[run]);
    page.AddTerm("Of", TargetText(header));
    page.AddTerm("Started", MomentText(header.started_at));
    page.AddTerm("Workload", fmt::format("{} input, {} output tokens", header.settings.input_tokens,
                                         header.settings.output_tokens));
    page.AddTerm("By", fmt::format("penstock {} on {}", header.environment.version,
                                   header.environment.host_cpu));
    page.AddTerm("Valid", comparison.summaries[run].valid ? "yes" : "NO");
    page.Add("</dl>");
  }
  page.Add("</div>");
}

void WriteLevel(const Comparison& comparison, const LevelComparison& level, JsonWriter& writer) {
  writer.Open('{');
  writer.Field("run", std::string_view(comparison.names[level.run]));
  writer.Field("load", std::string_view(level.load));
  writer.Field("base_samples", level.base_samples);
  writer.Field("other_samples", level.other_samples);
  writer.Key("differences");
  writer.Open('[');
  for (const Difference& difference : level.differences) {
    writer.Open('{');
    writer.Field("metric", std::string_view(difference.metric));
    writer.Field("base_p50", difference.base);
    writer.Field("other_p50", difference.other);
    writer.Field("ratio", difference.ratio);
    writer.Field("ratio_95_low", difference.ratio_95.low);
    writer.Field("ratio_95_high", difference.ratio_95.high);
    writer.Key("p");
    writer.Raw(fmt::format("{:.6g}", difference.p));
    writer.Field("change", Name(difference.change));
    writer.Close('}');
  }
  writer.Close(']');
  writer.Close('}');
}

}  // namespace

std::string RenderComparisonReport(const Comparison& comparison) {
  Page page;
  page.Open("Load tests compared", fmt::format("{} runs, held against {}", comparison.names.size(),
                                               comparison.names.front()));
  const bool any = std::ranges::any_of(comparison.levels, [](const LevelComparison& level) {
    return std::ranges::any_of(level.differences, [](const Difference& difference) {
      return difference.change != Change::kNone;
    });
  });
  page.Add("<p class=\"answer\">{}</p>",
           any ? "They differ, and not by chance" : "No difference beyond chance");
  page.Add("<p class=\"lead\">{}</p>", EscapeHtml(ComparisonAnswer(comparison)));
  if (!comparison.remarks.empty()) {
    page.Add("<section class=\"verdict doubt\"><p>To be kept in mind</p><ul>");
    for (const std::string& remark : comparison.remarks) {
      page.Add("<li>{}</li>", EscapeHtml(remark));
    }
    page.Add("</ul></section>");
  }
  AddCurves(comparison, page);
  AddTable(comparison, page);
  AddRuns(comparison, page);
  page.Close(
      "Mann-Whitney's test on the times of single requests, and on the throughput of ten slices of "
      "each steady window; p-values adjusted together by Holm's method; intervals of the ratio of "
      "medians by bootstrap, from a fixed seed. A difference is called one below p = 0.05 and "
      "above "
      "1 %.");
  return page.Take();
}

std::string RenderComparisonJson(const Comparison& comparison) {
  JsonWriter writer;
  writer.Open('{');
  writer.Field("answer", std::string_view(ComparisonAnswer(comparison)));
  writer.Key("runs");
  writer.Open('[');
  for (const std::string& name : comparison.names) writer.Text(name);
  writer.Close(']');
  writer.Key("levels");
  writer.Open('[');
  for (const LevelComparison& level : comparison.levels) WriteLevel(comparison, level, writer);
  writer.Close(']');
  writer.Key("remarks");
  writer.Open('[');
  for (const std::string& remark : comparison.remarks) writer.Text(remark);
  writer.Close(']');
  writer.Close('}');
  return writer.Take() + "\n";
}

}  // namespace penstock::bench
