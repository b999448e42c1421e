// Regular expressions of JSON schemas as a grammar's expressions; for the files of this folder
// only.
//
// The subset: characters, `.`, classes with ranges and \d \w \s and their opposites, groups,
// alternatives, the quantifiers * + ? {m} {m,} {m,n}; ^ at the beginning and $ at the end. A
// pattern without them may begin and end with anything, as JSON Schema has it. The rest
// (assertions, references to groups, lazy quantifiers, properties of Unicode) is refused.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::internal {

inline constexpr int kPatternDepthMax = 16;   // Groups within groups.
inline constexpr int kRepetitionsMax = 1000;  // The m and n of {m,n}, and lengths of strings.
inline constexpr std::size_t kPatternBytesMax = 1024;

// For the inside of a JSON string. The error's message says what of the pattern is not supported.
Result<std::string> GrammarOfPattern(std::string_view pattern);

// The pattern of a format's values ("date", "uuid", ...); "" for one that we do not know.
std::string_view PatternOfFormat(std::string_view format);
inline constexpr std::string_view kFormats = "date, time, date-time, uuid, ipv4, email";

}  // namespace penstock::internal
