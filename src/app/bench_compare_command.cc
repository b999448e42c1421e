// penstock bench compare: what differs between runs, and whether by chance.
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "app/bench_outputs.h"
#include "app/command.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "bench/record/records_file.h"
#include "bench/report/compare.h"
#include "bench/report/compare_report.h"

namespace penstock::app {
namespace {

struct CompareOptions {
  std::vector<std::string> records;
  std::string report;
  bool json = false;
};

int Run(const CompareOptions& options) {
  std::vector<bench::RunToCompare> runs;
  for (const std::string& path : options.records) {
    auto records = bench::ReadRecords(path);
    if (!records) return Report(records.error());
    runs.push_back({.name = path, .records = std::move(*records)});
  }
  const bench::Comparison comparison = bench::Compare(runs);
  if (!options.report.empty()) {
    const Status written =
        WriteText("report", options.report, bench::RenderComparisonReport(comparison));
    if (!written) return Report(written.error());
    fmt::print(stderr, "report: {}\n", options.report);
  }
  if (options.json) {
    PrintJson(bench::RenderComparisonJson(comparison));
  } else {
    fmt::print("{}", bench::RenderComparison(comparison));
  }
  return kExitGood;
}

}  // namespace

void AddBenchCompareCommand(Program& program, CLI::App* bench) {
  auto options = std::make_shared<CompareOptions>();
  CLI::App* command = program.Add(
      "compare", "Hold runs against the first one, level by level, with significance",
      [options] { return Run(*options); }, bench);
  command->footer("");  // Not the examples of `bench`.
  command
      ->add_option("records", options->records,
                   "Two or more FILE.jsonl, as bench --records keeps them; the first is the base")
      ->required()
      ->expected(2, 16);
  AddFlag(*command, "--report", options->report, "Write the comparison: FILE.html");
  AddSwitch(*command, "--json", options->json, "One JSON document on stdout");
}

}  // namespace penstock::app
