#include "plan/usage_fields.h"

#include <simdjson.h>

#include <charconv>
#include <cmath>
#include <initializer_list>

#include "plan/table_reader.h"
#include "trace/moment.h"

namespace penstock::plan {
namespace {

struct UsualName {
  std::string_view name;
  UsageField field;
};

// APIs, our ledger, Databricks' endpoint_usage, Azure's and Mooncake's traces, our load test.
constexpr UsualName kUsualNames[] = {
    {"created", UsageField::kTime},
    {"timestamp", UsageField::kTime},
    {"time", UsageField::kTime},
    {"request_time", UsageField::kTime},
    {"ended_at", UsageField::kTime},
    {"scheduled_ns", UsageField::kTime},
    {"prompt_tokens", UsageField::kInput},
    {"input_tokens", UsageField::kInput},
    {"input_token_count", UsageField::kInput},
    {"contexttokens", UsageField::kInput},
    {"input_length", UsageField::kInputLength},
    {"request tokens", UsageField::kInput},
    {"completion_tokens", UsageField::kOutput},
    {"output_tokens", UsageField::kOutput},
    {"output_token_count", UsageField::kOutput},
    {"generatedtokens", UsageField::kOutput},
    {"output_length", UsageField::kOutput},
    {"response tokens", UsageField::kOutput},
    {"cached_tokens", UsageField::kCached},
    {"cached_input_tokens", UsageField::kCached},
    {"endpoint", UsageField::kKey},
    {"endpoint_name", UsageField::kKey},
    {"deployment", UsageField::kKey},
    {"served_entity_id", UsageField::kKey},
    {"model", UsageField::kKey},
};

constexpr std::int64_t kTokensMax = 1'000'000'000'000;

std::optional<std::int64_t> ParseCount(std::string_view text) {
  std::int64_t whole = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, whole);
  if (read.ec == std::errc() && read.ptr == end) {
    return whole >= 0 && whole <= kTokensMax ? std::optional(whole) : std::nullopt;
  }
  double number = 0;  // "374.0" is a count, too.
  const auto as_number = std::from_chars(text.data(), end, number);
  if (as_number.ec != std::errc() || as_number.ptr != end || number < 0 || number > 1e12 ||
      number != std::floor(number)) {
    return std::nullopt;
  }
  return static_cast<std::int64_t>(number);
}

// A zone at the end of a calendar time: "Z", or a sign after the day's part.
bool NamesZone(std::string_view text) {
  return text.ends_with('Z') || text.find_first_of("+-", 10) != std::string_view::npos;
}

constexpr double kBareMax = 1e11;  // As seconds: the year 5138.

std::optional<std::int64_t> ParseSeconds(std::string_view text, const UsageColumns& columns,
                                         bool& bare) {
  double number = 0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, number);
  if (read.ec == std::errc() && read.ptr == end && std::isfinite(number)) {
    bare = columns.time_unit_ns == 0 && std::abs(number) < kBareMax;
    if (columns.time_unit_ns == 0) return SecondsBySize(number);
    return static_cast<std::int64_t>(
        std::floor(number * static_cast<double>(columns.time_unit_ns) / 1e9));
  }
  const auto moment = trace::ParseMoment(text, 1);
  if (!moment) return std::nullopt;
  const std::int64_t seconds = *moment / 1'000'000'000;
  return NamesZone(text) ? seconds : seconds - columns.zone_offset_s;
}

}  // namespace

std::int64_t SecondsBySize(double number) {
  const double size = std::abs(number);
  const double divisor = size < kBareMax ? 1 : size < 1e14 ? 1e3 : size < 1e17 ? 1e6 : 1e9;
  return static_cast<std::int64_t>(std::floor(number / divisor));
}

std::string_view Name(UsageField field) {
  constexpr std::array<std::string_view, kUsageFields> kNames = {"time",   "input", "output",
                                                                 "cached", "key",   "input"};
  return kNames[static_cast<std::size_t>(field)];
}

std::optional<UsageField> FieldOf(std::string_view name, const UsageColumns& columns) {
  const std::array<const std::string*, kUsageFields> given = {&columns.time,   &columns.input,
                                                              &columns.output, &columns.cached,
                                                              &columns.key,    &columns.input};
  for (std::size_t i = 0; i < kUsageFields; ++i) {
    if (!given[i]->empty() && *given[i] == name) return static_cast<UsageField>(i);
  }
  for (const UsualName& usual : kUsualNames) {
    if (!EqualIgnoringCase(usual.name, name)) continue;
    // A name that was given takes its field from the usual ones.
    if (!given[static_cast<std::size_t>(usual.field)]->empty()) return std::nullopt;
    return usual.field;
  }
  return std::nullopt;
}

