#include "plan/prices.h"

#include <yaml-cpp/yaml.h>

#include <array>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace penstock::plan {

Result<Prices> ParsePrices(const std::string& yaml) {
  Prices prices;
  const std::array<std::pair<const char*, std::optional<double>*>, 4> fields = {
      {{"ptu_global", &prices.ptu_global},
       {"ptu_regional", &prices.ptu_regional},
       {"chunk", &prices.chunk},
       {"replica", &prices.replica}}};
  try {
    const YAML::Node root = YAML::Load(yaml);
    if (!root.IsMap() || !root["per_hour"] || !root["per_hour"].IsMap()) {
      return Fail(Code::kInvalidArgument, "the price file has no mapping 'per_hour'", "per_hour");
    }
    if (root["currency"]) prices.currency = root["currency"].as<std::string>();
    for (const auto& entry : root["per_hour"]) {
      const std::string name = entry.first.as<std::string>();
      const auto* const field = std::ranges::find(
          fields, name, [](const auto& known) { return std::string(known.first); });
      double value = 0;
      if (field == fields.end() || !YAML::convert<double>::decode(entry.second, value) ||
          !std::isfinite(value) || value < 0) {
        return Fail(
            Code::kInvalidArgument,
            fmt::format("per_hour.{}: known are ptu_global, ptu_regional, chunk and replica, "
                        "each a number, not negative",
                        name),
            name);
      }
      *field->second = value;
    }
    return prices;
  } catch (const YAML::Exception& exception) {
    return Fail(Code::kInvalidArgument,
                fmt::format("the price file is not YAML: {}", exception.what()));
  }
}

}  // namespace penstock::plan
