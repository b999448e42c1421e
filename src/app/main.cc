// penstock: the program. Reads as its table of contents.
#include <cstdio>
#include <exception>
#include <memory>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "app/command.h"
#include "app/flags.h"
#include "app/version.h"
#include "base/log.h"

namespace penstock::app {
namespace {

constexpr const char* kAbout =
    "Penstock: provisioned throughput for large language models, on machines you own.\n"
    "Serve a model:       penstock serve --data-dir DIR\n"
    "Measure an endpoint: penstock bench http://HOST:PORT --model NAME";

// CLI11 only says that a subcommand is missing: the word that is none, and what there is.
std::string MissingSubcommand(const CLI::App& app) {
  const CLI::App* deepest = &app;
  while (!deepest->get_subcommands().empty()) deepest = deepest->get_subcommands().front();
  std::string known;
  for (const CLI::App* const one : deepest->get_subcommands([](const CLI::App*) { return true; })) {
    known += (known.empty() ? "" : ", ") + one->get_name();
  }
  const std::string name = deepest == &app ? "penstock" : "penstock " + deepest->get_name();
  for (const std::string& word : app.remaining(true)) {
    if (word.starts_with('-')) continue;
    return fmt::format("'{}' is not a subcommand of {}; there are: {}", word, name, known);
  }
  return fmt::format("{} needs a subcommand: {}", name, known);
}

int RefuseLine(const CLI::App& app, const CLI::ParseError& error) {
  const bool missing = error.get_name() == "RequiredError" &&
                       std::string_view(error.what()).find("ubcommand") != std::string_view::npos;
  if (!missing) return app.exit(error) == 0 ? kExitGood : kExitUsage;
  fmt::print(stderr, "{}\nRun with --help for more information.\n", MissingSubcommand(app));
  return kExitUsage;
}

int Main(int argc, char** argv) {
  CLI::App app{kAbout, "penstock"};
  app.require_subcommand(1);
  app.fallthrough();  // --log-level and --config may stand anywhere.
  app.formatter(std::make_shared<HelpFormatter>());
  app.config_formatter(std::make_shared<YamlConfig>(app));
  app.set_version_flag("--version", fmt::format("penstock {}", kVersion));
  app.set_config("--config", "", "YAML file: flags under their subcommand's name")
      ->envname("PENSTOCK_CONFIG");
  app.allow_config_extras(CLI::config_extras_mode::error);
  std::string log_level = "info";
  AddFlag(app, "--log-level", log_level, "trace, debug, info, warn, error or off")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}));

  Program program(app, {argv, argv + argc});
  AddServeCommand(program);
  AddEngineCommand(program);
  AddRelayCommand(program);
  AddBenchCommand(program);
  AddModelCommand(program);
  AddEndpointCommand(program);
  AddApplyCommand(program);
  AddKeyCommand(program);
  AddGroupCommand(program);
  AddBillingCommand(program);
  AddCompletionCommand(program);
  AddSimulateCommand(program);
  AddSizeCommand(program);
  AddUsageCommand(program);
  AddTopCommand(program);
  AddVersionCommand(program);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return RefuseLine(app, error);
  }
  SetLogLevel(log_level);
  return program.Run();
}

}  // namespace
}  // namespace penstock::app

int main(int argc, char** argv) {
  try {
    return penstock::app::Main(argc, argv);
  } catch (const std::exception& exception) {
    fmt::print(stderr, "penstock: unexpected: {}\n", exception.what());
    return penstock::app::kExitMissedGoal;
  }
}
