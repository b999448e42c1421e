#include "plan/simulation_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <cmath>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

#include "page/numbers.h"
#include "page/page.h"
#include "page/svg_chart.h"

namespace penstock::plan {

using page::Count;
using page::DurationText;
using page::EscapeHtml;
using page::Figure;
using page::Page;

namespace {

double Millis(const QuantileSketch& sketch, double quantile) {
  return sketch.empty() ? 0 : sketch.Quantile(quantile) / 1000;
}

std::string Heading(const SimRun& run) {
  return fmt::format("{}{} of traffic, {} replica hours, busy {:.0f} %, {} of the fleet",
                     run.name.empty() ? "" : run.name + ": ",
                     DurationText(run.outcome.span_s * 1000), Figure(run.outcome.replica_hours),
                     run.outcome.busy_share * 100,
                     page::Counted(std::ssize(run.outcome.decisions), "change"));
}

double CachedShare(const TenantOutcome& tenant) {
  const auto input = static_cast<double>(tenant.input_tokens);
  return input > 0 ? static_cast<double>(tenant.cached_tokens) / input : 0;
}

std::string Refusals(const TenantOutcome& tenant) {
  std::string text;
  for (std::size_t i = 0; i < policy::kRefusals; ++i) {
    if (tenant.refused[i] == 0) continue;
    fmt::format_to(std::back_inserter(text), "{}{} {}", text.empty() ? "" : ", ",
                   Count(static_cast<long long>(tenant.refused[i])),
                   policy::ToString(static_cast<policy::Refusal>(i)));
  }
  return text;
}

boost::json::object Quantiles(const QuantileSketch& sketch) {
  return {{"p50", Millis(sketch, 0.5)},
          {"p90", Millis(sketch, 0.9)},
          {"p95", Millis(sketch, 0.95)},
          {"p99", Millis(sketch, 0.99)}};
}

boost::json::object TenantJson(const TenantOutcome& tenant) {
  boost::json::object refused;
  for (std::size_t i = 1; i < policy::kRefusals; ++i) {
    refused[policy::ToString(static_cast<policy::Refusal>(i))] = tenant.refused[i];
  }
  return {{"name", tenant.name},
          {"arrived", tenant.arrived},
          {"completed", tenant.completed},
          {"failed", tenant.failed},
          {"refused", std::move(refused)},
          {"attainment", tenant.attainment()},
          {"offered_cost", tenant.offered_cost},
          {"served_cost", tenant.served_cost},
          {"guaranteed_cost", tenant.guaranteed_cost},
          {"cached_share", CachedShare(tenant)},
          {"ttft_ms", Quantiles(tenant.ttft_us)},
          {"tpot_ms", Quantiles(tenant.tpot_us)},
          {"latency_ms", Quantiles(tenant.latency_us)},
          {"queue_wait_ms", Quantiles(tenant.queue_us)}};
}

// How long steps take, and how far that is from what was measured.
boost::json::object StepJson(const Scenario& scenario) {
  const StepModel& step = scenario.fleet.step;
  boost::json::array decode;
  for (const StepModel::Decode& each : step.decode) {
    decode.push_back({{"sequences", each.sequences}, {"ms", each.seconds * 1e3}});
  }
  return {{"decode", std::move(decode)},
          {"decode_cell_us", step.per_decode_cell_s * 1e6},
          {"first_cell_share", step.first_cell_share},
          {"prefill_pass_ms", step.prefill_pass_s * 1e3},
          {"prefill_token_us", step.per_prefill_token_s * 1e6},
          {"prefill_cell_us", step.per_prefill_cell_s * 1e6},
          {"overhead_ms", step.overhead_s * 1e3},
          {"wake_pace", step.wake_pace},
          {"wake_pace_high", step.wake_pace_high},
          {"fit_error_mean", scenario.terms.fit_error_mean},
          {"fit_error_max", scenario.terms.fit_error_max}};
}

page::Chart Replicas(const SimRun& run, std::size_t number) {
  page::Chart chart{.id = fmt::format("fleet{}", number),
                    .title = "Replicas over time",
                    .description = "Replicas that take requests, by the minute.",
                    .x_title = "minutes",
                    .y_title = "replicas",
                    .dots = false,
                    .height = 220};
  page::ChartSeries ready{.name = "ready"};
  page::ChartSeries wanted{.name = "wanted"};
  for (std::size_t i = 0; i < run.outcome.minutes.size(); ++i) {
    const auto minute = static_cast<double>(i + 1);
    ready.points.push_back({.x = minute, .y = run.outcome.minutes[i].replicas});
    wanted.points.push_back({.x = minute, .y = run.outcome.minutes[i].wanted});
  }
  chart.series = {std::move(ready), std::move(wanted)};
  return chart;
}

// " fifo 30" of "policy=fifo start_s=30 ": short enough for a legend.
std::string ValuesOf(std::string_view words) {
  std::string values;
  while (!words.empty()) {
    const std::string_view word = words.substr(0, words.find(' '));
    words.remove_prefix(std::min(words.size(), word.size() + 1));
    values += ' ';
    values += word.substr(word.find('=') + 1);
  }
  return values;
}

// What each run cost against what its tenants got.
page::Chart CostAgainstAttainment(std::span<const SimRun> runs) {
  page::Chart chart{.id = "sweep",
                    .title = "Attainment against cost",
                    .description = "Each point is a run of the sweep.",
                    .x_title = "replica hours",
                    .y_title = "first tokens in time, percent",
                    .linear_y = true};
  for (std::size_t tenant = 0; tenant < runs[0].outcome.tenants.size(); ++tenant) {
    // What only the last sweep tells apart is one line; what the others do, another.
    std::vector<std::string> lines;
    for (const SimRun& run : runs) {
      const std::size_t blank = run.name.rfind(' ');
      const std::string others = blank == std::string::npos ? "" : run.name.substr(0, blank + 1);
      auto line = std::ranges::find(lines, others);
      if (line == lines.end()) {
        const std::string& name = run.outcome.tenants[tenant].name;
        chart.series.push_back({.name = others.empty() ? name : name + "," + ValuesOf(others)});
        line = lines.insert(lines.end(), others);
      }
      const auto back = static_cast<std::size_t>(lines.end() - line);
      chart.series[chart.series.size() - back].points.push_back(
          {.x = run.outcome.replica_hours,
           .y = run.outcome.tenants[tenant].attainment() * 100,
           .label = tenant == 0 ? run.name.substr(others.size()) : "",
           .tooltip = run.name});
    }
  }
  return chart;
}

void AddRun(const SimRun& run, std::size_t number, Page& page) {
  page.Add("<h2>{}</h2><p>{}</p>", EscapeHtml(run.name.empty() ? "Outcome" : run.name),
           EscapeHtml(Heading(run)));
  page.Add(
      "<div class=\"wide\"><table><thead><tr><th class=\"remark\">tenant</th><th>requests</th>"
      "<th>in time</th><th>of its contract</th><th>TTFT p50</th><th>p95</th><th>p99</th><th>TPOT "
      "p50</th><th>wait p95</th><th class=\"remark\">refused</th></tr></thead><tbody>");
  for (const TenantOutcome& tenant : run.outcome.tenants) {
    page.Add(
        "<tr><td class=\"remark\">{}</td><td>{}</td><td class=\"strong\">{:.1f} %</td><td>{}</td>"
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td class=\"remark\">{}</td></tr>",
        EscapeHtml(tenant.name), Count(static_cast<long long>(tenant.arrived)),
        tenant.attainment() * 100,
        tenant.guaranteed_cost > 0 ? fmt::format("{:.1f} %", tenant.delivered() * 100) : "–",
        DurationText(Millis(tenant.ttft_us, 0.5)), DurationText(Millis(tenant.ttft_us, 0.95)),
        DurationText(Millis(tenant.ttft_us, 0.99)), DurationText(Millis(tenant.tpot_us, 0.5)),
        DurationText(Millis(tenant.queue_us, 0.95)), EscapeHtml(Refusals(tenant)));
  }
  page.Add("</tbody></table></div>");
  for (const std::string& doubt : run.doubts) {
    page.Add("<p class=\"warning\">Doubtful: {}.</p>", EscapeHtml(doubt));
  }
  if (run.outcome.minutes.size() > 1) {
    page.Add("<figure>{}</figure>", RenderChart(Replicas(run, number)));
  }
}

}  // namespace

std::string SimulationTable(std::span<const SimRun> runs) {
  std::string out;
  const auto add = std::back_inserter(out);
  for (const SimRun& run : runs) {
    fmt::format_to(add, "{}\n", Heading(run));
    fmt::format_to(add, "  {:<16} {:>9} {:>8} {:>9} {:>10} {:>10} {:>10} {:>10} {:>10}\n", "tenant",
                   "requests", "in time", "contract", "TTFT p50", "p95", "p99", "TPOT p50",
                   "wait p95");
    for (const TenantOutcome& tenant : run.outcome.tenants) {
      fmt::format_to(
          add, "  {:<16} {:>9} {:>7.1f}% {:>9} {:>10} {:>10} {:>10} {:>10} {:>10}", tenant.name,
          Count(static_cast<long long>(tenant.arrived)), tenant.attainment() * 100,
          tenant.guaranteed_cost > 0 ? fmt::format("{:.1f}%", tenant.delivered() * 100) : "-",
          DurationText(Millis(tenant.ttft_us, 0.5)), DurationText(Millis(tenant.ttft_us, 0.95)),
          DurationText(Millis(tenant.ttft_us, 0.99)), DurationText(Millis(tenant.tpot_us, 0.5)),
          DurationText(Millis(tenant.queue_us, 0.95)));
      if (tenant.cached_tokens > 0) {
        fmt::format_to(add, "  cached: {:.1f}% of the input", CachedShare(tenant) * 100);
      }
      if (tenant.refusals() > 0) fmt::format_to(add, "  refused: {}", Refusals(tenant));
      if (tenant.failed > 0) {
        fmt::format_to(add, "  failed: {}", Count(static_cast<long long>(tenant.failed)));
      }
      out += '\n';
    }
    for (const std::string& doubt : run.doubts) fmt::format_to(add, "  doubtful: {}\n", doubt);
  }
  return out;
}

std::string SimulationJson(std::span<const SimRun> runs) {
  boost::json::array all;
  for (const SimRun& run : runs) {
    boost::json::array tenants;
    for (const TenantOutcome& tenant : run.outcome.tenants) tenants.push_back(TenantJson(tenant));
    boost::json::array minutes;
    for (const FleetMinute& minute : run.outcome.minutes) {
      minutes.push_back({{"replicas", minute.replicas},
                         {"wanted", minute.wanted},
                         {"offered_cost_per_s", minute.offered_cost_per_s},
                         {"queued", minute.queued}});
    }
    boost::json::array decisions;
    for (const policy::AutoscaleDecision& decision : run.outcome.decisions) {
      decisions.emplace_back(decision.Explain());
    }
    boost::json::array doubts;
    for (const std::string& doubt : run.doubts) doubts.emplace_back(doubt);
    all.push_back({{"run", run.name},
                   {"span_s", run.outcome.span_s},
                   {"replica_hours", run.outcome.replica_hours},
                   {"busy_share", run.outcome.busy_share},
                   {"step", StepJson(run.scenario)},
                   {"events", run.outcome.events},
                   {"tenants", std::move(tenants)},
                   {"minutes", std::move(minutes)},
                   {"decisions", std::move(decisions)},
                   {"doubts", std::move(doubts)}});
  }
  return boost::json::serialize(boost::json::object{{"runs", std::move(all)}});
}

std::string SimulationPage(std::span<const SimRun> runs, const std::string& title) {
  Page page;
  page.Open("Simulation of " + title,
            "By the policy code that runs in production, on a virtual clock");
  if (runs.size() > 1) {
    page.Add(
        "<h2>What each run costs, and what its tenants get</h2><figure "
        "class=\"curve\">{}<figcaption>Up is more first tokens in time, left is fewer "
        "replica hours.</figcaption></figure>",
        RenderChart(CostAgainstAttainment(runs)));
  }
  for (std::size_t i = 0; i < runs.size(); ++i) AddRun(runs[i], i, page);
  page.Close(
      "In time: first tokens within the target, of all that arrived, refused ones included. "
      "Of its contract: served cost, of what was both promised and asked for. Replicas are a "
      "model: each step takes what the calibration's fit says.");
  return page.Take();
}

}  // namespace penstock::plan
