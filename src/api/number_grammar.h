// Numbers between bounds as a grammar's expressions; for the files of this folder only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace penstock::internal {

inline constexpr std::int64_t kIntegerMax = 999'999'999'999'999;  // What a double holds exactly.

// The decimal texts of all integers in [low, high], without leading zeros, without "-0". An absent
// bound is that of kIntegerMax. REQUIRES: low <= high, both within it.
std::string GrammarOfIntegers(std::optional<std::int64_t> low, std::optional<std::int64_t> high);

// Likewise of decimal fractions, with up to 15 places; with an exponent where there are no bounds.
std::string GrammarOfNumbers(std::optional<std::int64_t> low, std::optional<std::int64_t> high);

}  // namespace penstock::internal
