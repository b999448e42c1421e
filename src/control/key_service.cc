#include "control/key_service.h"

#include <fmt/format.h>

#include <string>

#include "control/groups.h"
#include "control/json_reader.h"
#include "control/keys.h"

namespace penstock::control {
namespace {

boost::json::object InfoJson(const store::KeyRecord& key) {
  return {{"token_id", key.name},
          {"comment", key.name},
          {"role", key.role},
          {"groups", boost::json::array(key.groups.begin(), key.groups.end())},
          {"creation_time", key.created_at.time_since_epoch().count()},
          {"expiry_time", -1}};
}

// The texts of a list; records a failure for anything else.
std::vector<std::string> Texts(JsonReader& reader, std::string_view field) {
  std::vector<std::string> texts;
  const boost::json::array* const array = reader.Array(field);
  for (std::size_t i = 0; array != nullptr && i < array->size(); ++i) {
    const boost::json::value& one = (*array)[i];
    if (one.is_string()) {
      texts.emplace_back(one.as_string());
    } else {
      reader.Refuse(field, "hold texts", one);
    }
  }
  return texts;
}

}  // namespace

Result<boost::json::object> KeyService::Create(std::string_view body, WallTime now) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  const std::string name = reader.RequiredString("comment");
  const std::string word = reader.String("role").value_or("user");
  const std::vector<std::string> groups = Texts(reader, "groups");
  if (reader.Integer("lifetime_seconds").value_or(-1) > 0) {
    reader.Refuse(
        {Code::kUnsupported, "keys do not expire here; revoke them instead", "lifetime_seconds"});
  }
  if (failure) return Fail(std::move(*failure));
  const auto role = policy::ParseRole(word);
  if (!role) {
    return Fail(Code::kInvalidArgument,
                fmt::format("role must be user or admin, got \"{}\"", word.substr(0, 80)), "role");
  }
  for (const std::string& group : groups) {
    if (auto exists = CheckGroup(store_, group); !exists) return Fail(exists.error());
  }
  if (groups.size() > kGroupsOfKeyMax) return Fail(TooManyGroups(name));
  const auto secret = CreateKey(store_, name, *role, now);
  if (!secret) return Fail(secret.error());
  for (const std::string& group : groups) {
    if (auto added = store_.AddGroupMember(group, name); !added) return Fail(added.error());
  }
  on_change_();
  return boost::json::object{
      {"token_value", *secret},
      {"token_info",
       InfoJson({.hash = {}, .name = name, .role = word, .created_at = now, .groups = groups})}};
}

Result<boost::json::object> KeyService::List(std::string_view, WallTime) {
  const auto keys = store_.ListKeys();
  if (!keys) return Fail(keys.error());
  boost::json::array infos;
  for (const store::KeyRecord& key : *keys) infos.push_back(InfoJson(key));
  return boost::json::object{{"token_infos", std::move(infos)}};
}

Result<boost::json::object> KeyService::Delete(std::string_view body, WallTime) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  const std::string name = reader.RequiredString("token_id");
  if (failure) return Fail(std::move(*failure));
  if (auto deleted = DeleteKey(store_, name); !deleted) return Fail(deleted.error());
  on_change_();
  return boost::json::object();
}

}  // namespace penstock::control
