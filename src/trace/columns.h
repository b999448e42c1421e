// Columns: which column of a table, or key of a JSON line, means what.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::trace {

// Names as the file has them; "" is found by its usual names.
struct ColumnNames {
  std::string time{};
  std::string input{};            // Input tokens.
  std::string output{};           // Output tokens.
  std::string blocks{};           // Ids of prefix blocks; JSON lines only.
  std::int64_t time_unit_ns = 0;  // What a plain number of `time` counts; 0: the format's usual.

  // "time=TIMESTAMP,input=ContextTokens,output=GeneratedTokens,unit=ms": any part may be left out.
  // Units are s, ms, us and ns. Errors: kInvalidArgument naming the part.
  static Result<ColumnNames> Parse(std::string_view text);
  bool operator==(const ColumnNames&) const = default;
};

// Positions in a header.
struct ColumnPlaces {
  std::size_t time = 0;
  std::size_t input = 0;
  std::size_t output = 0;
};

// Errors: kCorrupt naming the column that is missing and those that are there.
Result<ColumnPlaces> FindColumns(std::span<const std::string> header, const ColumnNames& names);

// "azure" or "burstgpt" where the header is theirs, else "table".
std::string_view FormatOfHeader(std::span<const std::string> header);

// A count of tokens: a whole number from 0 to kTokensMax; "374.0" is one. None for anything else.
std::optional<int> ParseTokens(std::string_view text);

}  // namespace penstock::trace
