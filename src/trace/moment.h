// Moment: the ways in which traces write time, as nanoseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace penstock::trace {

// Nanoseconds since 1970 of "YYYY-MM-DD hh:mm:ss[.fraction][Z|±hh:mm]" (T in place of the blank is
// as good), or of a number of units of `unit_ns` each. Fractions beyond nanoseconds are cut. None
// where the text is neither, or does not fit.
std::optional<std::int64_t> ParseMoment(std::string_view text, std::int64_t unit_ns);

}  // namespace penstock::trace
