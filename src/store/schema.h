// Schema: the tables, and how a database of an older version becomes one of this version.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "base/result.h"
#include "store/database.h"

namespace penstock::store {

// Marks a file as ours in SQLite's `application_id`: "PNST".
inline constexpr std::int64_t kApplicationId = 0x504E5354;

// Step i turns version i into version i + 1. A step that was released is never changed again.
std::span<const std::string_view> SchemaSteps();

// Brings `database` to the newest version, in one transaction. Errors: kUnsupported (written by a
// newer Penstock), and what SQLite says.
Status MigrateSchema(Database& database, std::span<const std::string_view> steps = SchemaSteps());

}  // namespace penstock::store
