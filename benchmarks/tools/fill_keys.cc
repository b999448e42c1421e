// fill_keys: adds keys to the database of a server that does not run.
//
//   fill_keys DATABASE COUNT
// Nobody knows their secrets: they are random hashes, names as long as those of real users.
#include <fmt/format.h>
#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>

namespace {

[[noreturn]] void Die(sqlite3* database, const char* what) {
  fmt::print(stderr, "fill_keys: {}: {}\n", what, sqlite3_errmsg(database));
  std::exit(2);
}

void Execute(sqlite3* database, const char* statement) {
  if (sqlite3_exec(database, statement, nullptr, nullptr, nullptr) != SQLITE_OK) {
    Die(database, statement);
  }
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) {
    fmt::print(stderr, "usage: fill_keys DATABASE COUNT\n");
    return 2;
  }
  sqlite3* opened = nullptr;
  const bool good = sqlite3_open_v2(arguments[1], &opened, SQLITE_OPEN_READWRITE, nullptr) == 0;
  const std::unique_ptr<sqlite3, decltype(&sqlite3_close)> database(opened, &sqlite3_close);
  if (!good) Die(opened, arguments[1]);
  Execute(opened, "BEGIN");
  sqlite3_stmt* prepared = nullptr;
  constexpr const char* kInsert =
      "INSERT INTO api_key (hash, name, role, created_at_ms) VALUES (?, ?, 'user', 0)";
  if (sqlite3_prepare_v2(opened, kInsert, -1, &prepared, nullptr) != 0) Die(opened, kInsert);
  const std::unique_ptr<sqlite3_stmt, decltype(&sqlite3_finalize)> statement(prepared,
                                                                             &sqlite3_finalize);
  std::mt19937_64 random(1);
  for (int i = 0, wanted = std::atoi(arguments[2]); i < wanted; ++i) {
    std::array<std::uint64_t, 4> hash{};
    for (std::uint64_t& part : hash) part = random();
    const std::string name = fmt::format("team-{:04}-service-{:02}", i / 20, i % 20);
    sqlite3_bind_blob(prepared, 1, hash.data(), sizeof hash, SQLITE_TRANSIENT);
    sqlite3_bind_text(prepared, 2, name.c_str(), -1, SQLITE_TRANSIENT);
    if (sqlite3_step(prepared) != SQLITE_DONE) Die(opened, kInsert);
    sqlite3_reset(prepared);
  }
  Execute(opened, "COMMIT");
  return 0;
}
