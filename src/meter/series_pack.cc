// The series' days: packing minutes, thinning sketches, forgetting what is old.
#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <utility>

#include "meter/bytes.h"
#include "meter/series.h"

namespace penstock::meter {
namespace {

constexpr std::size_t kDayBytesMax = std::size_t{1} << 28;
constexpr Minute kMinutesPerHour = 60;
// Late records are rare; a day is packed when few are left to come.
constexpr auto kDaySettles = std::chrono::hours(1);

std::array<Distribution*, 4> DistributionsOf(SeriesCell& cell) {
  return {&cell.ttft_us, &cell.tpot_us, &cell.duration_us, &cell.queue_us};
}

// Moves the sketches of each hour to the hour's first minute that has values.
void ThinSketches(std::map<Minute, EndpointMinute>& minutes) {
  std::map<std::pair<SeriesKey, std::size_t>, Distribution*> first;  // Of the hour.
  Minute hour = -1;
  for (auto& [minute, content] : minutes) {
    if (minute / kMinutesPerHour != hour) first.clear();
    hour = minute / kMinutesPerHour;
    for (auto& [key, cell] : content.cells) {
      const auto distributions = DistributionsOf(cell);
      for (std::size_t i = 0; i < distributions.size(); ++i) {
        Distribution* const distribution = distributions[i];
        if (distribution->stat.samples == 0) continue;
        Distribution*& keeper = first[{key, i}];
        if (keeper == nullptr) {
          keeper = distribution;
        } else {
          keeper->sketch.Merge(distribution->sketch);
          distribution->sketch.Clear();
        }
      }
    }
  }
}

Error Corrupt() { return {Code::kCorrupt, "a day of the series is damaged", {}}; }

}  // namespace

std::string PackMinutes(const std::map<Minute, EndpointMinute>& minutes, Minute day_begins,
                        bool fine) {
  std::map<Minute, EndpointMinute> thinned;
  if (!fine) {
    thinned = minutes;
    ThinSketches(thinned);
  }
  std::string plain;
  ByteWriter out(plain);
  Minute last = day_begins;
  std::string content;
  for (const auto& [minute, cells] : fine ? minutes : thinned) {
    out.Integer(static_cast<std::uint64_t>(minute - last));
    last = minute;
    content.clear();
    Encode(cells, Sketches::kWith, content);
    out.Text(content);
  }
  std::string packed;
  ByteWriter(packed).Integer(plain.size());
  const std::size_t head = packed.size();
  uLongf size = compressBound(plain.size());
  packed.resize(head + size);
  compress2(reinterpret_cast<Bytef*>(packed.data() + head), &size,
            reinterpret_cast<const Bytef*>(plain.data()), plain.size(), Z_DEFAULT_COMPRESSION);
  packed.resize(head + size);
  return packed;
}

Status UnpackMinutes(std::string_view bytes, Minute day_begins, Sketches sketches,
                     const std::function<void(Minute, const EndpointMinute&)>& visit) {
  ByteReader head(bytes);
  const std::uint64_t plain_size = head.Integer();
  if (head.bad() || plain_size > kDayBytesMax) return Fail(Corrupt());
  std::string plain(static_cast<std::size_t>(plain_size), '\0');
  uLongf size = plain.size();
  const int result =
      uncompress(reinterpret_cast<Bytef*>(plain.data()), &size,
                 reinterpret_cast<const Bytef*>(head.rest().data()), head.rest().size());
  if (plain.empty() && head.rest().empty()) return {};
  if (result != Z_OK || size != plain.size()) return Fail(Corrupt());
  ByteReader in(plain);
  EndpointMinute content;
  std::uint64_t offset = 0;
  while (!in.AtEnd()) {
    offset += in.Integer();
    const std::string_view text = in.Text();
    if (in.bad() || offset >= static_cast<std::uint64_t>(kMinutesPerDay)) return Fail(Corrupt());
    if (Status read = Decode(text, sketches, content); !read) return read;
    visit(day_begins + static_cast<Minute>(offset), content);
  }
  return {};
}

Status Series::PackDay(std::int64_t endpoint_id, std::int64_t day, bool fine) {
  const Minute begins = day * kMinutesPerDay;
  std::map<Minute, EndpointMinute> minutes;
  const auto gather = [&minutes](const std::string&, Minute minute, const EndpointMinute& part) {
    minutes[minute].Merge(part);
  };
  const Range range{.from = begins, .until = begins + kMinutesPerDay};
  auto transaction = store::Transaction::Begin(database_);
  if (!transaction) return Fail(transaction.error());
  Status done = ReadDays(endpoint_id, {}, range, Sketches::kWith, gather);
  if (done) done = ReadMinutes(endpoint_id, {}, range, Sketches::kWith, gather);
  if (!done) return done;
  auto put =
      database_.Prepare("REPLACE INTO day (endpoint, day, fine, content) VALUES (?, ?, ?, ?)");
  if (!put) return Fail(put.error());
  done = put->Bind(1, endpoint_id)
             .Bind(2, day)
             .Bind(3, std::int64_t{fine})
             .BindBlob(4, PackMinutes(minutes, begins, fine))
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
                    today - kFineDays)}) {
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
