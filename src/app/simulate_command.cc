// penstock simulate: a scenario on a virtual clock, under the policy code that runs in production.
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "app/asked_file.h"
#include "app/command.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "base/file.h"
#include "control/calibration_json.h"
#include "plan/scenario.h"
#include "plan/simulation_text.h"

namespace penstock::app {
namespace {

struct SimulateOptions {
  std::string scenario;
  std::vector<std::string> what_if;
  std::string report;
  std::string csv;
  std::string markdown;
  bool json = false;
};

// "replicas=2,4,2-8" as its name and values.
Result<std::pair<std::string, std::vector<std::string>>> ParseSweep(const std::string& text) {
  const std::size_t equals = text.find('=');
  std::vector<std::string> values;
  if (equals != std::string::npos) {
    for (std::size_t at = equals + 1; at <= text.size();) {
      const std::size_t comma = std::min(text.find(',', at), text.size());
      values.push_back(text.substr(at, comma - at));
      at = comma + 1;
    }
  }
  if (values.empty()) {
    return Fail(Code::kInvalidArgument,
                fmt::format("--what-if is '{}'; it must be NAME=VALUE,VALUE…", text), "what-if");
  }
  return std::pair{text.substr(0, equals), std::move(values)};
}

// What `penstock model calibrate --json` printed, or the server's answer.
Result<policy::Calibration> ReadCalibrationFile(const std::string& path) {
  constexpr std::size_t kCalibrationBytesMax = std::size_t{4} << 20;
  const auto text = ReadSmallFile(path, kCalibrationBytesMax);
  if (!text) return Fail(text.error());
  boost::system::error_code error;
  const boost::json::value json = boost::json::parse(*text, error);
  if (error || !json.is_object()) {
    return Fail(Code::kInvalidArgument, path + " is not the JSON of a calibration", "calibration");
  }
  const auto* const inner = json.as_object().if_contains("calibration");
  const auto read =
      control::ParseCalibration(inner == nullptr ? *text : boost::json::serialize(*inner));
  if (!read) return Fail(Code::kInvalidArgument, path + ": " + read.error().message, "calibration");
  return read;
}

// The scenario once, or once for each value of the sweep.
Result<std::vector<plan::SimRun>> Variants(const plan::Scenario& scenario,
                                           const std::vector<std::string>& sweeps) {
  std::vector<plan::SimRun> runs = {{.scenario = scenario}};
  for (const std::string& text : sweeps) {
    const auto sweep = ParseSweep(text);
    if (!sweep) return Fail(sweep.error());
    std::vector<plan::SimRun> more;
    for (const plan::SimRun& run : runs) {
      for (const std::string& value : sweep->second) {
        plan::SimRun variant = run;
        if (const Status varied = plan::Vary(sweep->first, value, variant.scenario); !varied) {
          return Fail(varied.error());
        }
        variant.name += fmt::format("{}{}={}", run.name.empty() ? "" : " ", sweep->first, value);
        more.push_back(std::move(variant));
      }
    }
    runs = std::move(more);
  }
  return runs;
}

int Run(const SimulateOptions& options) {
  const auto scenario = plan::LoadScenario(options.scenario, ReadCalibrationFile);
  if (!scenario) return Report(scenario.error());
  auto runs = Variants(*scenario, options.what_if);
  if (!runs) return Report(runs.error());
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  for (std::size_t i = 0; i < runs->size(); ++i) {
    if (terminal) fmt::print(stderr, "\rsimulating {} of {}", i + 1, runs->size());
    plan::SimRun& run = (*runs)[i];
    run.doubts = plan::Doubts(run.scenario);
    run.outcome = plan::Simulate(run.scenario);
    run.scenario.tenants.clear();
  }
  if (terminal) fmt::print(stderr, "\r\x1b[K");
  for (const Status& written : {
           WriteWhereAsked(options.report,
                           [&] { return plan::SimulationPage(*runs, options.scenario); }),
           WriteWhereAsked(options.csv, [&] { return plan::SimulationCsv(*runs); }),
           WriteWhereAsked(options.markdown,
                           [&] { return plan::SimulationMarkdown(*runs, options.scenario); }),
       }) {
    if (!written) return Report(written.error());
  }
  if (options.json) {
    PrintJson(plan::SimulationJson(*runs));
  } else {
    fmt::print("{}", plan::SimulationTable(*runs));
  }
  return kExitGood;
}

}  // namespace

void AddSimulateCommand(Program& program) {
  auto options = std::make_shared<SimulateOptions>();
  CLI::App* command = program.Add(
      "simulate", "Play traffic against a fleet on a virtual clock: who gets what, at which cost",
      [options] { return Run(*options); });
  command->add_option("scenario", options->scenario, "YAML file; docs/sizing.md tells its fields")
      ->required();
  command
      ->add_option("--what-if", options->what_if,
                   "Run once for each value: replicas=2,4,2-8, range=1000-3000, range.TENANT=, "
                   "chunk=, strategy=latency,balanced, concurrency=, start_s=, prefill_budget=, "
                   "policy=penstock,fifo; several combine")
      ->type_name("NAME=VALUES");
  AddFlag(*command, "--report", options->report, "Also write an HTML page, with charts");
  AddFlag(*command, "--csv", options->csv, "Also write a line for each run and tenant as CSV");
  AddFlag(*command, "--markdown", options->markdown, "Also write them as Markdown");
  AddSwitch(*command, "--json", options->json, "JSON on stdout");
  command->footer(
      "First come, first served, against the contract:\n"
      "  penstock simulate flood.yaml --what-if policy=penstock,fifo --report flood.html");
}

}  // namespace penstock::app
