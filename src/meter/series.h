// Series: minutes on disk, for 93 days, in SQLite: DATA/series.db.
//
// Made from the ledger and from nothing else. What has been read of each of its segments is stored
// in the same transaction as the minutes, so a process may die at any time and neither miss a
// record nor count one twice; and whoever removes the file gets it back from the ledger.
//
//   minute   one row per endpoint and minute, of the last day or two
//   day      one row per endpoint and day: its minutes by the column, compressed (series_day.h).
//            Sketches are kept by minute for kFineDays, then by hour: the minute's counts, sums and
//            extremes stay
//
// One thread writes; another may read meanwhile with a Series of its own. Every call may block.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "meter/rollup.h"
#include "meter/series_cell.h"
#include "meter/series_day.h"
#include "store/database.h"

namespace penstock::meter {

// Bytes of each segment that were counted, by stem.
using Positions = std::map<std::string, std::uint64_t>;

class Series {
 public:
  static constexpr std::int64_t kKeepDays = 93;
  static constexpr std::int64_t kFineDays = 7;

  // Opens or makes the file. A damaged one is set aside under another name, for it can be made
  // again. Errors: as store::Database::Open.
  static Result<Series> Open(const std::string& path);

  // ---- The writer.

  Result<Positions> ReadPositions();
  // Adds what `minutes` holds to what is stored, and stores `positions`, in one transaction.
  // Segments that are not in `positions` are forgotten.
  Status Commit(const Rollup& minutes, const Positions& positions);
  // Packs days that ended an hour before `now`, thins those that are older than kFineDays, and
  // removes those that are older than kKeepDays. Does at most one endpoint's day a call; true where
  // there is more to do.
  Result<bool> Compact(WallTime now);

  // ---- Readers.

  struct Range {
    Minute from = 0;   // Included.
    Minute until = 0;  // Not included.
  };
  using Visit = std::function<void(const std::string& endpoint, Minute, const EndpointMinute&)>;
  // Every stored minute of the endpoint (of all, without one) in the range; a minute may come in
  // several parts, which add up. Of thinned days, the sketches come with the hour's first minute.
  // What `columns` does not name may be zero.
  // `snapshot_taken` is called when later commits cannot show up any more.
  Status Read(const std::optional<std::string>& endpoint, Range range, Columns columns,
              const Visit& visit, const std::function<void()>& snapshot_taken = {});
  Result<std::vector<std::string>> Endpoints();
  // Bytes of all minutes and days, without the file's own overhead.
  Result<std::uint64_t> StoredBytes();

 private:
  explicit Series(store::Database database) : database_(std::move(database)) {}
  Result<std::int64_t> EndpointId(const std::string& endpoint);
  Status AddMinute(const std::string& endpoint, Minute minute, const EndpointMinute& added);
  Status AddMinutes(const Rollup& minutes);
  Status PutPositions(const Positions& positions);
  Status PackDay(std::int64_t endpoint_id, std::int64_t day, bool fine);
  Status ReadMinutes(std::int64_t endpoint_id, const std::string& name, Range range,
                     Columns columns, const Visit& visit);
  Status ReadDays(std::int64_t endpoint_id, const std::string& name, Range range, Columns columns,
                  const Visit& visit);

  store::Database database_;
  std::map<std::string, std::int64_t> endpoint_ids_;
};

}  // namespace penstock::meter
