// Rows: from a statement's rows to records. Inside the store only.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "store/database.h"

namespace penstock::store {

inline std::int64_t ToMs(WallTime time) { return time.time_since_epoch().count(); }
inline WallTime FromMs(std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }

template <typename Record>
Result<std::vector<Record>> ReadAll(Statement& statement, Record (*read)(const Statement&)) {
  std::vector<Record> records;
  for (;;) {
    auto row = statement.Step();
    if (!row) return Fail(row.error());
    if (!*row) return records;
    records.push_back(read(statement));
  }
}

template <typename Record>
Result<std::optional<Record>> ReadOne(Statement& statement, Record (*read)(const Statement&)) {
  auto row = statement.Step();
  if (!row) return Fail(row.error());
  if (!*row) return std::nullopt;
  return read(statement);
}

}  // namespace penstock::store
