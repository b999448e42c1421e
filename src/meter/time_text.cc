#include "meter/time_text.h"

#include <fmt/format.h>

#include <charconv>
#include <cstdint>
#include <optional>

namespace penstock::meter {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

// Takes `digits` digits off the front.
std::optional<int> TakeNumber(std::string_view& text, std::size_t digits) {
  int value = 0;
  if (text.size() < digits) return {};
  const char* const end = text.begin() + digits;
  const auto [stop, error] = std::from_chars(text.begin(), end, value);
  if (error != std::errc() || stop != end || text.front() == '-') return {};
  text.remove_prefix(digits);
  return value;
}

bool Take(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

// ":SS" and ".mmm…", where they are there.
std::optional<milliseconds> TakeSeconds(std::string_view& text) {
  milliseconds time{};
  if (!Take(text, ':')) return time;
  const auto second = TakeNumber(text, 2);
  if (!second || *second > 60) return {};
  time += seconds(*second);
  if (!Take(text, '.')) return time;
  int scale = 100;
  bool any = false;
  while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
    time += milliseconds((text.front() - '0') * scale);
    scale /= 10;
    any = true;
    text.remove_prefix(1);
  }
  if (!any) return {};
  return time;
}

// "Z", "+02:00", "-0530", or nothing.
std::optional<minutes> TakeOffset(std::string_view& text) {
  if (text.empty() || Take(text, 'Z') || Take(text, 'z')) return minutes(0);
  const bool west = text.front() == '-';
  if (!Take(text, '+') && !Take(text, '-')) return {};
  const auto hour = TakeNumber(text, 2);
  Take(text, ':');
  const auto minute = TakeNumber(text, 2);
  if (!hour || !minute || *hour > 23 || *minute > 59) return {};
  const minutes offset = hours(*hour) + minutes(*minute);
  return west ? -offset : offset;
}

std::optional<WallTime> ParseIso(std::string_view text) {
  const auto year = TakeNumber(text, 4);
  if (!year || !Take(text, '-')) return {};
  const auto month = TakeNumber(text, 2);
  if (!month || !Take(text, '-')) return {};
  const auto day = TakeNumber(text, 2);
  if (!day) return {};
  const std::chrono::year_month_day date(std::chrono::year(*year),
                                         std::chrono::month(static_cast<unsigned>(*month)),
                                         std::chrono::day(static_cast<unsigned>(*day)));
  if (!date.ok()) return {};
  WallTime time{std::chrono::sys_days(date).time_since_epoch()};
  if (text.empty()) return time;
  if (!Take(text, 'T') && !Take(text, 't') && !Take(text, ' ')) return {};
  const auto hour = TakeNumber(text, 2);
  if (!hour || *hour > 24 || !Take(text, ':')) return {};
  const auto minute = TakeNumber(text, 2);
  if (!minute || *minute > 59) return {};
  const auto rest = TakeSeconds(text);
  if (!rest) return {};
  const auto offset = TakeOffset(text);
  if (!offset || !text.empty()) return {};
  return time + hours(*hour) + minutes(*minute) + *rest - *offset;
}

// "90s", "15m", "2h", "30d".
std::optional<seconds> ParseSpan(std::string_view text) {
  std::int64_t count = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), count);
  constexpr std::int64_t kCountMax = 10'000'000;
  if (error != std::errc() || count < 0 || count > kCountMax) return {};
  const std::string_view unit(stop, static_cast<std::size_t>(text.data() + text.size() - stop));
  if (unit == "s") return seconds(count);
  if (unit == "m") return minutes(count);
  if (unit == "h") return hours(count);
  if (unit == "d") return days(count);
  return {};
}

}  // namespace

std::string FormatTime(WallTime time) {
  const auto day = std::chrono::floor<days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  std::string text =
      fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                  static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                  clock.hours().count(), clock.minutes().count(), clock.seconds().count());
  if (clock.subseconds().count() != 0) text += fmt::format(".{:03}", clock.subseconds().count());
  return text + "Z";
}

Result<WallTime> ParseTime(std::string_view text, WallTime now, std::string_view field) {
  if (text == "now") return now;
  if (const auto span = ParseSpan(text)) return now - *span;
  if (const auto time = ParseIso(text)) return *time;
  return Fail(Code::kInvalidArgument,
              fmt::format("{}: '{}' is no time; write 2026-11-25T15:00:00Z, now, or how long ago: "
                          "90s, 15m, 2h, 30d",
                          field, text.substr(0, 64)),
              std::string(field));
}

Result<seconds> ParsePeriod(std::string_view text, std::string_view field) {
  const auto bad = [&] {
    return Fail(
        Code::kInvalidArgument,
        fmt::format("{}: '{}' is no period; write PT1M, PT1H, P1D", field, text.substr(0, 64)),
        std::string(field));
  };
  std::string_view rest = text;
  seconds total{};
  if (!Take(rest, 'P')) return bad();
  bool in_day = false;
  while (!rest.empty()) {
    if (!in_day && Take(rest, 'T')) {
      in_day = true;
      continue;
    }
    std::int64_t count = 0;
    const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
    constexpr std::int64_t kCountMax = 1'000'000;
    if (error != std::errc() || count < 0 || count > kCountMax) return bad();
    rest.remove_prefix(static_cast<std::size_t>(stop - rest.data()));
    if (!in_day && Take(rest, 'D')) {
      total += days(count);
    } else if (in_day && Take(rest, 'H')) {
      total += hours(count);
    } else if (in_day && Take(rest, 'M')) {
      total += minutes(count);
    } else if (in_day && Take(rest, 'S')) {
      total += seconds(count);
    } else {
      return bad();
    }
  }
  if (total.count() <= 0) return bad();
  return total;
}

std::string FormatPeriod(seconds period) {
  const auto count = std::chrono::duration_cast<minutes>(period).count();
  if (count % (24 * 60) == 0) return fmt::format("P{}D", count / (24 * 60));
  if (count % 60 == 0) return fmt::format("PT{}H", count / 60);
  return fmt::format("PT{}M", count);
}

}  // namespace penstock::meter
