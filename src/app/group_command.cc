// penstock group: make, list, fill and delete groups of keys of a running server.
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "app/command.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "app/remote.h"
#include "app/text_table.h"

namespace penstock::app {

namespace {

struct GroupOptions {
  RemoteOptions remote;
  std::string name;
  std::vector<std::string> keys;
  bool json = false;
};

int Post(const GroupOptions& options, const std::string& path, const boost::json::object& body,
         const std::string& done) {
  const auto answer =
      CallForJson(options.remote, "POST", "/api/2.0/groups/" + path, boost::json::serialize(body));
  if (!answer) return Report(answer.error());
  if (options.json) PrintJson(boost::json::serialize(*answer));
  fmt::print(stderr, "{}\n", done);
  return kExitGood;
}

int List(const GroupOptions& options) {
  const auto answer = CallForJson(options.remote, "GET", "/api/2.0/groups/list", "");
  if (!answer) return Report(answer.error());
  if (options.json) {
    PrintJson(boost::json::serialize(answer->at("groups")));
    return kExitGood;
  }
  TextTable table({"NAME", "MEMBERS", "MADE (UTC)"});
  for (const auto& group : answer->at("groups").as_array()) {
    table.Add({JsonText(group, "group_name"), JoinTexts(group.at("members").as_array()),
               TimeText(group.at("creation_time").to_number<std::int64_t>())});
  }
  fmt::print("{}", table.ToString());
  return kExitGood;
}

// Stops at the first key that cannot be added or removed.
int ForEachKey(const GroupOptions& options, const std::string& path, std::string_view done) {
  for (const std::string& key : options.keys) {
    const int code = Post(options, path, {{"parent_name", options.name}, {"user_name", key}},
                          fmt::format("Key {} {} group {}.", key, done, options.name));
    if (code != kExitGood) return code;
  }
  return kExitGood;
}

void AddKeys(CLI::App& command, GroupOptions& options) {
  AddRemoteFlags(command, options.remote);
  command.add_option("group", options.name, "The group")->required();
  command.add_option("keys", options.keys, "The keys")->required();
}

}  // namespace

void AddGroupCommand(Program& program) {
  CLI::App* group = program.AddGroup("group", "Make, list, fill and delete groups of keys");
  auto options = std::make_shared<GroupOptions>();
  CLI::App* create = program.Add(
      "create", "Make a group, which rate limits and permissions can name",
      [options] {
        return Post(*options, "create", {{"group_name", options->name}},
                    fmt::format("Group {} is there.", options->name));
      },
      group);
  AddRemoteFlags(*create, options->remote);
  create->add_option("name", options->name, "What rate limits call it")->required();
  AddSwitch(*create, "--json", options->json, "Print the answer as JSON");
  CLI::App* list = program.Add(
      "list", "List all groups and their keys", [options] { return List(*options); }, group);
  AddRemoteFlags(*list, options->remote);
  AddSwitch(*list, "--json", options->json, "Print JSON instead of a table");
  CLI::App* add = program.Add(
      "add", "Add keys to a group: its limits count them from now on",
      [options] { return ForEachKey(*options, "add-member", "is in"); }, group);
  AddKeys(*add, *options);
  CLI::App* remove = program.Add(
      "remove", "Take keys out of a group",
      [options] { return ForEachKey(*options, "remove-member", "is no more in"); }, group);
  AddKeys(*remove, *options);
  CLI::App* drop = program.Add(
      "delete", "Delete a group; its keys stay",
      [options] {
        return Post(*options, "delete", {{"group_name", options->name}},
                    fmt::format("Group {} is deleted.", options->name));
      },
      group);
  AddRemoteFlags(*drop, options->remote);
  drop->add_option("name", options->name, "The group")->required();
}

}  // namespace penstock::app
