// Numbers: how figures are written for people, the same in the table, the progress line and the
// report.
#pragma once

#include <string>
#include <string_view>

namespace penstock::page {

// Three significant digits, never an exponent, thousands apart by commas: 0.128, 4.21, 41.7, 1,234.
// Values that round to 0.000 are "0".
std::string Figure(double value);

// A duration in the unit that reads best: "840 µs", "12.3 ms", "4.21 s", "3 min 20 s".
std::string DurationText(double milliseconds);

// Integers with thousands apart by commas.
std::string Count(long long value);

// "1 request", "1,234 requests": of nouns that take an s.
std::string Counted(long long value, std::string_view noun);

// Two decimals, with thousands apart by commas: what is bought by the piece, before it is rounded.
std::string Hundredths(double value);

}  // namespace penstock::page
