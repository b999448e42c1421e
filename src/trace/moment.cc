#include "trace/moment.h"

#include <charconv>
#include <chrono>
#include <cmath>

#include "trace/trace.h"

namespace penstock::trace {
namespace {

// Far from the ends of 64 bits, so that differences of times fit, too.
constexpr std::int64_t kMomentMaxNs = 4'000'000'000'000'000'000;

// Reads exactly `count` digits off the front.
std::optional<int> TakeDigits(std::string_view& text, std::size_t count) {
  if (text.size() < count) return std::nullopt;
  int value = 0;
  for (const char digit : text.substr(0, count)) {
    if (digit < '0' || digit > '9') return std::nullopt;
    value = value * 10 + (digit - '0');
  }
  text.remove_prefix(count);
  return value;
}

bool Take(std::string_view& text, std::string_view any_of) {
  if (text.empty() || any_of.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

// ".123" → 123,000,000; nothing → 0.
std::optional<std::int64_t> TakeFraction(std::string_view& text) {
  if (!Take(text, ".")) return 0;
  std::int64_t value = 0;
  std::size_t digits = 0;
  for (; digits < text.size() && text[digits] >= '0' && text[digits] <= '9'; ++digits) {
    if (digits < 9) value = value * 10 + (text[digits] - '0');
  }
  if (digits == 0) return std::nullopt;
  for (std::size_t i = digits; i < 9; ++i) value *= 10;
  text.remove_prefix(digits);
  return value;
}

// "Z", "+02:00" or nothing, in seconds east of Greenwich.
std::optional<int> TakeZone(std::string_view& text) {
  if (text.empty() || Take(text, "Z")) return 0;
  const int sign = text.front() == '-' ? -1 : 1;
  if (!Take(text, "+-")) return std::nullopt;
  const auto hours = TakeDigits(text, 2);
  static_cast<void>(Take(text, ":"));
  const auto minutes = TakeDigits(text, 2);
  if (!hours || !minutes || *hours > 23 || *minutes > 59) return std::nullopt;
  return sign * (*hours * 3600 + *minutes * 60);
}

std::optional<std::int64_t> ParseCalendar(std::string_view text) {
  const auto year = TakeDigits(text, 4);
  if (!year || !Take(text, "-")) return std::nullopt;
  const auto month = TakeDigits(text, 2);
  if (!month || !Take(text, "-")) return std::nullopt;
  const auto day = TakeDigits(text, 2);
  if (!day || !Take(text, "T ")) return std::nullopt;
  const auto hour = TakeDigits(text, 2);
  if (!hour || !Take(text, ":")) return std::nullopt;
  const auto minute = TakeDigits(text, 2);
  if (!minute || !Take(text, ":")) return std::nullopt;
  const auto second = TakeDigits(text, 2);
  if (!second || *hour > 23 || *minute > 59 || *second > 60) return std::nullopt;
  const auto fraction = TakeFraction(text);
  if (!fraction) return std::nullopt;
  const auto zone = TakeZone(text);
  if (!zone || !text.empty()) return std::nullopt;
  const std::chrono::year_month_day date{std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day))};
  // Beyond, they would pass kMomentMaxNs.
  if (!date.ok() || *year < 1900 || *year > 2090) return std::nullopt;
  const std::int64_t days = std::chrono::sys_days(date).time_since_epoch().count();
  const std::int64_t seconds = days * 86'400 + *hour * 3600 + *minute * 60 + *second - *zone;
  return seconds * kNanosecondsPerSecond + *fraction;
}

}  // namespace

std::optional<std::int64_t> ParseMoment(std::string_view text, std::int64_t unit_ns) {
  if (const auto calendar = ParseCalendar(text)) return calendar;
  std::int64_t whole = 0;
  const char* const end = text.data() + text.size();
  const auto as_whole = std::from_chars(text.data(), end, whole);
  if (as_whole.ec == std::errc() && as_whole.ptr == end) {
    std::int64_t product = 0;
    if (__builtin_mul_overflow(whole, unit_ns, &product)) return std::nullopt;
    if (product > kMomentMaxNs || product < -kMomentMaxNs) return std::nullopt;
    return product;
  }
  double number = 0;
  const auto as_number = std::from_chars(text.data(), end, number);
  if (as_number.ec != std::errc() || as_number.ptr != end) return std::nullopt;
  const double nanoseconds = number * static_cast<double>(unit_ns);
  if (!(std::abs(nanoseconds) < static_cast<double>(kMomentMaxNs))) return std::nullopt;
  return std::llround(nanoseconds);
}

}  // namespace penstock::trace
