#include "trace/columns.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <initializer_list>

#include "trace/trace.h"

namespace penstock::trace {
namespace {

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return lower;
}

struct Wanted {
  std::string_view what;
  const std::string& name;
  std::initializer_list<std::string_view> usual;
};

Result<std::size_t> Find(std::span<const std::string> header, const Wanted& wanted) {
  const auto is = [&wanted](const std::string& column) {
    if (!wanted.name.empty()) return column == wanted.name;
    return std::ranges::find(wanted.usual, std::string_view(Lower(column))) != wanted.usual.end();
  };
  const auto found = std::ranges::find_if(header, is);
  if (found != header.end()) return static_cast<std::size_t>(found - header.begin());
  const std::string name = wanted.name.empty() ? std::string(wanted.what) : wanted.name;
  return FailAt(
      1, name,
      fmt::format("there is none for {}; the columns are: {}", wanted.what,
                  fmt::join(header.first(std::min<std::size_t>(header.size(), 20)), ", ")));
}

std::optional<std::int64_t> UnitNs(std::string_view unit) {
  if (unit == "s") return kNanosecondsPerSecond;
  if (unit == "ms") return 1'000'000;
  if (unit == "us") return 1'000;
  if (unit == "ns") return 1;
  return std::nullopt;
}

}  // namespace

Result<ColumnNames> ColumnNames::Parse(std::string_view text) {
  ColumnNames names;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    const auto equals = part.find('=');
    const std::string_view key = part.substr(0, equals);
    const std::string_view value =
        equals == std::string_view::npos ? std::string_view() : part.substr(equals + 1);
    if (value.empty()) {
      return Fail(Code::kInvalidArgument,
                  fmt::format("trace-columns: '{}' must be NAME=COLUMN", part), "trace-columns");
    }
    if (key == "time") {
      names.time = value;
    } else if (key == "input") {
      names.input = value;
    } else if (key == "output") {
      names.output = value;
    } else if (key == "blocks") {
      names.blocks = value;
    } else if (key == "unit") {
      const auto unit = UnitNs(value);
      if (!unit) {
        return Fail(Code::kInvalidArgument,
                    fmt::format("trace-columns: unit is '{}', it must be s, ms, us or ns", value),
                    "trace-columns");
      }
      names.time_unit_ns = *unit;
    } else {
      return Fail(
          Code::kInvalidArgument,
          fmt::format("trace-columns: '{}' must be one of time, input, output, blocks, unit", key),
          "trace-columns");
    }
  }
  return names;
}

Result<ColumnPlaces> FindColumns(std::span<const std::string> header, const ColumnNames& names) {
  const auto time = Find(
      header, {.what = "time",
               .name = names.time,
               .usual = {"timestamp", "time", "arrival_time", "arrived_at", "start_time", "at"}});
  if (!time) return Fail(time.error());
  const auto input =
      Find(header, {.what = "input",
                    .name = names.input,
                    .usual = {"contexttokens", "request tokens", "input_tokens", "input_length",
                              "prompt_tokens", "num_prefill_tokens", "input", "prompt_len"}});
  if (!input) return Fail(input.error());
  const auto output = Find(
      header, {.what = "output",
               .name = names.output,
               .usual = {"generatedtokens", "response tokens", "output_tokens", "output_length",
                         "completion_tokens", "num_decode_tokens", "output", "output_len"}});
  if (!output) return Fail(output.error());
  return ColumnPlaces{.time = *time, .input = *input, .output = *output};
}

std::string_view FormatOfHeader(std::span<const std::string> header) {
  const auto has = [header](std::string_view name) {
    return std::ranges::find(header, name) != header.end();
  };
  if (has("ContextTokens") && has("GeneratedTokens")) return "azure";
  if (has("Request tokens") && has("Response tokens")) return "burstgpt";
  return "table";
}

std::optional<int> ParseTokens(std::string_view text) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, number);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  if (!(number >= 0 && number <= static_cast<double>(kTokensMax)) || number != std::floor(number)) {
    return std::nullopt;
  }
  return static_cast<int>(number);
}

}  // namespace penstock::trace
