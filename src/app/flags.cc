#include "app/flags.h"

#include <yaml-cpp/yaml.h>

#include <cctype>
#include <cstdlib>
#include <sstream>

namespace penstock::app {

std::string EnvironmentName(const std::string& flag) {
  std::string name = "PENSTOCK_";
  for (const char c : flag.substr(flag.find_first_not_of('-'))) {
    name += c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return name;
}

CLI::Option* AddSwitch(CLI::App& command, const std::string& flag, bool& value,
                       const std::string& help) {
  const std::string name = flag.substr(2);
  return command.add_flag("--" + name + ",!--no-" + name, value, help)
      ->envname(EnvironmentName(flag));
}

namespace {

CLI::ConfigItem Item(const std::vector<std::string>& parents, const std::string& name,
                     const YAML::Node& value) {
  CLI::ConfigItem item;
  item.parents = parents;
  item.name = name;
  if (value.IsSequence()) {
    for (const YAML::Node& element : value) item.inputs.push_back(element.as<std::string>());
  } else if (!value.IsScalar()) {
    throw CLI::FileError("config file: '" + name + "' must be a value or a list of values");
  } else {
    item.inputs.push_back(value.as<std::string>());
  }
  return item;
}

}  // namespace

std::vector<CLI::ConfigItem> YamlConfig::from_config(std::istream& input) const {
  std::vector<CLI::ConfigItem> items;
  try {
    const YAML::Node root = YAML::Load(input);
    if (!root.IsMap() && !root.IsNull())
      throw CLI::FileError("config file: expected 'command: {flag: value}'");
    for (const auto& section : root) {
      const auto command = section.first.as<std::string>();
      if (!section.second.IsMap()) {
        throw CLI::FileError("config file: '" + command + "' must hold 'flag: value' lines");
      }
      for (const auto& line : section.second) {
        const auto name = line.first.as<std::string>();
        if (std::getenv(EnvironmentName(name).c_str()) != nullptr) continue;
        items.push_back(Item({command}, name, line.second));
      }
    }
  } catch (const YAML::Exception& exception) {
    throw CLI::FileError(std::string("config file: not YAML: ") + exception.what());
  }
  return items;
}

}  // namespace penstock::app
