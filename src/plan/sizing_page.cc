// The page of sizings: the peak that is sized for, what to buy of each offer, tokens per minute
// over time.
#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "page/numbers.h"
#include "page/page.h"
#include "page/svg_chart.h"
#include "plan/sizing_text.h"

namespace penstock::plan {

using page::Count;
using page::EscapeHtml;
using page::Figure;
using page::Hundredths;
using page::Page;

namespace {

constexpr std::size_t kChartPoints = 240;

// The greatest minute of each of at most kChartPoints spans, so that no peak is lost.
page::Chart Timeline(const UsageSeries& series, const UsageSummary& usage, const std::string& id) {
  page::Chart chart{.id = id,
                    .title = "Tokens per minute over time",
                    .description = "The greatest minute of each span of time.",
                    .x_title = "hours since the first request",
                    .y_title = "tokens per minute"};
  page::ChartSeries input{.name = "input"};
  page::ChartSeries output{.name = "output"};
  const std::int64_t span =
      std::max<std::int64_t>(1, (usage.minutes + static_cast<std::int64_t>(kChartPoints) - 1) /
                                    static_cast<std::int64_t>(kChartPoints));
  std::map<std::int64_t, std::pair<double, double>> greatest;
  for (const auto& [minute, tokens] : series.Minutes()) {
    auto& point = greatest[(minute - usage.first_minute) / span];
    point.first = std::max(point.first, tokens.input);
    point.second = std::max(point.second, tokens.output);
  }
  for (std::int64_t at = 0; at * span < usage.minutes; ++at) {
    const auto found = greatest.find(at);
    const double hours = static_cast<double>(at * span) / 60;
    input.points.push_back({.x = hours, .y = found == greatest.end() ? 0 : found->second.first});
    output.points.push_back({.x = hours, .y = found == greatest.end() ? 0 : found->second.second});
  }
  constexpr std::size_t kDotsMax = 60;  // More would hide the lines.
  chart.dots = input.points.size() <= kDotsMax;
  chart.series = {std::move(input), std::move(output)};
  return chart;
}

void AddOffers(const Sizing& sizing, const SizingBasis& basis, Page& page) {
  const bool priced = std::ranges::any_of(
      sizing.rows, [](const SizingRow& row) { return row.cost_per_hour.has_value(); });
  const std::string currency = EscapeHtml(basis.currency);
  page.Add(
      "<div class=\"wide\"><table><thead><tr><th class=\"remark\">offer</th><th "
      "class=\"remark\">model</th><th>raw</th><th>buy</th><th class=\"remark\"></th>{}</tr>"
      "</thead><tbody>",
      priced ? fmt::format("<th>{0}/h</th><th>{0}/month</th>", currency) : "");
  for (const SizingRow& row : sizing.rows) {
    const auto money = [&row](double hours) {
      return row.cost_per_hour ? Hundredths(*row.cost_per_hour * hours) : std::string("–");
    };
    page.Add(
        "<tr><td class=\"remark\">{}</td><td class=\"remark\">{}</td><td>{}</td><td "
        "class=\"strong\">{} {}</td><td class=\"remark\">{}</td>{}</tr>",
        EscapeHtml(row.offer), EscapeHtml(row.model), Hundredths(row.raw), Count(row.amount),
        EscapeHtml(row.unit), EscapeHtml(row.note),
        priced ? fmt::format("<td>{}</td><td>{}</td>", money(1), money(kHoursPerMonth)) : "");
  }
  page.Add("</tbody></table></div>");
}

void AddFigures(const UsageSummary& usage, Page& page) {
  page.Add(
      "<div "
      "class=\"wide\"><table><thead><tr><th></th><th>min</th><th>mean</th><th>p50</th><th>p95</th>"
      "<th>p99</th><th>greatest</th></tr></thead><tbody>");
  const auto row = [&page](const char* what, const MinuteFigures& figures) {
    page.Add(
        "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
        what, Figure(figures.min), Figure(figures.mean), Figure(figures.p50), Figure(figures.p95),
        Figure(figures.p99), Figure(figures.max));
  };
  row("requests a minute", usage.requests_per_minute);
  row("input TPM", usage.input);
  row("input TPM, uncached", usage.uncached);
  row("output TPM", usage.output);
  row("total TPM", usage.total);
  page.Add("</tbody></table></div>");
}

}  // namespace

std::string SizingPage(std::span<const Sizing> sizings, const SizingBasis& basis,
                       const UsageHistory* history) {
  Page page;
  page.Open("Sizing", basis.command);
  int number = 0;
  for (const Sizing& sizing : sizings) {
    page.Add("<h2>{}</h2>", EscapeHtml(sizing.name.empty() ? "Workload" : sizing.name));
    page.Add("<p class=\"lead\">{} input and {} output tokens a minute in {} request{}: {}.</p>",
             Figure(sizing.tokens.input), Figure(sizing.tokens.output),
             Figure(sizing.tokens.requests), sizing.tokens.requests == 1 ? "" : "s",
             EscapeHtml(sizing.peak));
    AddOffers(sizing, basis, page);
    if (!sizing.usage) continue;
    AddFigures(*sizing.usage, page);
    const auto found = history == nullptr ? decltype(history->series.begin()){}
                                          : history->series.find(sizing.name);
    if (history != nullptr && found != history->series.end()) {
      page.Add(
          "<figure>{}<figcaption>Each point is the greatest minute of its span, so that no "
          "peak is lost.</figcaption></figure>",
          RenderChart(Timeline(found->second, *sizing.usage, fmt::format("time{}", number++))));
    }
  }
  page.Add("<ul>");
  for (const std::string& source : basis.sources) page.Add("<li>{}</li>", EscapeHtml(source));
  page.Add("</ul>");
  page.Close(
      "Formulas: src/plan of Penstock. What is generated counts, not what max_tokens allows, "
      "except for standard quotas.");
  return page.Take();
}

}  // namespace penstock::plan
