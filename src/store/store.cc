#include "store/store.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <sstream>

#include "store/rows.h"
#include "store/schema.h"

namespace penstock::store {
namespace {

EndpointRecord ReadEndpoint(const Statement& row) {
  return {.id = row.Text(0),
          .name = row.Text(1),
          .definition = row.Text(2),
          .config_version = row.Integer(3),
          .update_state = row.Text(4),
          .update_message = row.Text(5),
          .creator = row.Text(6),
          .created_at = FromMs(row.Integer(7)),
          .updated_at = FromMs(row.Integer(8))};
}

KeyRecord ReadKey(const Statement& row) {
  KeyRecord key{.hash = row.Blob(0),
                .name = row.Text(1),
                .role = row.Text(2),
                .created_at = FromMs(row.Integer(3))};
  // Names hold no commas.
  std::istringstream groups(row.Text(4));
  for (std::string group; std::getline(groups, group, ',');) key.groups.push_back(group);
  std::ranges::sort(key.groups);
  return key;
}

}  // namespace

Result<Store> Store::Open(const std::string& database_path) {
  auto database = Database::Open(database_path, kApplicationId);
  if (!database) return Fail(database.error());
  if (auto migrated = MigrateSchema(*database); !migrated) return Fail(migrated.error());
  return Store(std::move(*database));
}

Status Store::AddEndpoint(const EndpointRecord& endpoint) {
  auto insert = database_.Prepare(
      "INSERT INTO endpoint (id, name, definition, config_version, update_state, update_message, "
      "creator, created_at_ms, updated_at_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)");
  if (!insert) return Fail(insert.error());
  insert->Bind(1, endpoint.id).Bind(2, endpoint.name).Bind(3, endpoint.definition);
  insert->Bind(4, endpoint.config_version).Bind(5, endpoint.update_state);
  insert->Bind(6, endpoint.update_message).Bind(7, endpoint.creator);
  insert->Bind(8, ToMs(endpoint.created_at)).Bind(9, ToMs(endpoint.updated_at));
  return insert->Run();
}

Result<std::vector<EndpointRecord>> Store::ListEndpoints() {
  auto query = database_.Prepare(
      "SELECT id, name, definition, config_version, update_state, update_message, creator, "
      "created_at_ms, updated_at_ms FROM endpoint ORDER BY name");
  if (!query) return Fail(query.error());
  return ReadAll(*query, ReadEndpoint);
}

Status Store::DeleteEndpoint(std::string_view id) {
  auto statement = database_.Prepare("DELETE FROM endpoint WHERE id = ?1");
  if (!statement) return Fail(statement.error());
  statement->Bind(1, id);
  return RunOnExisting(*statement, fmt::format("endpoint with id {}", id));
}

Status Store::AddKey(const KeyRecord& key) {
  auto insert = database_.Prepare(
      "INSERT INTO api_key (hash, name, role, created_at_ms) VALUES (?1, ?2, ?3, ?4)");
  if (!insert) return Fail(insert.error());
  insert->BindBlob(1, key.hash).Bind(2, key.name).Bind(3, key.role).Bind(4, ToMs(key.created_at));
  return insert->Run();
}

Result<std::vector<KeyRecord>> Store::ListKeys() {
  auto query = database_.Prepare(
      "SELECT hash, name, role, created_at_ms, coalesce((SELECT group_concat(group_name) "
      "FROM group_member WHERE key_name = api_key.name), '') FROM api_key ORDER BY name");
  if (!query) return Fail(query.error());
  return ReadAll(*query, ReadKey);
}

Status Store::DeleteKey(std::string_view name) {
  auto statement = database_.Prepare("DELETE FROM api_key WHERE name = ?1");
  if (!statement) return Fail(statement.error());
  statement->Bind(1, name);
  return RunOnExisting(*statement, fmt::format("key \"{}\"", name));
}

Status Store::PutSetting(std::string_view name, std::string_view value) {
  auto statement = database_.Prepare(
      "INSERT INTO setting (name, value) VALUES (?1, ?2) "
      "ON CONFLICT (name) DO UPDATE SET value = excluded.value");
  if (!statement) return Fail(statement.error());
  return statement->Bind(1, name).Bind(2, value).Run();
}

Result<std::optional<std::string>> Store::GetSetting(std::string_view name) {
  auto query = database_.Prepare("SELECT value FROM setting WHERE name = ?1");
  if (!query) return Fail(query.error());
  auto row = query->Bind(1, name).Step();
  if (!row) return Fail(row.error());
  if (!*row) return std::nullopt;
  return query->Text(0);
}

Status Store::RunOnExisting(Statement& statement, const std::string& what) {
  if (auto run = statement.Run(); !run) return run;
  if (database_.changes() == 0)
    return Fail(Code::kNotFound, fmt::format("{} does not exist", what));
  return {};
}

}  // namespace penstock::store
