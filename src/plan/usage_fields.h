// Usage fields: what the columns and keys of usage files are usually called, and one row's values.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "plan/usage_reader.h"

namespace penstock::plan {

enum class UsageField {
  kTime,
  kInput,
  kOutput,
  kCached,
  kKey,
  kInputLength  // Input, as Mooncake's traces call it, whose times are milliseconds.
};
inline constexpr std::size_t kUsageFields = 6;

// What `name` stands for under `columns`: a name given there, else a usual one, case set aside.
std::optional<UsageField> FieldOf(std::string_view name, const UsageColumns& columns);

// "time", "input" …, for messages.
std::string_view Name(UsageField field);

// One row as it was read; numbers may come as numbers or as text.
struct UsageRow {
  std::optional<std::int64_t> at_s;
  bool time_is_bare = false;     // A number of no unit, and too small to tell one.
  bool in_milliseconds = false;  // Such numbers are milliseconds.
  std::optional<std::int64_t> input;
  std::optional<std::int64_t> output;
  std::int64_t cached = 0;
  std::string_view key{};
};

// Sets `field` of `row` from `text`, which must outlive the row. False: it cannot be that.
bool SetField(UsageField field, std::string_view text, const UsageColumns& columns, UsageRow& row);

// Seconds since 1970 of a plain number whose unit is told by its size.
std::int64_t SecondsBySize(double number);

// Reads one JSON object into `row`: its own fields, those of `usage`, and those of `body`,
// `response` and `response.body`. `line` needs kJsonPadding readable bytes behind it. Returns "" or
// what is wrong.
inline constexpr std::size_t kJsonPadding = 64;
class JsonRows {
 public:
  explicit JsonRows(const UsageColumns& columns);  // Borrowed: it outlives this.
  ~JsonRows();
  JsonRows(const JsonRows&) = delete;
  JsonRows& operator=(const JsonRows&) = delete;

  std::string Read(std::string_view line, UsageRow& row);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;  // simdjson stays out of this header.
};

}  // namespace penstock::plan
