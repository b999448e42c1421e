// KeyService: makes, lists and revokes keys over REST, as Databricks' token API writes them, and
// the groups that they belong to, as its groups API does.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <string_view>
#include <utility>

#include "base/clock.h"
#include "base/result.h"
#include "store/store.h"

namespace penstock::control {

class KeyService {
 public:
  // `store` is borrowed and outlives this. `on_change` is called after each change that is durable.
  KeyService(store::Store& store, std::function<void()> on_change)
      : store_(store), on_change_(std::move(on_change)) {}

  // {"comment": NAME, "role": "user" | "admin", "groups": [NAME]} -> {"token_value", "token_info"}.
  // The secret is never shown again.
  Result<boost::json::object> Create(std::string_view body, WallTime now);
  Result<boost::json::object> List(std::string_view body, WallTime now);
  // {"token_id": NAME}. kNotFound; kConflict for the last admin key.
  Result<boost::json::object> Delete(std::string_view body, WallTime now);

  // {"group_name": NAME}. kAlreadyExists; kExhausted: too many.
  Result<boost::json::object> CreateGroup(std::string_view body, WallTime now);
  // {"group_names": [NAME], "groups": [{"group_name", "creation_time", "members": [KEY]}]}
  Result<boost::json::object> ListGroups(std::string_view body, WallTime now);
  // {"group_name": NAME}: its members stay. kNotFound.
  Result<boost::json::object> DeleteGroup(std::string_view body, WallTime now);
  // {"parent_name": GROUP, "user_name": KEY}. kNotFound for either; kExhausted: the key is in too
  // many; kUnsupported for a group in a group.
  Result<boost::json::object> AddMember(std::string_view body, WallTime now);
  Result<boost::json::object> RemoveMember(std::string_view body, WallTime now);
  // Of a query: {"members": [{"user_name"}]} of a group; {"group_names"} of a key. kNotFound.
  Result<boost::json::object> MembersOf(std::string_view group);
  Result<boost::json::object> GroupsOf(std::string_view key);

 private:
  store::Store& store_;
  std::function<void()> on_change_;
};

}  // namespace penstock::control
