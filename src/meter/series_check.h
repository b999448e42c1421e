// CheckSeries: proves that the minute series and the ledger tell the same.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "meter/series.h"

namespace penstock::meter {

struct SeriesCheck {
  std::uint64_t records = 0;  // Of the ledger, in the range.
  std::uint64_t minutes = 0;  // Of endpoints, compared.
  std::uint64_t differences = 0;
  std::vector<std::string> examples;  // The first few differences, for people.
};

using ReadSeries = std::function<Status(Series::Range, const Series::Visit&)>;

// Makes the minutes of the range again from the ledger in `folder`, and compares them with what
// `read` gives: counts, sums, extremes by the minute, quantile sketches by the hour. Minutes from
// before the ledger's first record are left out. Blocks; holds a day of minutes at a time.
Result<SeriesCheck> CheckSeries(const std::string& folder, Series::Range range,
                                const ReadSeries& read);

}  // namespace penstock::meter
