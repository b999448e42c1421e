// penstock: the program. Reads as its table of contents.
#include <cstdio>
#include <exception>
#include <memory>

#include <fmt/format.h>

#include "app/command.h"
#include "app/flags.h"
#include "base/log.h"

namespace penstock::app {
namespace {

constexpr const char* kAbout =
    "Penstock: provisioned throughput for large language models, on machines you own.\n"
    "Serve a model:       penstock serve --data-dir DIR\n"
    "Measure an endpoint: penstock bench http://HOST:PORT --model NAME";

int Main(int argc, char** argv) {
  CLI::App app{kAbout, "penstock"};
  app.require_subcommand(1);
  app.fallthrough();  // --log-level and --config may stand anywhere.
  app.config_formatter(std::make_shared<YamlConfig>());
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
    const int code = app.exit(error);
    return code == 0 ? kExitGood : kExitUsage;
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
