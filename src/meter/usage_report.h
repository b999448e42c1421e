// Usage reports as JSON, from the files: the same for a running server and a stopped one.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.h"
#include "meter/series.h"
#include "meter/series_check.h"
#include "meter/usage_query.h"

namespace penstock::meter {

// The newest `limit` matching records, newest first: {"records": [...]}. Holds no more than these.
Result<std::string> RecordsToJson(const std::string& ledger_folder, const UsageFilter& filter,
                                  std::size_t limit);

// The minute series of an endpoint (or of all), one object per minute and kind of request:
// {"minutes": [...]}. kTooLarge beyond kUsageRowsMax.
Result<std::string> MinutesToJson(const std::optional<std::string>& endpoint, Series::Range range,
                                  const ReadSeries& read);

std::string ToJson(const SeriesCheck& check);

}  // namespace penstock::meter
