#include "app/bench_outputs.h"

#include <fmt/format.h>

#include <cstdio>
#include <fstream>

#include "app/command.h"
#include "app/json_print.h"
#include "bench/report/exports.h"
#include "bench/report/report.h"
#include "bench/report/summary_json.h"
#include "bench/report/table.h"

namespace penstock::app {

void AddOutputFlags(CLI::App& command, BenchOutputs& outputs) {
  AddFlag(command, "--report", outputs.report, "Write a report: FILE.html");
  AddFlag(command, "--csv", outputs.csv, "Write one line per level: FILE.csv");
  AddFlag(command, "--markdown", outputs.markdown, "Write a summary for a ticket: FILE.md");
  AddFlag(command, "--prometheus", outputs.prometheus, "Write gauges: FILE.prom");
  AddSwitch(command, "--json", outputs.json, "The summary as one JSON document on stdout");
}

Status WriteText(const std::string& flag, const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  file.close();
  if (file) return {};
  return Fail(Code::kInvalidArgument, fmt::format("{} {} cannot be written", flag, path), flag);
}

int ShowOutputs(const bench::RunSummary& summary, const BenchOutputs& outputs) {
  const struct {
    const char* flag;
    const std::string& path;
    std::string (*render)(const bench::RunSummary&);
  } files[] = {{"report", outputs.report, bench::RenderReport},
               {"csv", outputs.csv, bench::RenderCsv},
               {"markdown", outputs.markdown, bench::RenderMarkdown},
               {"prometheus", outputs.prometheus, bench::RenderPrometheus}};
  for (const auto& [flag, path, render] : files) {
    if (path.empty()) continue;
    if (const Status written = WriteText(flag, path, render(summary)); !written) {
      return Report(written.error());
    }
    fmt::print(stderr, "{}: {}\n", flag, path);
  }
  if (outputs.json) {
    PrintJson(bench::RenderJson(summary));
  } else {
    fmt::print("{}", bench::RenderTable(summary));
  }
  const bool missed = !summary.budget.empty() && !summary.within_budget;
  return summary.valid && !missed ? kExitGood : kExitMissedGoal;
}

}  // namespace penstock::app
