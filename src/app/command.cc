#include "app/command.h"

#include <cstdio>
#include <utility>

#include <fmt/format.h>

namespace penstock::app {

CLI::App* Program::Add(const std::string& name, const std::string& help, std::function<int()> run,
                       CLI::App* parent) {
  CLI::App* command = (parent == nullptr ? &app_ : parent)->add_subcommand(name, help);
  command->final_callback([this, command, run = std::move(run)] {
    // Called after its subcommand's: that one is what was meant.
    if (command->get_subcommands().empty()) run_ = run;
  });
  return command;
}

CLI::App* Program::AddGroup(const std::string& name, const std::string& help) {
  return app_.add_subcommand(name, help)->require_subcommand(1);
}

int Report(const Error& error) {
  fmt::print(stderr, "penstock: {}\n", error.message);
  return error.field == kAnswered ? kExitMissedGoal : Traits(error.code).exit_code;
}

}  // namespace penstock::app
