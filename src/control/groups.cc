// Groups over REST: the half of KeyService that is about them.
#include "control/groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "control/json_reader.h"
#include "control/key_service.h"
#include "control/names.h"

namespace penstock::control {
namespace {

using boost::json::object;

Error NoSuchKey(std::string_view name) {
  return {Code::kNotFound, fmt::format("key {} does not exist", name.substr(0, 80)), "user_name"};
}

Result<std::string> NameIn(std::string_view body) {
  const auto json = ParseJsonObject(body);
  if (!json) return Fail(json.error());
  std::optional<Error> failure;
  JsonReader reader(*json, "", failure);
  std::string name = reader.RequiredString("group_name");
  if (failure) return Fail(std::move(*failure));
  return name;
}

struct Member {
  std::string group;
  std::string key;
};

Result<Member> MemberIn(std::string_view body) {
  const auto json = ParseJsonObject(body);
  if (!json) return Fail(json.error());
  std::optional<Error> failure;
  JsonReader reader(*json, "", failure);
  if (reader.Has("group_name")) {
    reader.Refuse({Code::kUnsupported, "a group cannot belong to a group here", "group_name"});
  }
  Member member{.group = reader.RequiredString("parent_name"), .key = {}};
  if (!failure) member.key = reader.RequiredString("user_name");
  if (failure) return Fail(std::move(*failure));
  return member;
}

bool IsIn(const store::KeyRecord& key, std::string_view group) {
  return std::ranges::find(key.groups, group) != key.groups.end();
}

Result<store::KeyRecord> FindKey(store::Store& store, std::string_view name) {
  const auto keys = store.ListKeys();
  if (!keys) return Fail(keys.error());
  const auto found = std::ranges::find(*keys, name, &store::KeyRecord::name);
  if (found == keys->end()) return Fail(NoSuchKey(name));
  return *found;
}

}  // namespace

Status CheckGroup(store::Store& store, const std::string& name) {
  const auto groups = store.ListGroups();
  if (!groups) return Fail(groups.error());
  if (std::ranges::find(*groups, name, &store::GroupRecord::name) != groups->end()) return {};
  return Fail(Code::kNotFound, fmt::format("group {} does not exist", name.substr(0, 80)),
              "group_name");
}

Error TooManyGroups(const std::string& key) {
  return {Code::kExhausted,
          fmt::format("key {} would be in more than {} groups, the most there may be", key,
                      kGroupsOfKeyMax),
          "user_name"};
}

Result<object> KeyService::CreateGroup(std::string_view body, WallTime now) {
  const auto name = NameIn(body);
  if (!name) return Fail(name.error());
  if (auto good = CheckEndpointName(*name, "group_name"); !good) return Fail(good.error());
  const auto groups = store_.ListGroups();
  if (!groups) return Fail(groups.error());
  if (groups->size() >= kGroupsMax) {
    return Fail(Code::kExhausted,
                fmt::format("there are {} groups, the most there may be", kGroupsMax));
  }
  const auto added = store_.AddGroup({.name = *name, .created_at = now});
  if (added) return object{{"group_name", *name}};
  if (added.error().code != Code::kAlreadyExists) return Fail(added.error());
  return Fail(Code::kAlreadyExists, fmt::format("a group named {} exists already", *name),
              "group_name");
}

Result<object> KeyService::ListGroups(std::string_view, WallTime) {
  const auto groups = store_.ListGroups();
  if (!groups) return Fail(groups.error());
  const auto keys = store_.ListKeys();
  if (!keys) return Fail(keys.error());
  boost::json::array names;
  boost::json::array details;
  for (const store::GroupRecord& group : *groups) {
    boost::json::array members;
    for (const store::KeyRecord& key : *keys) {
      if (IsIn(key, group.name)) members.emplace_back(key.name);
    }
    names.emplace_back(group.name);
    details.push_back(object{{"group_name", group.name},
                             {"creation_time", group.created_at.time_since_epoch().count()},
                             {"members", std::move(members)}});
  }
  return object{{"group_names", std::move(names)}, {"groups", std::move(details)}};
}

Result<object> KeyService::DeleteGroup(std::string_view body, WallTime) {
  const auto name = NameIn(body);
  if (!name) return Fail(name.error());
  if (auto exists = CheckGroup(store_, *name); !exists) return Fail(exists.error());
  if (auto deleted = store_.DeleteGroup(*name); !deleted) return Fail(deleted.error());
  on_change_();
  return object();
}

Result<object> KeyService::AddMember(std::string_view body, WallTime) {
  const auto member = MemberIn(body);
  if (!member) return Fail(member.error());
  if (auto exists = CheckGroup(store_, member->group); !exists) return Fail(exists.error());
  const auto key = FindKey(store_, member->key);
  if (!key) return Fail(key.error());
  const bool is_in = IsIn(*key, member->group);
  if (!is_in && key->groups.size() >= kGroupsOfKeyMax) return Fail(TooManyGroups(key->name));
  const auto added = store_.AddGroupMember(member->group, member->key);
  if (!added) return Fail(added.error());
  on_change_();
  return object();
}

Result<object> KeyService::RemoveMember(std::string_view body, WallTime) {
  const auto member = MemberIn(body);
  if (!member) return Fail(member.error());
  if (auto exists = CheckGroup(store_, member->group); !exists) return Fail(exists.error());
  const auto removed = store_.RemoveGroupMember(member->group, member->key);
  if (!removed) return Fail(removed.error());
  on_change_();
  return object();
}

Result<object> KeyService::MembersOf(std::string_view group) {
  if (auto exists = CheckGroup(store_, std::string(group)); !exists) return Fail(exists.error());
  const auto keys = store_.ListKeys();
  if (!keys) return Fail(keys.error());
  boost::json::array members;
  for (const store::KeyRecord& key : *keys) {
    if (IsIn(key, group)) members.push_back(object{{"user_name", key.name}});
  }
  return object{{"members", std::move(members)}};
}

Result<object> KeyService::GroupsOf(std::string_view name) {
  const auto key = FindKey(store_, name);
  if (!key) return Fail(key.error());
  return object{{"group_names", boost::json::array(key->groups.begin(), key->groups.end())}};
}

}  // namespace penstock::control
