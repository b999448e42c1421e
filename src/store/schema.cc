#include "store/schema.h"

#include <fmt/format.h>

#include <array>
#include <string>

namespace penstock::store {
namespace {

constexpr std::string_view kStep1 = R"sql(
CREATE TABLE setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE model (
  full_name TEXT PRIMARY KEY,
  comment TEXT NOT NULL,
  created_by TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL,
  last_version INTEGER NOT NULL  -- Of all versions ever: a number is never given twice.
) STRICT, WITHOUT ROWID;

CREATE TABLE model_version (
  full_name TEXT NOT NULL REFERENCES model ON DELETE CASCADE,
  version INTEGER NOT NULL,
  source TEXT NOT NULL,
  size_bytes INTEGER NOT NULL,
  fingerprint TEXT NOT NULL,
  format TEXT NOT NULL,          -- JSON.
  created_by TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  PRIMARY KEY (full_name, version)
) STRICT, WITHOUT ROWID;

CREATE TABLE endpoint (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL UNIQUE,
  definition TEXT NOT NULL,      -- JSON: what was asked for.
  config_version INTEGER NOT NULL,
  update_state TEXT NOT NULL,
  update_message TEXT NOT NULL,
  creator TEXT NOT NULL,
  created_at_ms INTEGER NOT NULL,
  updated_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE api_key (
  hash BLOB PRIMARY KEY CHECK (length(hash) = 32),
  name TEXT NOT NULL UNIQUE,
  role TEXT NOT NULL CHECK (role IN ('admin', 'user')),
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
)sql";

// The catalog: owners, aliases, what calibration found.
constexpr std::string_view kStepCatalog = R"sql(
ALTER TABLE model ADD COLUMN owner TEXT NOT NULL DEFAULT '';
ALTER TABLE model ADD COLUMN details TEXT NOT NULL DEFAULT '{}';          -- JSON: tags, prompt.
ALTER TABLE model_version ADD COLUMN status TEXT NOT NULL DEFAULT 'READY';
ALTER TABLE model_version ADD COLUMN details TEXT NOT NULL DEFAULT '{}';  -- JSON.
UPDATE model SET owner = created_by;

CREATE TABLE model_alias (
  full_name TEXT NOT NULL,
  alias TEXT NOT NULL,
  version INTEGER NOT NULL,
  PRIMARY KEY (full_name, alias),
  FOREIGN KEY (full_name, version) REFERENCES model_version ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

CREATE TABLE calibration (
  model_hash TEXT NOT NULL,
  hardware_hash TEXT NOT NULL,
  document TEXT NOT NULL,        -- JSON.
  measured_at_ms INTEGER NOT NULL,
  PRIMARY KEY (model_hash, hardware_hash)
) STRICT, WITHOUT ROWID;
)sql";

// What happened to endpoints, and what they were scaled to.
constexpr std::string_view kStepEndpoints = R"sql(
CREATE TABLE endpoint_event (
  number INTEGER PRIMARY KEY AUTOINCREMENT,
  endpoint_id TEXT NOT NULL,
  at_ms INTEGER NOT NULL,
  kind TEXT NOT NULL,
  served_entity TEXT NOT NULL,
  message TEXT NOT NULL
) STRICT;
CREATE INDEX endpoint_event_by_endpoint ON endpoint_event (endpoint_id, number);

CREATE TABLE billing_span (
  endpoint_id TEXT NOT NULL,
  served_entity TEXT NOT NULL,
  from_ms INTEGER NOT NULL,
  until_ms INTEGER NOT NULL,
  endpoint TEXT NOT NULL,
  model TEXT NOT NULL,
  unit TEXT NOT NULL,
  level INTEGER NOT NULL,
  replicas INTEGER NOT NULL,
  PRIMARY KEY (endpoint_id, served_entity, from_ms)
) STRICT, WITHOUT ROWID;
CREATE INDEX billing_span_by_end ON billing_span (until_ms);
)sql";

// Groups of keys.
constexpr std::string_view kStepGroups = R"sql(
CREATE TABLE user_group (
  name TEXT PRIMARY KEY,
  created_at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE group_member (
  key_name TEXT NOT NULL REFERENCES api_key (name) ON DELETE CASCADE,
  group_name TEXT NOT NULL REFERENCES user_group ON DELETE CASCADE,
  PRIMARY KEY (key_name, group_name)
) STRICT, WITHOUT ROWID;
CREATE INDEX group_member_by_group ON group_member (group_name);
)sql";

constexpr std::array kSteps = {kStep1, kStepCatalog, kStepEndpoints, kStepGroups};

}  // namespace

std::span<const std::string_view> SchemaSteps() { return kSteps; }

Status MigrateSchema(Database& database, std::span<const std::string_view> steps) {
  const auto version = database.QueryInteger("PRAGMA user_version");
  if (!version) return Fail(version.error());
  const auto newest = std::ssize(steps);
  if (*version == newest) return {};
  if (*version > newest || *version < 0) {
    return Fail(
        Code::kUnsupported,
        fmt::format("database {} has schema version {}, this program knows up to {}: it was "
                    "written by a newer Penstock",
                    database.path(), *version, newest),
        database.path());
  }
  auto transaction = Transaction::Begin(database);
  if (!transaction) return Fail(transaction.error());
  for (auto step = *version; step < newest; ++step) {
    const auto done = database.Execute(std::string(steps[static_cast<std::size_t>(step)]));
    if (!done) return done;
  }
  const auto marked = database.Execute(
      fmt::format("PRAGMA application_id = {}; PRAGMA user_version = {}", kApplicationId, newest));
  if (!marked) return marked;
  return transaction->Commit();
}

}  // namespace penstock::store
