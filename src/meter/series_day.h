// A day of an endpoint's minutes as bytes: by the column, each compressed by itself, so that who
// asks for little reads little. Pure.
//
//   numbers   version, number of sections; each section is its id, its plain size, and its bytes as
//             zlib packs them. Section 1 is the index: the keys of the day, then each minute as its
//             distance from the last and the numbers of its cells' keys. Every other section holds
//             one column, its values in the order of the index.
//   sketches  one section: the sketches of all distributions, in the same order
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/result.h"
#include "meter/series_cell.h"

namespace penstock::meter {

inline constexpr Minute kMinutesPerDay = 24 * 60;

struct DayBytes {
  std::string numbers;
  std::string sketches;
};
using VisitMinute = std::function<void(Minute, const EndpointMinute&)>;

// `fine`: sketches by the minute; else by the hour, at its first minute that has values.
DayBytes PackDay(const std::map<Minute, EndpointMinute>& minutes, Minute day_begins, bool fine);

// `sketches` is looked at only where `columns` has them. Errors: kCorrupt.
Status UnpackDay(std::string_view numbers, std::string_view sketches, Minute day_begins,
                 Columns columns, const VisitMinute& visit);

// A day as series.db of version 1 has it: minute after minute, whole, packed as one text. Errors:
// kCorrupt.
Status UnpackOldDay(std::string_view bytes, Minute day_begins, Sketches sketches,
                    const VisitMinute& visit);

}  // namespace penstock::meter
