// Groups of keys in the store.
#include <fmt/format.h>

#include "store/rows.h"
#include "store/store.h"

namespace penstock::store {
namespace {

GroupRecord ReadGroup(const Statement& row) {
  return {.name = row.Text(0), .created_at = FromMs(row.Integer(1))};
}

}  // namespace

Status Store::AddGroup(const GroupRecord& group) {
  auto insert = database_.Prepare("INSERT INTO user_group (name, created_at_ms) VALUES (?1, ?2)");
  if (!insert) return Fail(insert.error());
  return insert->Bind(1, group.name).Bind(2, ToMs(group.created_at)).Run();
}

Result<std::vector<GroupRecord>> Store::ListGroups() {
  auto query = database_.Prepare("SELECT name, created_at_ms FROM user_group ORDER BY name");
  if (!query) return Fail(query.error());
  return ReadAll(*query, ReadGroup);
}

Status Store::DeleteGroup(std::string_view name) {
  auto statement = database_.Prepare("DELETE FROM user_group WHERE name = ?1");
  if (!statement) return Fail(statement.error());
  statement->Bind(1, name);
  return RunOnExisting(*statement, fmt::format("group \"{}\"", name));
}

Status Store::AddGroupMember(std::string_view group, std::string_view key) {
  auto insert = database_.Prepare(
      "INSERT INTO group_member (key_name, group_name) VALUES (?1, ?2) "
      "ON CONFLICT (key_name, group_name) DO NOTHING");
  if (!insert) return Fail(insert.error());
  return insert->Bind(1, key).Bind(2, group).Run();
}

Status Store::RemoveGroupMember(std::string_view group, std::string_view key) {
  auto statement =
      database_.Prepare("DELETE FROM group_member WHERE group_name = ?1 AND key_name = ?2");
  if (!statement) return Fail(statement.error());
  statement->Bind(1, group).Bind(2, key);
  return RunOnExisting(*statement, fmt::format("key \"{}\" in group \"{}\"", key, group));
}

}  // namespace penstock::store
