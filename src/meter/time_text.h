// Times and durations as texts: ISO 8601, and "2h" for people. Pure.
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace penstock::meter {

// "2026-11-25T15:04:05.678Z"; without the milliseconds where they are 0.
std::string FormatTime(WallTime time);

// An ISO 8601 time in UTC or with an offset ("2026-11-25", "2026-11-25T15:04Z",
// "…T15:04:05.678+02:00"; no offset: UTC), "now", or how long before `now` ("90s", "15m", "2h",
// "30d"). `field` names the flag or parameter in errors: kInvalidArgument.
Result<WallTime> ParseTime(std::string_view text, WallTime now, std::string_view field);

// "PT1M", "PT1H", "P1D", and their like: whole seconds, more than 0. kInvalidArgument.
Result<std::chrono::seconds> ParsePeriod(std::string_view text, std::string_view field);
std::string FormatPeriod(std::chrono::seconds period);  // Of a whole number of minutes.

}  // namespace penstock::meter
