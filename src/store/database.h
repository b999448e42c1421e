// Database: a narrow, owning face of SQLite: open, prepare, bind, step, transact.
//
// One thread. Every call may block on the disk. SQLite's errors become Error with the database's
// path.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace penstock::store {

// One prepared statement. Parameters and columns count as SQLite counts: from 1, and from 0.
class Statement {
 public:
  Statement(Statement&&) noexcept = default;

  // The bytes are copied. A failed bind is reported by the next Step().
  Statement& Bind(int parameter, std::int64_t value);
  Statement& Bind(int parameter, std::string_view text);
  Statement& BindBlob(int parameter, std::string_view bytes);

  // True: a row is there. False: done. Errors: kAlreadyExists (unique), kConflict (foreign key),
  // kExhausted (disk full), kUnavailable (locked by another program), kForbidden (read only),
  // kCorrupt, kInternal.
  Result<bool> Step();
  // For statements that answer no row.
  Status Run();

  // Of the present row.
  std::int64_t Integer(int column) const;
  std::string Text(int column) const;
  std::string Blob(int column) const;

 private:
  friend class Database;
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  Statement(sqlite3_stmt* statement, const std::string& path)
      : statement_(statement), path_(path) {}

  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  std::string path_;
  int bind_result_ = 0;
};

// How much is checked of a file that is opened. Whole: every page, which takes time for large ones.
enum class CheckAtOpen : std::uint8_t { kOwnerOnly, kWhole };

class Database {
 public:
  // Opens or creates (mode 0600) the file, sets WAL with full synchronisation and foreign keys, and
  // checks that the file is whole. `application_id` is what SQLite's pragma of this name must say
  // of a file that has tables; another program's file is not touched. Errors: kCorrupt (not a
  // database, or another program's, or damaged), kForbidden, kInvalidArgument, kUnavailable.
  static Result<Database> Open(const std::string& path, std::int64_t application_id,
                               CheckAtOpen check = CheckAtOpen::kWhole);

  Result<Statement> Prepare(std::string_view sql);
  // Several statements without parameters or rows.
  Status Execute(const std::string& sql);
  // The one integer that `sql` answers.
  Result<std::int64_t> QueryInteger(std::string_view sql);
  // Rows that the last INSERT, UPDATE or DELETE touched.
  std::int64_t changes() const;

  const std::string& path() const { return path_; }

 private:
  struct Close {
    void operator()(sqlite3* database) const;
  };
  explicit Database(std::string path) : path_(std::move(path)) {}
  Status CheckOwner(std::int64_t application_id);
  Status Configure();
  Status CheckWhole();

  std::string path_;
  std::unique_ptr<sqlite3, Close> handle_;
};

// All or nothing: rolled back unless committed.
class Transaction {
 public:
  // Takes the write lock at once. `database` is borrowed and outlives this.
  static Result<Transaction> Begin(Database& database);
  Transaction(Transaction&& other) noexcept;
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // On disk when it returns without error.
  Status Commit();

 private:
  explicit Transaction(Database& database) : database_(&database) {}
  Database* database_;  // Borrowed; null once over.
};

}  // namespace penstock::store
