// The page of a proof: promise, evidence, verdict, and a place to sign.
#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>

#include "bench/judge/answer.h"
#include "bench/prove/prove_report.h"
#include "bench/report/report_parts.h"
#include "page/numbers.h"
#include "page/page.h"
#include "page/svg_chart.h"

namespace penstock::bench {

using page::Chart;
using page::ChartSeries;
using page::Count;
using page::DurationText;
using page::EscapeHtml;
using page::Figure;
using page::Page;
namespace {

std::string_view Style(Kept kept) {
  return kept == Kept::kKept ? "good" : kept == Kept::kBroken ? "invalid" : "note";
}

std::string_view Word(Kept kept) {
  return kept == Kept::kKept ? "kept" : kept == Kept::kBroken ? "broken" : "not tested";
}

void AddVerdict(const Proof& proof, Page& page) {
  page.Add("<p class=\"answer\">{}</p>", proof.kept          ? "Kept what was sold"
                                         : proof.interrupted ? "Interrupted: not proven"
                                                             : "Did not keep what was sold");
  constexpr std::string_view kKept = "Kept: ";  // The line above says it.
  const std::string answer = ProofAnswer(proof);
  page.Add("<p class=\"lead\">{}</p>",
           EscapeHtml(answer.starts_with(kKept) ? answer.substr(kKept.size()) : answer));
  page.Add(
      "<div class=\"wide\"><table class=\"promises\"><thead><tr><th>promise</th><th>verdict"
      "</th><th>evidence</th></tr></thead><tbody>");
  for (const Promise& promise : proof.promises) {
    page.Add("<tr><td>{}</td><td><span class=\"pill {}\">{}</span></td><td>{}</td></tr>",
             EscapeHtml(promise.promise), Style(promise.kept), Word(promise.kept),
             EscapeHtml(promise.evidence));
  }
  page.Add("</tbody></table></div>");
}

void AddSeen(const BudgetTerm& term, double seen, bool holds, Page& page) {
  const std::string text = term.kind == BudgetTerm::Kind::kErrors ? Figure(100 * seen) + " %"
                           : std::isinf(seen)                     ? "none"
                                                                  : DurationText(seen);
  page.Add("<td{}>{}</td>", holds ? "" : " class=\"bad\"", text);
}

void AddWindows(const Proof& proof, std::string_view title, const std::vector<ProofWindow>& windows,
                Page& page) {
  if (windows.empty()) return;
  page.Add(
      "<h2>{}</h2><div class=\"wide\"><table><thead><tr><th>window</th><th>delivered, "
      "tokens/s</th><th>due</th><th>answered</th><th>refused</th><th>failed</th>",
      title);
  for (const BudgetTerm& term : proof.terms.budget.terms) {
    page.Add("<th>{}</th>", EscapeHtml(term.text));
  }
  page.Add("<th class=\"remark\"></th></tr></thead><tbody>");
  for (const ProofWindow& window : windows) {
    page.Add(
        "<tr><td class=\"strong\">{}</td><td{}>{}</td><td>{}</td><td>{}</td><td>{}</td>"
        "<td>{}</td>",
        window.number, window.delivered ? "" : " class=\"bad\"",
        Figure(window.delivered_tokens_per_s), Count(window.due), Count(window.answered),
        Count(window.refused), Count(window.failed));
    for (std::size_t i = 0; i < window.seen.size(); ++i) {
      AddSeen(proof.terms.budget.terms[i], window.seen[i], window.holds[i], page);
    }
    page.Add("<td class=\"remark\"><span class=\"pill {}\">{}</span></td></tr>",
             window.kept() ? "good" : "invalid", window.kept() ? "kept" : "broken");
  }
  page.Add("</tbody></table></div>");
}

ChartSeries DeliveredSeries(std::string name, const std::vector<ProofWindow>& windows) {
  ChartSeries series{.name = std::move(name)};
  for (const ProofWindow& window : windows) {
    series.points.push_back({.x = static_cast<double>(window.number - 1),
                             .y = window.delivered_tokens_per_s,
                             .tooltip = fmt::format("window {}: {} tokens/s", window.number,
                                                    Figure(window.delivered_tokens_per_s))});
  }
  return series;
}

void AddChart(const Proof& proof, Page& page) {
  if (proof.windows.empty()) return;
  Chart chart{.id = "delivered",
              .title = "Tokens per second delivered in each window",
              .x_title = "window",
              .y_title = "tokens per second",
              .height = 260};
  for (const ProofWindow& window : proof.windows) {
    chart.x_categories.push_back(std::to_string(window.number));
  }
  chart.series.push_back(DeliveredSeries("alone", proof.windows));
  if (!proof.neighbour_windows.empty()) {
    chart.series.push_back(DeliveredSeries("beside a neighbour", proof.neighbour_windows));
  }
  page.Add("<h2>Delivered in each window</h2>");
  chart.description = ProofAnswer(proof);
  chart.y_rules.push_back({.value = proof.terms.sold_tokens_per_s, .text = "sold"});
  page.Add("<figure class=\"curve\">{}</figure>", RenderChart(chart));
}

void AddBeyond(const Proof& proof, Page& page) {
  const RefusalFacts& facts = proof.refusals;
  if (facts.sent == 0) return;
  page.Add("<h2>Above what was sold</h2><div class=\"facts\"><dl>");
  page.AddTerm("Sent", fmt::format("{} requests, at {:g} times the rate", Count(facts.sent),
                                   proof.beyond_factor));
  page.AddTerm("Answered", fmt::format("{}, {} tokens/s", Count(facts.answered),
                                       Figure(facts.delivered_tokens_per_s)));
  page.AddTerm("Refused", facts.refused == 0
                              ? std::string("none")
                              : fmt::format("{}, {} of them without Retry-After",
                                            Count(facts.refused), Count(facts.without_hint)));
  page.AddTerm("Failed", Count(facts.failed));
  page.Add("</dl><dl>");
  if (facts.refusal_ms.count > 0) {
    page.AddTerm("Time to refuse", fmt::format("p50 {}, p95 {}", DurationText(facts.refusal_ms.p50),
                                               DurationText(facts.refusal_ms.p95)));
  }
  if (facts.retry_after_ms.count > 0) {
    page.AddTerm("Retry-After",
                 fmt::format("p50 {}, p95 {}", DurationText(facts.retry_after_ms.p50),
                             DurationText(facts.retry_after_ms.p95)));
  }
  const auto admitted =
      std::ranges::count_if(proof.retries, [](const ProofRetry& retry) { return retry.admitted; });
  page.AddTerm("Retries", proof.retries.empty()
                              ? std::string("none")
                              : fmt::format("{} of {} were admitted after the time named", admitted,
                                            proof.retries.size()));
  page.Add("</dl></div>");
}

void AddTerms(const Proof& proof, Page& page) {
  const ProofTerms& terms = proof.terms;
  page.Add("<h2>What was sold, and how it was looked at</h2><div class=\"facts\"><dl>");
  page.AddTerm("Sold", fmt::format("{} tokens/s, input and output together{}",
                                   Figure(terms.sold_tokens_per_s), WeightText(terms)));
  page.AddTerm("Within", terms.budget.Text());
  page.AddTerm("Requests", fmt::format("{} input and {} output tokens, {} each second, evenly",
                                       Count(terms.input_tokens), Count(terms.output_tokens),
                                       Figure(terms.RequestsPerSecond())));
  page.AddTerm("Windows",
               fmt::format("{} of {}; each may lack {:g} % of its tokens", terms.windows,
                           DurationText(terms.WindowSeconds() * 1000), 100 * terms.shortfall_max));
  if (proof.utilization_percent.count > 0) {
    page.AddTerm("Utilization, as told",
                 fmt::format("p50 {} %, max {} %", Figure(proof.utilization_percent.p50),
                             Figure(proof.utilization_percent.maximum)));
  }
  page.AddTerm("Endpoint", proof.header.settings.url);
  page.AddTerm("Evidence", "SHA-256 " + proof.digest);
  page.Add("</dl>");
  AddEnvironment(proof.header, page);
  page.Add("</div>");
}

}  // namespace

std::string RenderProofPage(const Proof& proof) {
  Page page;
  page.Open(fmt::format("Provisioned throughput of {}", TargetText(proof.header)),
            proof.header.settings.url + " · " + MomentText(proof.header.started_at));
  AddVerdict(proof, page);
  AddChart(proof, page);
  AddWindows(proof, "Window by window", proof.windows, page);
  AddBeyond(proof, page);
  AddWindows(proof, "Beside a flooding neighbour", proof.neighbour_windows, page);
  AddTerms(proof, page);
  page.Add(
      "<div class=\"sign\"><div><span>Name</span></div><div><span>Date</span></div>"
      "<div><span>Signature</span></div></div>");
  page.Close(
      "A window is kept where the requests due in it were answered with all their tokens and every "
      "percentile of the budget was met. What was not tested is neither kept nor broken.");
  return page.Take();
}

}  // namespace penstock::bench
