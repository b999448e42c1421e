#include "control/key_service.h"

#include <fmt/format.h>

#include <string>

#include "control/json_reader.h"
#include "control/keys.h"

namespace penstock::control {
namespace {

boost::json::object InfoJson(const store::KeyRecord& key) {
  return {{"token_id", key.name},
          {"comment", key.name},
          {"role", key.role},
          {"creation_time", key.created_at.time_since_epoch().count()},
          {"expiry_time", -1}};
}

}  // namespace

Result<boost::json::object> KeyService::Create(std::string_view body, WallTime now) {
  const auto object = ParseJsonObject(body);
  if (!object) return Fail(object.error());
  std::optional<Error> failure;
  JsonReader reader(*object, "", failure);
  const std::string name = reader.RequiredString("comment");
  const std::string word = reader.String("role").value_or("user");
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
  const auto secret = CreateKey(store_, name, *role, now);
  if (!secret) return Fail(secret.error());
  on_change_();
  return boost::json::object{
      {"token_value", *secret},
      {"token_info", InfoJson({.hash = {}, .name = name, .role = word, .created_at = now})}};
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
