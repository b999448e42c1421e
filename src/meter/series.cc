#include "meter/series.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <cstdio>
#include <utility>

#include "base/log.h"

namespace penstock::meter {
namespace {

using store::Database;
using store::Transaction;

constexpr std::int64_t kApplicationId = 0x504E5352;  // "PNSR"
constexpr std::int64_t kSchemaVersion = 2;
constexpr std::int64_t kOldSchemaVersion = 1;
constexpr const char* kSchema = R"sql(
CREATE TABLE endpoint (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE position (stem TEXT PRIMARY KEY, bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE minute (
  endpoint INTEGER NOT NULL,
  minute INTEGER NOT NULL,       -- Since 1970.
  content BLOB NOT NULL,
  PRIMARY KEY (endpoint, minute)
) STRICT, WITHOUT ROWID;
CREATE TABLE day (
  endpoint INTEGER NOT NULL,
  day INTEGER NOT NULL,          -- Since 1970.
  fine INTEGER NOT NULL,         -- 1: sketches by the minute; 0: by the hour.
  content BLOB NOT NULL,
  sketches BLOB,                 -- NULL: content is as version 1 wrote it, and to be packed again.
  PRIMARY KEY (endpoint, day)
) STRICT, WITHOUT ROWID;
CREATE INDEX day_by_day ON day (day);
CREATE INDEX day_of_old ON day (day) WHERE sketches IS NULL;
)sql";
// Days are packed anew one by one, by Compact().
constexpr const char* kUpgrade = R"sql(
ALTER TABLE day ADD COLUMN sketches BLOB;
CREATE INDEX day_of_old ON day (day) WHERE sketches IS NULL;
)sql";

Status Prepared(Database& database) {
  const auto version = database.QueryInteger("PRAGMA user_version");
  if (!version) return Fail(version.error());
  if (*version == kSchemaVersion) return {};
  const bool old = *version == kOldSchemaVersion;
  if (*version != 0 && !old) {
    return Fail(Code::kUnsupported,
                fmt::format("{} was written by a newer Penstock", database.path()),
                database.path());
  }
  auto transaction = Transaction::Begin(database);
  if (!transaction) return Fail(transaction.error());
  const Status made =
      database.Execute(fmt::format("{}; PRAGMA application_id = {}; PRAGMA user_version = {}",
                                   old ? kUpgrade : kSchema, kApplicationId, kSchemaVersion));
  if (!made) return made;
  return transaction->Commit();
}

Result<Database> OpenDatabase(const std::string& path) {
  auto database = Database::Open(path, kApplicationId, store::CheckAtOpen::kOwnerOnly);
  if (!database) return database;
  if (Status prepared = Prepared(*database); !prepared) return Fail(prepared.error());
  return database;
}

}  // namespace

Result<Series> Series::Open(const std::string& path) {
  auto database = OpenDatabase(path);
  if (!database && database.error().code == Code::kCorrupt) {
    Log().error("{}; set aside as {}.damaged, and made again from the ledger",
                database.error().message, path);
    (void)std::rename(path.c_str(), (path + ".damaged").c_str());
    (void)std::remove((path + "-wal").c_str());
    (void)std::remove((path + "-shm").c_str());
    database = OpenDatabase(path);
  }
  if (!database) return Fail(database.error());
  return Series(std::move(*database));
}

Result<Positions> Series::ReadPositions() {
  auto select = database_.Prepare("SELECT stem, bytes FROM position");
  if (!select) return Fail(select.error());
  Positions positions;
  for (;;) {
    const auto row = select->Step();
    if (!row) return Fail(row.error());
    if (!*row) return positions;
    positions[select->Text(0)] = static_cast<std::uint64_t>(select->Integer(1));
  }
}

Result<std::int64_t> Series::EndpointId(const std::string& endpoint) {
  if (const auto known = endpoint_ids_.find(endpoint); known != endpoint_ids_.end()) {
    return known->second;
  }
  auto insert = database_.Prepare("INSERT OR IGNORE INTO endpoint (name) VALUES (?)");
  if (!insert) return Fail(insert.error());
  if (Status done = insert->Bind(1, endpoint).Run(); !done) return Fail(done.error());
  auto select = database_.Prepare("SELECT id FROM endpoint WHERE name = ?");
  if (!select) return Fail(select.error());
  const auto row = select->Bind(1, endpoint).Step();
  if (!row) return Fail(row.error());
  return endpoint_ids_[endpoint] = select->Integer(0);
}

Status Series::AddMinute(const std::string& endpoint, Minute minute, const EndpointMinute& added) {
  const auto id = EndpointId(endpoint);
  if (!id) return Fail(id.error());
  auto select = database_.Prepare("SELECT content FROM minute WHERE endpoint = ? AND minute = ?");
  if (!select) return Fail(select.error());
  const auto there = select->Bind(1, *id).Bind(2, minute).Step();
  if (!there) return Fail(there.error());
  std::string content;
  if (*there) {
    EndpointMinute sum;
    if (Status read = Decode(select->Blob(0), Sketches::kWith, sum); !read) return read;
    sum.Merge(added);
    Encode(sum, Sketches::kWith, content);
  } else {
    Encode(added, Sketches::kWith, content);
  }
  auto put = database_.Prepare("REPLACE INTO minute (endpoint, minute, content) VALUES (?, ?, ?)");
  if (!put) return Fail(put.error());
  return put->Bind(1, *id).Bind(2, minute).BindBlob(3, content).Run();
}

Status Series::AddMinutes(const Rollup& minutes) {
  for (const auto& [endpoint, by_minute] : minutes.endpoints()) {
    for (const auto& [minute, content] : by_minute) {
      if (Status added = AddMinute(endpoint, minute, content); !added) return added;
    }
  }
  return {};
}

Status Series::PutPositions(const Positions& positions) {
  if (Status gone = database_.Execute("DELETE FROM position"); !gone) return gone;
  for (const auto& [stem, bytes] : positions) {
    auto insert = database_.Prepare("INSERT INTO position (stem, bytes) VALUES (?, ?)");
    if (!insert) return Fail(insert.error());
    const Status done = insert->Bind(1, stem).Bind(2, static_cast<std::int64_t>(bytes)).Run();
    if (!done) return done;
  }
  return {};
}

Status Series::Commit(const Rollup& minutes, const Positions& positions) {
  auto transaction = Transaction::Begin(database_);
  if (!transaction) return Fail(transaction.error());
  Status done = AddMinutes(minutes);
  if (done) done = PutPositions(positions);
  if (!done) {
    endpoint_ids_.clear();  // Some may have been made in this transaction.
    return done;
  }
  return transaction->Commit();
}

Result<std::vector<std::string>> Series::Endpoints() {
  auto select = database_.Prepare("SELECT name FROM endpoint ORDER BY name");
  if (!select) return Fail(select.error());
  std::vector<std::string> names;
  for (;;) {
    const auto row = select->Step();
    if (!row) return Fail(row.error());
    if (!*row) return names;
    names.push_back(select->Text(0));
  }
}

Result<std::uint64_t> Series::StoredBytes() {
  const auto bytes = database_.QueryInteger(
      "SELECT (SELECT coalesce(sum(length(content)), 0) FROM minute) + "
      "(SELECT coalesce(sum(length(content) + coalesce(length(sketches), 0)), 0) FROM day)");
  if (!bytes) return Fail(bytes.error());
  return static_cast<std::uint64_t>(*bytes);
}

Status Series::Read(const std::optional<std::string>& endpoint, Range range, Columns columns,
                    const Visit& visit, const std::function<void()>& snapshot_taken) {
  // A read transaction sees one state; its first SELECT takes it.
  if (Status begun = database_.Execute("BEGIN"); !begun) return begun;
  Status done;
  {
    auto select = database_.Prepare(endpoint ? "SELECT id, name FROM endpoint WHERE name = ?"
                                             : "SELECT id, name FROM endpoint");
    if (!select) done = Fail(select.error());
    if (done && endpoint) select->Bind(1, *endpoint);
    std::vector<std::pair<std::int64_t, std::string>> endpoints;
    while (done) {
      const auto row = select->Step();
      if (!row) done = Fail(row.error());
      if (!row || !*row) break;
      endpoints.emplace_back(select->Integer(0), select->Text(1));
    }
    if (snapshot_taken) snapshot_taken();
    for (const auto& [id, name] : endpoints) {
      if (done) done = ReadDays(id, name, range, columns, visit);
      if (done) done = ReadMinutes(id, name, range, columns, visit);
    }
  }
  const Status ended = database_.Execute("COMMIT");
  return done ? ended : done;
}

Status Series::ReadMinutes(std::int64_t endpoint_id, const std::string& name, Range range,
                           Columns columns, const Visit& visit) {
  const Sketches sketches = columns.Has(Column::kSketches) ? Sketches::kWith : Sketches::kWithout;
  auto select = database_.Prepare(
      "SELECT minute, content FROM minute WHERE endpoint = ? AND minute >= ? AND minute < ?");
  if (!select) return Fail(select.error());
  select->Bind(1, endpoint_id).Bind(2, range.from).Bind(3, range.until);
  EndpointMinute minute;
  for (;;) {
    const auto row = select->Step();
    if (!row) return Fail(row.error());
    if (!*row) return {};
    if (Status read = Decode(select->Blob(1), sketches, minute); !read) return read;
    visit(name, select->Integer(0), minute);
  }
}

Status Series::ReadDays(std::int64_t endpoint_id, const std::string& name, Range range,
                        Columns columns, const Visit& visit) {
  const bool with = columns.Has(Column::kSketches);
  // Sketches lie behind the numbers, on pages of their own: who does not name them reads none.
  auto select = database_.Prepare(
      fmt::format("SELECT day, content, sketches IS NULL{} FROM day WHERE endpoint = ? AND day >= "
                  "? AND day <= ?",
                  with ? ", sketches" : ""));
  if (!select) return Fail(select.error());
  select->Bind(1, endpoint_id)
      .Bind(2, range.from / kMinutesPerDay)
      .Bind(3, (range.until - 1) / kMinutesPerDay);
  for (;;) {
    const auto row = select->Step();
    if (!row) return Fail(row.error());
    if (!*row) return {};
    const Minute begins = select->Integer(0) * kMinutesPerDay;
    const auto in_range = [&](Minute minute, const EndpointMinute& content) {
      if (minute >= range.from && minute < range.until) visit(name, minute, content);
    };
    const bool old = select->Integer(2) != 0;
    const Status read = old ? UnpackOldDay(select->Blob(1), begins,
                                           with ? Sketches::kWith : Sketches::kWithout, in_range)
                            : UnpackDay(select->Blob(1), with ? select->Blob(3) : std::string(),
                                        begins, columns, in_range);
    if (!read) return read;
  }
}

}  // namespace penstock::meter