bool SetField(UsageField field, std::string_view text, const UsageColumns& columns, UsageRow& row) {
  switch (field) {
    case UsageField::kTime:
      row.at_s = ParseSeconds(text, columns, row.time_is_bare);
      return row.at_s.has_value();
    case UsageField::kInputLength:
      row.in_milliseconds = true;
      [[fallthrough]];
    case UsageField::kInput:
      row.input = ParseCount(text);
      return row.input.has_value();
    case UsageField::kOutput:
      row.output = ParseCount(text);
      return row.output.has_value();
    case UsageField::kCached: {
      const auto count = ParseCount(text);
      row.cached = count.value_or(0);
      return count.has_value();
    }
    case UsageField::kKey:
      // The first column that names something wins: an endpoint before its model.
      if (row.key.empty()) row.key = text;
      return true;
  }
  return false;
}

struct JsonRows::Parser {
  explicit Parser(const UsageColumns& columns_in) : columns(columns_in) {}

  const UsageColumns& columns;
  simdjson::ondemand::parser json;
  // Lines have the same members in the same order, mostly: what each meant the last time.
  static constexpr std::size_t kKnownMax = 64;
  static constexpr std::size_t kKnownBytesMax = 128;  // Of a name; longer ones mean nothing usual.
  struct Known {
    std::string name;
    std::optional<UsageField> field;
  };
  std::vector<Known> known;
  std::size_t place = 0;  // Of the line's next member.

  std::optional<UsageField> Meaning(std::string_view key) {
    if (place == kKnownMax || key.size() > kKnownBytesMax) return FieldOf(key, columns);
    if (place == known.size()) known.push_back({std::string(key), FieldOf(key, columns)});
    Known& here = known[place++];
    if (here.name != key) here = {std::string(key), FieldOf(key, columns)};
    return here.field;
  }

  // Objects that hold what we look for; `depth` bounds them.
  std::string ReadObject(simdjson::ondemand::object object, UsageRow& row, int depth) {
    for (auto member : object) {
      std::string_view key;
      if (member.unescaped_key().get(key) != simdjson::SUCCESS) return "is not JSON";
      simdjson::ondemand::value value;
      if (member.value().get(value) != simdjson::SUCCESS) return "is not JSON";
      if (std::string wrong = ReadMember(key, value, row, depth); !wrong.empty()) return wrong;
    }
    return {};
  }

  std::string ReadMember(std::string_view key, simdjson::ondemand::value value, UsageRow& row,
                         int depth) {
    constexpr int kDepthMax = 4;
    simdjson::ondemand::json_type type{};
    if (value.type().get(type) != simdjson::SUCCESS) return "is not JSON";
    if (type == simdjson::ondemand::json_type::object) {
      const bool holds = key == "usage" || key == "body" || key == "response" ||
                         key == "prompt_tokens_details" || key == "input_tokens_details";
      simdjson::ondemand::object object;
      if (!holds || depth == kDepthMax) return {};
      if (value.get_object().get(object) != simdjson::SUCCESS) return "is not JSON";
      return ReadObject(object, row, depth + 1);
    }
    const auto field = Meaning(key);
    if (!field || type == simdjson::ondemand::json_type::null) return {};
    std::string_view text;
    if (type == simdjson::ondemand::json_type::string) {
      if (value.get_string().get(text) != simdjson::SUCCESS) return "is not JSON";
    } else {
      text = value.raw_json_token();
      while (!text.empty() && text.back() <= ' ') text.remove_suffix(1);
    }
    if (SetField(*field, text, columns, row)) return {};
    return "column '" + std::string(key.substr(0, 80)) + "': '" + std::string(text.substr(0, 40)) +
           "' is no " + std::string(Name(*field));
  }
};

JsonRows::JsonRows(const UsageColumns& columns) : parser_(std::make_unique<Parser>(columns)) {}
JsonRows::~JsonRows() = default;

std::string JsonRows::Read(std::string_view line, UsageRow& row) {
  parser_->place = 0;
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  if (parser_->json.iterate(line.data(), line.size(), line.size() + kJsonPadding).get(document) !=
          simdjson::SUCCESS ||
      document.get_object().get(object) != simdjson::SUCCESS) {
    return "is not a JSON object";
  }
  return parser_->ReadObject(object, row, 0);
}

}  // namespace penstock::plan
