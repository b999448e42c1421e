#include "store/database.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sqlite3.h>

#include <cerrno>
#include <utility>

#include "base/file.h"
#include "base/log.h"

namespace penstock::store {
namespace {

// How long a call waits for another program that holds the database, such as a backup.
constexpr int kBusyWaitMs = 5000;

Code CodeFor(int result) {
  if (result == SQLITE_CONSTRAINT_PRIMARYKEY || result == SQLITE_CONSTRAINT_UNIQUE) {
    return Code::kAlreadyExists;
  }
  switch (result & 0xff) {
    case SQLITE_CONSTRAINT:
      return Code::kConflict;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return Code::kExhausted;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::kUnavailable;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      return Code::kForbidden;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::kCorrupt;
    case SQLITE_TOOBIG:
      return Code::kTooLarge;
    default:
      return Code::kInternal;
  }
}

Error DatabaseError(sqlite3* handle, int result, const std::string& path) {
  const int extended = handle == nullptr ? result : sqlite3_extended_errcode(handle);
  const char* message = handle == nullptr ? sqlite3_errstr(result) : sqlite3_errmsg(handle);
  return {CodeFor(extended), fmt::format("database {}: {}", path, message), path};
}

}  // namespace

void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Statement& Statement::Bind(int parameter, std::int64_t value) {
  const int result = sqlite3_bind_int64(statement_.get(), parameter, value);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
  return *this;
}

Statement& Statement::Bind(int parameter, std::string_view text) {
  const int result = sqlite3_bind_text64(statement_.get(), parameter, text.data(), text.size(),
                                         SQLITE_TRANSIENT, SQLITE_UTF8);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
  return *this;
}

Statement& Statement::BindBlob(int parameter, std::string_view bytes) {
  const int result = sqlite3_bind_blob64(statement_.get(), parameter, bytes.data(), bytes.size(),
                                         SQLITE_TRANSIENT);
  if (bind_result_ == SQLITE_OK) bind_result_ = result;
  return *this;
}

Result<bool> Statement::Step() {
  sqlite3* handle = sqlite3_db_handle(statement_.get());
  if (bind_result_ != SQLITE_OK) return Fail(DatabaseError(handle, bind_result_, path_));
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return Fail(DatabaseError(handle, result, path_));
}

Status Statement::Run() {
  auto stepped = Step();
  if (!stepped) return Fail(std::move(stepped.error()));
  return {};
}

std::int64_t Statement::Integer(int column) const {
  return sqlite3_column_int64(statement_.get(), column);
}

std::string Statement::Text(int column) const { return Blob(column); }

std::string Statement::Blob(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_.get(), column));
  if (bytes == nullptr) return {};
  return {bytes, static_cast<std::size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

void Database::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }

Result<Database> Database::Open(const std::string& path, std::int64_t application_id,
                                CheckAtOpen check) {
  // SQLite would create the file readable for others, and its companions take its permissions.
  const Descriptor file(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file) return Fail(SystemError("open database", path, errno));

  Database database(path);
  sqlite3* handle = nullptr;
  const int result =
      sqlite3_open_v2(path.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  database.handle_.reset(handle);  // Must be closed even when opening failed.
  if (result != SQLITE_OK) return Fail(DatabaseError(handle, result, path));
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, kBusyWaitMs);
  if (auto ours = database.CheckOwner(application_id); !ours) return Fail(ours.error());
  if (auto configured = database.Configure(); !configured) return Fail(configured.error());
  if (check == CheckAtOpen::kOwnerOnly) return database;
  if (auto whole = database.CheckWhole(); !whole) return Fail(whole.error());
  return database;
}

Status Database::CheckOwner(std::int64_t application_id) {
  const auto application = QueryInteger("PRAGMA application_id");
  if (!application) return Fail(application.error());
  if (*application == application_id) return {};
  const auto tables = QueryInteger("SELECT count(*) FROM sqlite_schema");
  if (!tables) return Fail(tables.error());
  if (*application == 0 && *tables == 0) return {};  // New.
  return Fail(Code::kCorrupt, fmt::format("{} is a database of another program", path_), path_);
}

Status Database::Configure() {
  auto mode = Prepare("PRAGMA journal_mode = WAL");
  if (!mode) return Fail(mode.error());
  auto row = mode->Step();
  if (!row) return Fail(row.error());
  if (mode->Text(0) != "wal") {
    return Fail(Code::kUnsupported,
                fmt::format("database {}: the file system cannot hold a write-ahead log", path_),
                path_);
  }
  return Execute(
      "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF");
}

Status Database::CheckWhole() {
  auto check = Prepare("PRAGMA quick_check(1)");
  if (!check) return Fail(check.error());
  auto row = check->Step();
  if (!row) return Fail(row.error());
  const std::string answer = check->Text(0);
  if (answer == "ok") return {};
  return Fail(Code::kCorrupt, fmt::format("database {} is damaged: {}", path_, answer), path_);
}

Result<Statement> Database::Prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  const int result = sqlite3_prepare_v2(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                        &statement, nullptr);
  if (result != SQLITE_OK) return Fail(DatabaseError(handle_.get(), result, path_));
  return Statement(statement, path_);
}

Status Database::Execute(const std::string& sql) {
  const int result = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (result != SQLITE_OK) return Fail(DatabaseError(handle_.get(), result, path_));
  return {};
}

Result<std::int64_t> Database::QueryInteger(std::string_view sql) {
  auto query = Prepare(sql);
  if (!query) return Fail(query.error());
  auto row = query->Step();
  if (!row) return Fail(row.error());
  return query->Integer(0);
}

std::int64_t Database::changes() const { return sqlite3_changes64(handle_.get()); }

Result<Transaction> Transaction::Begin(Database& database) {
  if (auto begun = database.Execute("BEGIN IMMEDIATE"); !begun) return Fail(begun.error());
  return Transaction(database);
}

Transaction::Transaction(Transaction&& other) noexcept
    : database_(std::exchange(other.database_, nullptr)) {}

Transaction::~Transaction() {
  if (database_ == nullptr) return;
  // SQLite rolls some failures back itself; a second roll-back then fails, and harms nothing.
  if (auto undone = database_->Execute("ROLLBACK"); !undone)
    Log().debug("{}", undone.error().message);
}

Status Transaction::Commit() {
  if (auto committed = database_->Execute("COMMIT"); !committed) return Fail(committed.error());
  database_ = nullptr;
  return {};
}

}  // namespace penstock::store
