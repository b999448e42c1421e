// Simulations as CSV and as Markdown.
#include <fmt/format.h>

#include <iterator>

#include "page/numbers.h"
#include "plan/simulation_text.h"
#include "trace/csv.h"

namespace penstock::plan {
namespace {

// Of microseconds; "" where nothing was counted.
std::string Millis(const QuantileSketch& sketch, double quantile, std::string_view none) {
  return sketch.empty() ? std::string(none)
                        : fmt::format("{:.1f}", sketch.Quantile(quantile) / 1000);
}

}  // namespace

std::string SimulationCsv(std::span<const SimRun> runs) {
  std::string out =
      "run,replica_hours,busy_share,tenant,arrived,completed,failed,refused,attainment,delivered,"
      "ttft_p50_ms,ttft_p95_ms,ttft_p99_ms,tpot_p50_ms,tpot_p95_ms,queue_p95_ms\n";
  for (const SimRun& run : runs) {
    for (const TenantOutcome& tenant : run.outcome.tenants) {
      fmt::format_to(std::back_inserter(out),
                     "{},{:.4f},{:.4f},{},{},{},{},{},{:.6f},{},{},{},{},{},{},{}\n",
                     trace::CsvCell(run.name), run.outcome.replica_hours, run.outcome.busy_share,
                     trace::CsvCell(tenant.name), tenant.arrived, tenant.completed, tenant.failed,
                     tenant.refusals(), tenant.attainment(),
                     tenant.guaranteed_cost > 0 ? fmt::format("{:.6f}", tenant.delivered()) : "",
                     Millis(tenant.ttft_us, 0.5, ""), Millis(tenant.ttft_us, 0.95, ""),
                     Millis(tenant.ttft_us, 0.99, ""), Millis(tenant.tpot_us, 0.5, ""),
                     Millis(tenant.tpot_us, 0.95, ""), Millis(tenant.queue_us, 0.95, ""));
    }
  }
  return out;
}

std::string SimulationMarkdown(std::span<const SimRun> runs, const std::string& title) {
  std::string out = fmt::format("### Simulation of {}\n\n", title);
  const auto add = std::back_inserter(out);
  out +=
      "| run | replica hours | tenant | arrived | refused | in time | contract | TTFT p50, p95, ms "
      "| "
      "TPOT p50, p95, ms |\n|---|--:|---|--:|--:|--:|--:|--:|--:|\n";
  for (const SimRun& run : runs) {
    for (const TenantOutcome& tenant : run.outcome.tenants) {
      fmt::format_to(
          add, "| {} | {} | {} | {} | {} | {:.1f} % | {} | {}, {} | {}, {} |\n", run.name,
          page::Figure(run.outcome.replica_hours), tenant.name,
          page::Count(static_cast<long long>(tenant.arrived)),
          page::Count(static_cast<long long>(tenant.refusals())), tenant.attainment() * 100,
          tenant.guaranteed_cost > 0 ? fmt::format("{:.1f} %", tenant.delivered() * 100) : "–",
          Millis(tenant.ttft_us, 0.5, "–"), Millis(tenant.ttft_us, 0.95, "–"),
          Millis(tenant.tpot_us, 0.5, "–"), Millis(tenant.tpot_us, 0.95, "–"));
    }
  }
  for (const SimRun& run : runs) {
    for (const std::string& doubt : run.doubts) {
      fmt::format_to(add, "\n- {}{}", run.name.empty() ? "" : run.name + ": ", doubt);
    }
  }
  if (out.back() != '\n') out += '\n';
  return out;
}

}  // namespace penstock::plan
