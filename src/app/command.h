// Command: a subcommand's flags and what it runs.
//
// Each file of this folder offers one `Add…Command(program)`; CLI11 calls what it registered once
// the whole line was parsed, and what that returns is the exit code.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/result.h"

namespace penstock::app {

// Exit codes of every subcommand.
inline constexpr int kExitGood = 0;
inline constexpr int kExitMissedGoal = 1;  // Ran, but failed or missed its goal.
inline constexpr int kExitUsage = 2;       // Wrong usage, or could not start.
inline constexpr int kExitForced = 3;      // A second signal.

class Program {
 public:
  // `arguments`: the whole command line, the program's name first.
  Program(CLI::App& app, std::vector<std::string> arguments)
      : app_(app), arguments_(std::move(arguments)) {}

  const std::vector<std::string>& arguments() const { return arguments_; }
  const CLI::App& app() const { return app_; }

  // A new subcommand, `run` being its work. `parent` nests it ("model synth").
  CLI::App* Add(const std::string& name, const std::string& help, std::function<int()> run,
                CLI::App* parent = nullptr);
  // A subcommand that only groups others.
  CLI::App* AddGroup(const std::string& name, const std::string& help);

  // Runs what the parsed line asked for.
  int Run() const { return run_ ? run_() : kExitUsage; }

 private:
  std::string FlagOfParent(const CLI::App& command, const CLI::App& parent) const;

  CLI::App& app_;
  std::vector<std::string> arguments_;
  std::function<int()> run_;
};

// The field of errors that a server, a hub or a job answered: the command line was good, so it ran
// and failed, whatever the reason.
inline constexpr const char* kAnswered = "(answer)";

// Says `error` on stderr and gives its exit code: kExitMissedGoal for kAnswered, else its code's.
int Report(const Error& error);

void AddServeCommand(Program& program);
void AddEngineCommand(Program& program);
void AddRelayCommand(Program& program);
void AddBenchCommand(Program& program);
// Below `bench`.
void AddBenchReportCommand(Program& program, CLI::App* bench);
void AddBenchCompareCommand(Program& program, CLI::App* bench);
void AddBenchProveCommand(Program& program, CLI::App* bench);
void AddModelCommand(Program& program);
void AddEndpointCommand(Program& program);
void AddApplyCommand(Program& program);
void AddGroupCommand(Program& program);
void AddKeyCommand(Program& program);
void AddBillingCommand(Program& program);
void AddCompletionCommand(Program& program);
void AddSimulateCommand(Program& program);
void AddSizeCommand(Program& program);
void AddUsageCommand(Program& program);
void AddTopCommand(Program& program);
void AddVersionCommand(Program& program);

}  // namespace penstock::app
