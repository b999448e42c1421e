// Numbers: how figures are written for people, the same in the table, the progress line and the
// report.
#pragma once

#include <string>

namespace penstock::page {

// Three significant digits, never an exponent, thousands apart by commas: 0.128, 4.21, 41.7, 1,234.
// Values that round to 0.000 are "0".
std::string Figure(double value);

// A duration in the unit that reads best: "840 µs", "12.3 ms", "4.21 s", "3 min 20 s".
std::string DurationText(double milliseconds);

// Integers with thousands apart by commas.
std::string Count(long long value);

}  // namespace penstock::page
