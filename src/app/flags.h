// Flags: one table for the command line, the environment and the YAML file.
//
// `--queue-wait-max-ms` of `serve` is also PENSTOCK_QUEUE_WAIT_MAX_MS and, in the file,
// `queue-wait-max-ms` under the subcommand's name. In this order of strength. Other subcommands'
// names stand in the variable's: PENSTOCK_ENGINE_MODEL.
#pragma once

#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace penstock::app {

// PENSTOCK_, the subcommand's name but for `serve`, and the flag's, in capitals. What says where a
// server is, and how one of ours is reached, has one name for all: --server, --api-key, --data-dir,
// --agent-key.
std::string EnvironmentName(const CLI::App& command, const std::string& flag);

template <typename T>
struct ElementOf {
  using Type = T;
};
template <typename T>
struct ElementOf<std::vector<T>> {
  using Type = T;
};

// What is wrong with `text` as a number; "" if nothing.
template <typename T>
std::string CheckNumber(std::string& text) {
  T number{};
  if (CLI::detail::lexical_cast(text, number)) return {};
  if constexpr (std::is_floating_point_v<T>) return fmt::format("must be a number, got '{}'", text);
  return fmt::format("must be a whole number from {} to {}, got '{}'",
                     std::numeric_limits<T>::min(), std::numeric_limits<T>::max(), text);
}

// Binds `flag` ("--listen") to `value`, whose present content is the default that --help shows.
template <typename T>
CLI::Option* AddFlag(CLI::App& command, const std::string& flag, T& value,
                     const std::string& help) {
  CLI::Option* option = command.add_option(flag, value, help)
                            ->envname(EnvironmentName(command, flag))
                            ->capture_default_str();
  using Element = typename ElementOf<T>::Type;
  if constexpr (std::is_arithmetic_v<Element> && !std::is_same_v<Element, bool>) {
    option->check(CLI::Validator(CheckNumber<Element>, "", ""));
  }
  return option;
}

// A switch: `--wait`, `--no-wait`; its help says which one is the default. What a command prints
// and asks (--json, --yes, --prune, --wait, --replace) is for the line alone: no variable sets it.
CLI::Option* AddSwitch(CLI::App& command, const std::string& flag, bool& value,
                       const std::string& help);

// --help without CLI11's own words for switches.
class HelpFormatter : public CLI::Formatter {
 public:
  std::string make_option_name(const CLI::Option* option, bool is_positional) const override;
};

// Reads a YAML file of `subcommand: {flag: value}`; what the environment sets is left out. Refuses
// what `app` has no flag for.
class YamlConfig : public CLI::Config {
 public:
  // `app` is borrowed and outlives this.
  explicit YamlConfig(const CLI::App& app) : app_(app) {}
  std::vector<CLI::ConfigItem> from_config(std::istream& input) const override;
  // Not offered: the reference is --help.
  std::string to_config(const CLI::App*, bool, bool, std::string) const override { return {}; }

 private:
  const CLI::App& app_;
};

}  // namespace penstock::app
