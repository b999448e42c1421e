// penstock endpoint tags, permissions: what stands beside an endpoint's configuration.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "app/command.h"
#include "app/endpoint_watch.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "app/remote.h"
#include "app/text_table.h"
#include "http/url.h"

namespace penstock::app {

namespace {

struct TagOptions {
  RemoteOptions remote;
  std::string name;
  std::vector<std::string> set;
  std::vector<std::string> remove;
  bool json = false;
};

struct PermissionOptions {
  RemoteOptions remote;
  std::string name;
  std::vector<std::string> users;
  std::vector<std::string> groups;
  bool replace = false;
  bool json = false;
};

// "KEY=VALUE"; what stands behind the last '=' is the value of a permission, a tag's may have more.
Result<std::pair<std::string, std::string>> Split(const std::string& text, const char* flag,
                                                  const char* form) {
  const std::size_t equals = text.find('=');
  if (equals != std::string::npos && equals > 0) {
    return std::pair(text.substr(0, equals), text.substr(equals + 1));
  }
  return Fail(Code::kInvalidArgument, fmt::format("{} must be {}, got '{}'", flag, form, text),
              flag);
}

int ShowTags(const boost::json::value* tags, bool json) {
  const boost::json::value none = boost::json::array();
  const boost::json::value& list = tags == nullptr ? none : *tags;
  if (json) {
    PrintJson(boost::json::serialize(list));
    return kExitGood;
  }
  TextTable table({"TAG", "VALUE"});
  for (const auto& tag : list.as_array()) table.Add({JsonText(tag, "key"), JsonText(tag, "value")});
  fmt::print("{}", list.as_array().empty() ? "No tags.\n" : table.ToString());
  return kExitGood;
}

int Tags(const TagOptions& options) {
  const std::string path = EndpointPath(options.name);
  if (options.set.empty() && options.remove.empty()) {
    const auto endpoint = CallForJson(options.remote, "GET", path, "");
    if (!endpoint) return Report(endpoint.error());
    return ShowTags(JsonAt(*endpoint, "tags"), options.json);
  }
  boost::json::array add;
  for (const std::string& text : options.set) {
    const auto pair = Split(text, "--set", "KEY=VALUE");
    if (!pair) return Report(pair.error());
    add.push_back({{"key", pair->first}, {"value", pair->second}});
  }
  const boost::json::array gone(options.remove.begin(), options.remove.end());
  const boost::json::object body{{"add_tags", std::move(add)}, {"delete_tags", gone}};
  const auto answer =
      CallForJson(options.remote, "PATCH", path + "/tags", boost::json::serialize(body));
  if (!answer) return Report(answer.error());
  return ShowTags(JsonAt(*answer, "tags"), options.json);
}

int ShowPermissions(const boost::json::value& answer, bool json) {
  if (json) {
    PrintJson(boost::json::serialize(answer));
    return kExitGood;
  }
  TextTable table({"WHO", "NAME", "PERMISSION"});
  const auto* list = JsonAt(answer, "access_control_list");
  const auto none = boost::json::array();
  const auto& entries = list == nullptr ? none : list->as_array();
  for (const auto& entry : entries) {
    const bool group = entry.as_object().contains("group_name");
    const std::string user = JsonText(entry, "user_name");
    table.Add({group ? "group" : "key",
               group          ? JsonText(entry, "group_name")
               : user.empty() ? JsonText(entry, "service_principal_name")
                              : user,
               JsonText(entry, "all_permissions.0.permission_level")});
  }
  fmt::print("{}", entries.empty()
                       ? "No permissions: every key may query it, admins may change it.\n"
                       : table.ToString());
  return kExitGood;
}

int Permissions(const PermissionOptions& options) {
  const auto endpoint = CallForJson(options.remote, "GET", EndpointPath(options.name), "");
  if (!endpoint) return Report(endpoint.error());
  const std::string path =
      fmt::format("/api/2.0/permissions/serving-endpoints/{}", JsonText(*endpoint, "id"));
  boost::json::array entries;
  for (const auto& [list, flag, field] : {std::tuple(&options.users, "--user", "user_name"),
                                          std::tuple(&options.groups, "--group", "group_name")}) {
    for (const std::string& text : *list) {
      const auto pair = Split(text, flag, "NAME=CAN_VIEW, NAME=CAN_QUERY or NAME=CAN_MANAGE");
      if (!pair) return Report(pair.error());
      entries.push_back({{field, pair->first}, {"permission_level", pair->second}});
    }
  }
  const bool changes = options.replace || !entries.empty();
  const boost::json::object body{{"access_control_list", std::move(entries)}};
  const auto answer = changes ? CallForJson(options.remote, options.replace ? "PUT" : "PATCH", path,
                                            boost::json::serialize(body))
                              : CallForJson(options.remote, "GET", path, "");
  if (!answer) return Report(answer.error());
  return ShowPermissions(*answer, options.json);
}

}  // namespace

void AddEndpointRightsCommands(Program& program, CLI::App* group) {
  auto tagged = std::make_shared<TagOptions>();
  CLI::App* tags = program.Add(
      "tags", "Show an endpoint's tags, set and delete them", [tagged] { return Tags(*tagged); },
      group);
  AddRemoteFlags(*tags, tagged->remote);
  tags->add_option("name", tagged->name, "The endpoint")->required();
  AddFlag(*tags, "--set", tagged->set, "KEY=VALUE; may be repeated");
  AddFlag(*tags, "--delete", tagged->remove, "Key of a tag that shall go; may be repeated");
  AddSwitch(*tags, "--json", tagged->json, "Print JSON instead of a table");

  auto permitted = std::make_shared<PermissionOptions>();
  CLI::App* permissions = program.Add(
      "permissions", "Show who may see, query and change an endpoint, and say so",
      [permitted] { return Permissions(*permitted); }, group);
  AddRemoteFlags(*permissions, permitted->remote);
  permissions->add_option("name", permitted->name, "The endpoint")->required();
  AddFlag(*permissions, "--user", permitted->users,
          "KEY=CAN_VIEW, KEY=CAN_QUERY or KEY=CAN_MANAGE; may be repeated");
  AddFlag(*permissions, "--group", permitted->groups, "Likewise, of a group of keys");
  AddSwitch(*permissions, "--replace", permitted->replace,
            "These and no others; without any: the list is gone, and every key may query");
  AddSwitch(*permissions, "--json", permitted->json, "Print the answer as JSON");
}

}  // namespace penstock::app
