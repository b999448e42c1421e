#include "page/numbers.h"

#include <fmt/format.h>

#include <cmath>
#include <string_view>

namespace penstock::page {
namespace {

std::string WithCommas(std::string digits) {
  const std::size_t first = digits.starts_with('-') ? 1 : 0;
  for (std::size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

}  // namespace

std::string Count(long long value) { return WithCommas(fmt::format("{}", value)); }

std::string Counted(long long value, std::string_view noun) {
  return fmt::format("{} {}{}", Count(value), noun, value == 1 ? "" : "s");
}

std::string Hundredths(double value) {
  const std::string text = fmt::format("{:.2f}", value);
  const std::size_t point = text.find('.');
  if (point == std::string::npos) return text;  // Infinite, or no number.
  return WithCommas(text.substr(0, point)) + text.substr(point);
}

std::string Figure(double value) {
  const double size = std::abs(value);
  if (size < 0.0005) return "0";
  // The borders are where rounding would carry into a fourth significant digit.
  if (size < 0.9995) return fmt::format("{:.3f}", value);
  if (size < 9.995) return fmt::format("{:.2f}", value);
  if (size < 99.95) return fmt::format("{:.1f}", value);
  return Count(std::llround(value));
}

std::string DurationText(double milliseconds) {
  if (milliseconds < 0.9995) return Figure(std::round(milliseconds * 1000)) + " µs";
  if (milliseconds < 999.5) return Figure(milliseconds) + " ms";
  if (milliseconds < 119'500) return Figure(milliseconds / 1000) + " s";
  const long long seconds = std::llround(milliseconds / 1000);
  if (seconds < 7200) return fmt::format("{} min {} s", seconds / 60, seconds % 60);
  return fmt::format("{} h {} min", seconds / 3600, seconds % 3600 / 60);
}

}  // namespace penstock::page
