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
  std::uint64_t pending = 0;          // Of the ledger's records, which the series has yet to count.
  Minute pending_from = 0;  // The first minute of those; it and what follows was not compared.
};

using ReadSeries = std::function<Status(Series::Range, const Series::Visit&)>;

// Makes the minutes of the range again from the ledger in `folder`, and compares them with what
// `read` gives: counts, sums, extremes by the minute, quantile sketches by the hour. Minutes from
// before the ledger's first record are left out. Blocks; holds a day of minutes at a time.
// `counted`: how far the series has read the ledger, where no server does so: one that was killed
// left the rest to its next start.
Result<SeriesCheck> CheckSeries(const std::string& folder, Series::Range range,
                                const ReadSeries& read, const Positions* counted = nullptr);

}  // namespace penstock::meter
