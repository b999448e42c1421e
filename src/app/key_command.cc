// penstock key: make, list and revoke the keys of a running server.
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

struct KeyOptions {
  RemoteOptions remote;
  std::string name;
  std::string role = "user";
  std::vector<std::string> groups;
  bool json = false;
};

int Create(const KeyOptions& options) {
  const boost::json::object body{
      {"comment", options.name},
      {"role", options.role},
      {"groups", boost::json::array(options.groups.begin(), options.groups.end())}};
  const auto answer =
      CallForJson(options.remote, "POST", "/api/2.0/token/create", boost::json::serialize(body));
  if (!answer) return Report(answer.error());
  if (options.json) {
    PrintJson(boost::json::serialize(*answer));
  } else {
    fmt::print(stderr, "The secret of key {}; it is never shown again:\n", options.name);
    fmt::print("{}\n", JsonText(*answer, "token_value"));
  }
  return kExitGood;
}

int List(const KeyOptions& options) {
  const auto answer = CallForJson(options.remote, "GET", "/api/2.0/token/list", "");
  if (!answer) return Report(answer.error());
  if (options.json) {
    PrintJson(boost::json::serialize(*answer));
    return kExitGood;
  }
  TextTable table({"NAME", "ROLE", "GROUPS", "MADE (UTC)"});
  for (const auto& key : answer->at("token_infos").as_array()) {
    table.Add({JsonText(key, "token_id"), JsonText(key, "role"),
               JoinTexts(key.at("groups").as_array()),
               TimeText(key.at("creation_time").to_number<std::int64_t>())});
  }
  fmt::print("{}", table.ToString());
  return kExitGood;
}

int Revoke(const KeyOptions& options) {
  const boost::json::object body{{"token_id", options.name}};
  const auto answer =
      CallForJson(options.remote, "POST", "/api/2.0/token/delete", boost::json::serialize(body));
  if (!answer) return Report(answer.error());
  fmt::print(stderr, "Key {} is revoked.\n", options.name);
  return kExitGood;
}

}  // namespace

void AddKeyCommand(Program& program) {
  CLI::App* group = program.AddGroup("key", "Make, list and revoke keys");
  auto options = std::make_shared<KeyOptions>();
  CLI::App* create = program.Add(
      "create", "Make a key; its secret is printed once", [options] { return Create(*options); },
      group);
  AddRemoteFlags(*create, options->remote);
  create->add_option("name", options->name, "Who or what it is for")->required();
  AddFlag(*create, "--role", options->role, "user: calls endpoints; admin: changes them as well")
      ->check(CLI::IsMember({"user", "admin"}));
  AddFlag(*create, "--group", options->groups, "Group that it belongs to; may be repeated");
  AddSwitch(*create, "--json", options->json, "Print the answer as JSON");
  CLI::App* list =
      program.Add("list", "List all keys", [options] { return List(*options); }, group);
  AddRemoteFlags(*list, options->remote);
  AddSwitch(*list, "--json", options->json, "Print JSON instead of a table");
  CLI::App* revoke = program.Add(
      "revoke", "Revoke a key: requests with it end now, further ones are refused",
      [options] { return Revoke(*options); }, group);
  AddRemoteFlags(*revoke, options->remote);
  revoke->add_option("name", options->name, "The key")->required();
}

}  // namespace penstock::app
