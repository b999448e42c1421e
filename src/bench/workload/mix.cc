#include "bench/workload/mix.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>

namespace penstock::bench {
namespace {

// Shapes after the published ones: Databricks' reference, Azure's conversation and code traces,
// ShareGPT, and retrieval with four to eight passages.
struct Preset {
  std::string_view name;
  std::string_view input;
  std::string_view output;
  double prefix_share;
  int prefix_tokens;
  std::string_view turns;
};
constexpr Preset kPresets[] = {
    {"reference", "2048", "256", 0, 0, "1"},
    {"chat", "lognormal:180,0.9", "lognormal:220,0.7", 1, 256, "uniform:1-5"},
    {"rag", "lognormal:3000,0.4", "lognormal:250,0.5", 1, 400, "1"},
    {"summarise", "lognormal:4000,0.6", "normal:256,64", 0, 0, "1"},
    {"write", "lognormal:120,0.5", "lognormal:900,0.5", 0, 0, "1"},
    {"code", "lognormal:2000,0.8", "lognormal:64,1", 0.5, 1024, "1"},
    {"embed", "lognormal:256,0.6", "1", 0, 0, "1"},
};

std::optional<double> NumberOf(std::string_view text) {
  double number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (!std::isfinite(number)) return std::nullopt;
  return number;
}

WorkloadPart PartOfPreset(const Preset& preset) {
  return {.name = std::string(preset.name),
          .input = *Lengths::Parse(preset.input, "input-tokens"),
          .output = *Lengths::Parse(preset.output, "output-tokens"),
          .prefix_share = preset.prefix_share,
          .prefix_tokens = preset.prefix_tokens,
          .turns = *Lengths::Parse(preset.turns, "turns")};
}

}  // namespace

std::string Mix::Presets() {
  std::string names;
  for (const Preset& preset : kPresets) {
    names += names.empty() ? "" : ", ";
    names += preset.name;
  }
  return names;
}

Result<Mix> Mix::Parse(std::string_view text) {
  Mix mix;
  if (text.empty()) text = "reference";
  while (!text.empty()) {
    const std::string_view item = text.substr(0, text.find(','));
    text.remove_prefix(std::min(item.size() + 1, text.size()));
    const auto equals = item.find('=');
    const std::string_view name = item.substr(0, equals);
    const auto preset = std::ranges::find(kPresets, name, &Preset::name);
    if (preset == std::end(kPresets)) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("workload '{}' is not known; there are {}", name, Presets()),
                  "workload");
    }
    WorkloadPart part = PartOfPreset(*preset);
    if (equals != std::string_view::npos) {
      const auto weight = NumberOf(item.substr(equals + 1));
      if (!weight || *weight <= 0 || *weight > 1e6) {
        return Fail(
            Code::kInvalidArgument,
            fmt::format("workload '{}': the weight must be above 0 and at most 1000000", item),
            "workload");
      }
      part.weight = *weight;
    }
    mix.parts.push_back(std::move(part));
  }
  return mix;
}

bool Mix::IsUniform() const {
  const WorkloadPart& part = parts.front();
  return parts.size() == 1 && part.input.fixed() > 0 && part.output.fixed() > 0 &&
         part.prefix_share <= 0 && part.turns.fixed() == 1 && part.data == nullptr;
}

Status SetPrefix(std::string_view text, Mix& mix) {
  std::vector<double> numbers;
  for (std::string_view rest = text; !rest.empty();) {
    const std::string_view item = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(item.size() + 1, rest.size()));
    const auto number = NumberOf(item);
    if (!number) break;
    numbers.push_back(*number);
  }
  const auto whole = [](double value, double most) {
    return value >= 1 && value <= most && value == std::floor(value);
  };
  const bool good = (numbers.size() == 2 || numbers.size() == 3) && numbers[0] >= 0 &&
                    numbers[0] <= 1 && whole(numbers[1], 1'000'000) &&
                    (numbers.size() == 2 || whole(numbers[2], 1'000'000)) &&
                    std::ranges::count(text, ':') + 1 == std::ssize(numbers);
  if (!good) {
    return Fail(Code::kInvalidArgument,
                fmt::format("prefix is '{}', it must be SHARE:TOKENS or SHARE:TOKENS:COUNT with a "
                            "share from 0 to 1, as 0.5:1024:8",
                            text),
                "prefix");
  }
  for (WorkloadPart& part : mix.parts) {
    part.prefix_share = numbers[0];
    part.prefix_tokens = static_cast<int>(numbers[1]);
    part.prefixes = numbers.size() == 3 ? static_cast<int>(numbers[2]) : 1;
  }
  return {};
}

}  // namespace penstock::bench
