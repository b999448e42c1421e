#include "app/command.h"

#include <cstdio>
#include <utility>

#include <fmt/format.h>

namespace penstock::app {

// A flag of the line that is the parent command's alone: "" where there is none. Parsing lets it
// pass, since the program's own flags may stand anywhere; but nobody would obey it.
std::string Program::FlagOfParent(const CLI::App& command, const CLI::App& parent) const {
  for (const std::string& argument : arguments_) {
    if (!argument.starts_with("--")) continue;
    std::string flag = argument.substr(0, argument.find('='));
    const auto has = [&flag](const CLI::App& app) {
      return app.get_option_no_throw(flag) != nullptr;
    };
    if (has(parent) && !has(command) && !has(app_)) return flag;
  }
  return {};
}

CLI::App* Program::Add(const std::string& name, const std::string& help, std::function<int()> run,
                       CLI::App* parent) {
  CLI::App* command = (parent == nullptr ? &app_ : parent)->add_subcommand(name, help);
  command->final_callback([this, command, parent, run = std::move(run)] {
    // Called after its subcommand's: that one is what was meant.
    if (!command->get_subcommands().empty()) return;
    run_ = run;
    if (parent == nullptr) return;
    std::string flag = FlagOfParent(*command, *parent);
    if (flag.empty()) return;
    const std::string above = parent->get_name();
    run_ = [flag = std::move(flag), above, name = command->get_name()] {
      return Report({Code::kInvalidArgument,
                     fmt::format("{} is a flag of `penstock {}`, and not of `penstock {} {}`: see "
                                 "its --help",
                                 flag, above, above, name),
                     flag});
    };
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
