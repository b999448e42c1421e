#include "app/flags.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <sstream>
#include <string_view>

namespace penstock::app {

namespace {

constexpr std::array<std::string_view, 4> kOfAll = {"--server", "--api-key", "--data-dir",
                                                    "--agent-key"};
constexpr std::array<std::string_view, 5> kOfTheLine = {"--json", "--yes", "--prune", "--wait",
                                                        "--replace"};

void Append(std::string_view text, std::string& name) {
  for (const char c : text) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
}

}  // namespace

std::string EnvironmentName(const CLI::App& command, const std::string& flag) {
  std::string name;
  Append(flag.substr(flag.find_first_not_of('-')), name);
  if (std::ranges::find(kOfAll, flag) != kOfAll.end()) return "PENSTOCK_" + name;
  for (const CLI::App* app = &command; app->get_parent() != nullptr; app = app->get_parent()) {
    if (app->get_name() == "serve") break;
    std::string scope;
    Append(app->get_name(), scope);
    name.insert(0, scope + "_");
  }
  return "PENSTOCK_" + name;
}

CLI::Option* AddSwitch(CLI::App& command, const std::string& flag, bool& value,
                       const std::string& help) {
  const std::string name = flag.substr(2);
  CLI::Option* option = command.add_flag("--" + name + ",!--no-" + name, value,
                                         value ? help + " (default: --" + name + ")" : help);
  if (std::ranges::find(kOfTheLine, flag) == kOfTheLine.end()) {
    option->envname(EnvironmentName(command, flag));
  }
  return option;
}

std::string HelpFormatter::make_option_name(const CLI::Option* option, bool is_positional) const {
  std::string name = CLI::Formatter::make_option_name(option, is_positional);
  constexpr std::string_view kOff = "{false}";
  if (const std::size_t at = name.find(kOff); at != std::string::npos) name.erase(at, kOff.size());
  return name;
}

namespace {

CLI::ConfigItem Item(const std::string& file, const std::vector<std::string>& parents,
                     const std::string& name, const YAML::Node& value) {
  CLI::ConfigItem item;
  item.parents = parents;
  item.name = name;
  if (value.IsSequence()) {
    for (const YAML::Node& element : value) item.inputs.push_back(element.as<std::string>());
  } else if (!value.IsScalar()) {
    throw CLI::FileError(
        fmt::format("{}: {}.{} must be a value or a list of values", file, parents.front(), name));
  } else {
    item.inputs.push_back(value.as<std::string>());
  }
  return item;
}

const CLI::App* SubcommandOf(const CLI::App& app, const std::string& name) {
  for (const CLI::App* const one : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (one->get_name() == name) return one;
  }
  return nullptr;
}

std::vector<CLI::ConfigItem> ReadItems(const CLI::App& app, const std::string& file,
                                       const YAML::Node& root) {
  std::vector<CLI::ConfigItem> items;
  if (!root.IsMap() && !root.IsNull()) {
    throw CLI::FileError(file + ": expected 'subcommand: {flag: value}'");
  }
  for (const auto& section : root) {
    const auto name = section.first.as<std::string>();
    const CLI::App* const command = SubcommandOf(app, name);
    if (command == nullptr) {
      throw CLI::FileError(fmt::format("{}: '{}' is not a subcommand of penstock", file, name));
    }
    if (!section.second.IsMap()) {
      throw CLI::FileError(fmt::format("{}: '{}' must hold 'flag: value' lines", file, name));
    }
    for (const auto& line : section.second) {
      const auto flag = line.first.as<std::string>();
      const CLI::Option* const option = command->get_option_no_throw("--" + flag);
      if (option == nullptr) {
        throw CLI::FileError(
            fmt::format("{}: '{}' is not a flag of penstock {}", file, flag, name));
      }
      const std::string variable = option->get_envname();
      if (!variable.empty() && std::getenv(variable.c_str()) != nullptr) continue;
      items.push_back(Item(file, {name}, flag, line.second));
    }
  }
  return items;
}

}  // namespace

std::vector<CLI::ConfigItem> YamlConfig::from_config(std::istream& input) const {
  const CLI::Option* const given = app_.get_config_ptr();
  const std::string file =
      "--config " + (given == nullptr || given->results().empty() ? "" : given->results().back());
  try {
    return ReadItems(app_, file, YAML::Load(input));
  } catch (const YAML::Exception& exception) {
    throw CLI::FileError(fmt::format("{}: not YAML: {}", file, exception.what()));
  }
}

}  // namespace penstock::app
