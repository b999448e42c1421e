// The series' days: when they are packed, thinned and forgotten.
#include <fmt/format.h>

#include <optional>
#include <utility>

#include "meter/series.h"

namespace penstock::meter {
namespace {

// Late records are rare; a day is packed when few are left to come.
constexpr auto kDaySettles = std::chrono::hours(1);

}  // namespace

Status Series::PackDay(std::int64_t endpoint_id, std::int64_t day, bool fine) {
  const Minute begins = day * kMinutesPerDay;
  std::map<Minute, EndpointMinute> minutes;
  const auto gather = [&minutes](const std::string&, Minute minute, const EndpointMinute& part) {
    minutes[minute].Merge(part);
  };
  const Range range{.from = begins, .until = begins + kMinutesPerDay};
  auto transaction = store::Transaction::Begin(database_);
  if (!transaction) return Fail(transaction.error());
  Status done = ReadDays(endpoint_id, {}, range, Columns::All(), gather);
  if (done) done = ReadMinutes(endpoint_id, {}, range, Columns::All(), gather);
  if (!done) return done;
  const DayBytes bytes = meter::PackDay(minutes, begins, fine);
  auto put = database_.Prepare(
      "REPLACE INTO day (endpoint, day, fine, content, sketches) VALUES (?, ?, ?, ?, ?)");
  if (!put) return Fail(put.error());
  done = put->Bind(1, endpoint_id)
             .Bind(2, day)
             .Bind(3, std::int64_t{fine})
             .BindBlob(4, bytes.numbers)
             .BindBlob(5, bytes.sketches)
             .Run();
  if (!done) return done;
  auto remove =
      database_.Prepare("DELETE FROM minute WHERE endpoint = ? AND minute >= ? AND minute < ?");
  if (!remove) return Fail(remove.error());
  done = remove->Bind(1, endpoint_id).Bind(2, range.from).Bind(3, range.until).Run();
  if (!done) return done;
  return transaction->Commit();
}

Result<bool> Series::Compact(WallTime now) {
  const std::int64_t today = MinuteOf(now) / kMinutesPerDay;
  const std::int64_t ended = MinuteOf(now - kDaySettles) / kMinutesPerDay;
  const std::string too_old =
      fmt::format("DELETE FROM day WHERE day < {0}; DELETE FROM minute WHERE minute < {0} * 1440",
                  today - kKeepDays);
  if (Status removed = database_.Execute(too_old); !removed) return Fail(removed.error());
  std::optional<std::pair<std::int64_t, std::int64_t>> found;
  for (const std::string& sql :
       {fmt::format("SELECT endpoint, minute / 1440 FROM minute WHERE minute < {} LIMIT 1",
                    ended * kMinutesPerDay),
        fmt::format("SELECT endpoint, day FROM day WHERE fine = 1 AND day < {} LIMIT 1",
                    today - kFineDays),
        std::string("SELECT endpoint, day FROM day WHERE sketches IS NULL LIMIT 1")}) {
    auto select = database_.Prepare(sql);
    if (!select) return Fail(select.error());
    const auto row = select->Step();
    if (!row) return Fail(row.error());
    if (*row) found = {select->Integer(0), select->Integer(1)};
    if (found) break;
  }
  if (!found) return false;
  const auto [endpoint_id, day] = *found;
  const Status packed = PackDay(endpoint_id, day, day >= today - kFineDays);
  if (!packed) return Fail(packed.error());
  return true;
}

}  // namespace penstock::meter
