// Ranges of numbers, digit by digit.
#include "api/number_grammar.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace penstock::internal {
namespace {

constexpr std::string_view kPlaces = "(\".\" [0-9]{1,15})?";

std::string Digits(std::size_t count) {
  if (count == 0) return {};
  return count == 1 ? " [0-9]" : fmt::format(" [0-9]{{{}}}", count);
}

std::string OneOf(char low, char high) {
  return low == high ? fmt::format("\"{}\"", low) : fmt::format("[{}-{}]", low, high);
}

// Adds alternatives for the texts between two of one length: what they have in common first, then
// the lowest first digit with what is above the rest of `low`, those between with anything, the
// highest with what is below the rest of `high`.
void AddSameLength(const std::string& before, std::string_view low, std::string_view high,
                   std::vector<std::string>& out) {
  const auto after = [&](const std::string& text) {
    return before.empty() ? text : before + " " + text;
  };
  if (low.empty()) return out.push_back(before);
  const std::size_t rest = low.size() - 1;
  const bool whole_low = low.substr(1).find_first_not_of('0') == std::string_view::npos;
  const bool whole_high = high.substr(1).find_first_not_of('9') == std::string_view::npos;
  if (whole_low && whole_high) return out.push_back(after(OneOf(low[0], high[0])) + Digits(rest));
  if (low[0] == high[0]) {
    return AddSameLength(after(OneOf(low[0], low[0])), low.substr(1), high.substr(1), out);
  }
  char from = low[0];
  char to = high[0];
  if (!whole_low) {
    AddSameLength(after(OneOf(low[0], low[0])), low.substr(1), std::string(rest, '9'), out);
    ++from;
  }
  if (!whole_high) --to;
  if (from <= to) out.push_back(after(OneOf(from, to)) + Digits(rest));
  if (!whole_high) {
    AddSameLength(after(OneOf(high[0], high[0])), std::string(rest, '0'), high.substr(1), out);
  }
}

// Texts of the integers in [low, high], both at least 0.
std::string Magnitudes(std::int64_t low, std::int64_t high) {
  std::vector<std::string> out;
  const std::string last = std::to_string(high);
  for (std::string first = std::to_string(low); first.size() <= last.size();
       first = "1" + std::string(first.size(), '0')) {
    const bool longest = first.size() == last.size();
    AddSameLength("", first, longest ? last : std::string(first.size(), '9'), out);
  }
  return fmt::format("({})", fmt::join(out, " | "));
}

void Join(std::string& out, const std::string& alternative) {
  if (!out.empty()) out += " | ";
  out += alternative;
}

}  // namespace

std::string GrammarOfIntegers(std::optional<std::int64_t> low, std::optional<std::int64_t> high) {
  const std::int64_t least = low.value_or(-kIntegerMax);
  const std::int64_t most = high.value_or(kIntegerMax);
  std::string out;
  if (least < 0) Join(out, "\"-\" " + Magnitudes(std::max<std::int64_t>(-most, 1), -least));
  if (most >= 0) Join(out, Magnitudes(std::max<std::int64_t>(least, 0), most));
  return "(" + out + ")";
}

std::string GrammarOfNumbers(std::optional<std::int64_t> low, std::optional<std::int64_t> high) {
  if (!low && !high) {
    return fmt::format("(\"-\"? (\"0\" | [1-9] [0-9]{{0,14}}) {} ([eE] [+-]? [0-9]{{1,2}})?)",
                       kPlaces);
  }
  const std::int64_t least = low.value_or(-kIntegerMax);
  const std::int64_t most = high.value_or(kIntegerMax);
  std::string out;
  // Away from zero a fraction must not lead over the bound: there the bound stands alone.
  const auto add = [&out](std::string_view sign, std::int64_t near, std::int64_t far) {
    if (far > near) Join(out, fmt::format("{}{} {}", sign, Magnitudes(near, far - 1), kPlaces));
    Join(out, fmt::format("{}\"{}\"", sign, far));
  };
  if (least < 0) add("\"-\" ", std::max<std::int64_t>(-most, 0), -least);
  if (most >= 0) add("", std::max<std::int64_t>(least, 0), most);
  return "(" + out + ")";
}

}  // namespace penstock::internal
