// Flags: one table for the command line, the environment and the YAML file.
//
// `--queue-wait-max-ms` is also PENSTOCK_QUEUE_WAIT_MAX_MS and, in the file, `queue-wait-max-ms`
// under the subcommand's name. In this order of strength.
#pragma once

#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace penstock::app {

// PENSTOCK_ and the flag's name in capitals.
std::string EnvironmentName(const std::string& flag);

// Binds `flag` ("--listen") to `value`, whose present content is the default that --help shows.
template <typename T>
CLI::Option* AddFlag(CLI::App& command, const std::string& flag, T& value,
                     const std::string& help) {
  return command.add_option(flag, value, help)
      ->envname(EnvironmentName(flag))
      ->capture_default_str();
}

// A switch: `--json`, `--no-json`.
CLI::Option* AddSwitch(CLI::App& command, const std::string& flag, bool& value,
                       const std::string& help);

// Reads a YAML file of `subcommand: {flag: value}`; what the environment sets is left out.
class YamlConfig : public CLI::Config {
 public:
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override;
  // Not offered: the reference is --help.
  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return {}; }
};

}  // namespace penstock::app
