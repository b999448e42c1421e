// penstock bench report: everything that a run showed, again, from its records alone.
#include <memory>
#include <string>

#include "app/bench_outputs.h"
#include "app/command.h"
#include "app/flags.h"
#include "bench/run.h"

namespace penstock::app {

void AddBenchReportCommand(Program& program, CLI::App* bench) {
  struct Options {
    std::string records;
    BenchOutputs outputs;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = program.Add(
      "report", "Rebuild table, report and exports from the records of an earlier run",
      [options] {
        const auto summary = bench::LoadSummary(options->records);
        if (!summary) return Report(summary.error());
        return ShowOutputs(*summary, options->outputs);
      },
      bench);
  command->footer("");  // Not the examples of `bench`.
  command->add_option("records", options->records, "FILE.jsonl, as bench --records keeps it")
      ->required();
  AddOutputFlags(*command, options->outputs);
}

}  // namespace penstock::app
