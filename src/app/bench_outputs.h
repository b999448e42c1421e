// Bench outputs: the files that `bench` and `bench report` write, under the same flags.
#pragma once

#include <string>

#include "app/flags.h"
#include "base/result.h"
#include "bench/judge/summary.h"

namespace penstock::app {

struct BenchOutputs {
  std::string report;      // --report FILE.html
  std::string csv;         // --csv FILE.csv
  std::string markdown;    // --markdown FILE.md
  std::string prometheus;  // --prometheus FILE.prom
  bool json = false;       // --json: on stdout in place of the table.
};

void AddOutputFlags(CLI::App& command, BenchOutputs& outputs);

// Writes the files that were asked for, says on stderr where, and shows the summary on stdout.
// Gives the exit code: kExitMissedGoal where the figures must not be used. Errors go to stderr.
int ShowOutputs(const bench::RunSummary& summary, const BenchOutputs& outputs);

// Writes a text to a file. Errors: kInvalidArgument naming the flag and the path.
Status WriteText(const std::string& flag, const std::string& path, const std::string& text);

}  // namespace penstock::app
