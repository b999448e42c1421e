// penstock apply: endpoints from a YAML file, for people who keep them in git. Shows the
// difference first.
//
//   endpoints:
//     - name: chat
//       config:
//         served_entities: [{entity_name: main.models.tiny, entity_version: 1, …}]
//       tags: [{key: team, value: search}]
//
// Each element is the body of a create request. An endpoint that is not in the file is left alone,
// unless --prune says otherwise.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>
#include <boost/json.hpp>

#include "app/command.h"
#include "app/endpoint_watch.h"
#include "app/flags.h"
#include "app/json_print.h"
#include "app/remote.h"
#include "app/text_table.h"

namespace penstock::app {

namespace {

struct ApplyOptions {
  RemoteOptions remote;
  std::string file;
  bool yes = false;
  bool prune = false;
  bool json = false;
};

constexpr int kDepthMax = 32;

boost::json::value ScalarOf(const YAML::Node& node) {
  const auto text = node.as<std::string>();
  if (node.Tag() == "!") return boost::json::value(text);  // Quoted: a string.
  boost::system::error_code failure;
  boost::json::value parsed = boost::json::parse(text, failure);
  const bool plain = !failure && (parsed.is_number() || parsed.is_bool() || parsed.is_null());
  return plain ? parsed : boost::json::value(text);
}

boost::json::value JsonOf(const YAML::Node& node, int depth = 0) {
  if (depth > kDepthMax) throw YAML::Exception(node.Mark(), "nested too deeply");
  if (node.IsMap()) {
    boost::json::object object;
    for (const auto& entry : node) {
      object[entry.first.as<std::string>()] = JsonOf(entry.second, depth + 1);
    }
    return object;
  }
  if (node.IsSequence()) {
    boost::json::array array;
    for (const YAML::Node& element : node) array.push_back(JsonOf(element, depth + 1));
    return array;
  }
  return node.IsNull() ? boost::json::value() : ScalarOf(node);
}

// The fields that the API knows, by where they stand. What is deeper, the server checks.
const std::map<std::string, std::set<std::string, std::less<>>, std::less<>>& KnownFields() {
  static const std::set<std::string, std::less<>> kEntity = {"entity_name",
                                                             "entity_version",
                                                             "model_name",
                                                             "model_version",
                                                             "name",
                                                             "external_model",
                                                             "min_provisioned_throughput",
                                                             "max_provisioned_throughput",
                                                             "provisioned_model_units",
                                                             "burst_scaling_enabled",
                                                             "min_provisioned_concurrency",
                                                             "max_provisioned_concurrency",
                                                             "workload_size",
                                                             "workload_type",
                                                             "scale_to_zero_enabled",
                                                             "environment_vars",
                                                             "instance_profile_arn",
                                                             "strategy",
                                                             "isolation",
                                                             "overload"};
  static const std::map<std::string, std::set<std::string, std::less<>>, std::less<>> kKnown = {
      {"",
       {"name", "config", "tags", "description", "ai_gateway", "rate_limits", "route_optimized",
        "budget_policy_id", "email_notifications", "telemetry_config"}},
      {"config", {"served_entities", "served_models", "traffic_config", "auto_capture_config"}},
      {"config.served_entities[]", kEntity},
      {"config.served_models[]", kEntity},
      {"config.traffic_config", {"routes"}},
      {"config.traffic_config.routes[]",
       {"served_entity_name", "served_model_name", "traffic_percentage"}},
      {"config.auto_capture_config",
       {"catalog_name", "schema_name", "table_name_prefix", "enabled"}},
      {"tags[]", {"key", "value"}}};
  return kKnown;
}

// The path of the first field that nobody knows; "" if there is none. `place`: as in KnownFields.
std::string UnknownField(const boost::json::value& json, const std::string& place,
                         const std::string& path) {
  if (const auto* array = json.if_array(); array != nullptr) {
    for (std::size_t i = 0; i < array->size(); ++i) {
      auto unknown = UnknownField((*array)[i], place + "[]", fmt::format("{}[{}]", path, i));
      if (!unknown.empty()) return unknown;
    }
  }
  const auto known = KnownFields().find(place);
  const auto* object = json.if_object();
  if (object == nullptr || known == KnownFields().end()) return {};
  for (const auto& [key, value] : *object) {
    const std::string name(key);
    const std::string here = path.empty() ? name : path + "." + name;
    if (!known->second.contains(name)) return here;
    auto unknown = UnknownField(value, place.empty() ? name : place + "." + name, here);
    if (!unknown.empty()) return unknown;
  }
  return {};
}

// What is wrong with the list as a whole; "" if nothing.
std::string ProblemOf(const std::vector<boost::json::object>& endpoints) {
  std::set<std::string> names;
  for (const boost::json::object& endpoint : endpoints) {
    const std::string name = JsonText(endpoint, "name");
    if (!names.insert(name).second) return fmt::format("endpoint '{}' stands there twice", name);
    const std::string unknown = UnknownField(endpoint, "", "");
    if (!unknown.empty()) return fmt::format("endpoint '{}': {} is not a field", name, unknown);
  }
  return {};
}

Result<std::vector<boost::json::object>> ReadFile(const std::string& path) {
  const auto refuse = [&path](const std::string& why) {
    return Fail(Code::kInvalidArgument, fmt::format("--file {}: {}", path, why), "--file");
  };
  std::vector<boost::json::object> endpoints;
  try {
    const YAML::Node root = YAML::LoadFile(path == "-" ? "/dev/stdin" : path);
    if (!root.IsMap() || !root["endpoints"] || !root["endpoints"].IsSequence()) {
      return refuse("expected 'endpoints:' with a list, and nothing beside it");
    }
    for (const auto& entry : root) {
      const auto key = entry.first.as<std::string>();
      if (key != "endpoints") return refuse(fmt::format("'{}' stands beside 'endpoints'", key));
    }
    for (const YAML::Node& node : root["endpoints"]) {
      boost::json::value json = JsonOf(node);
      if (!json.is_object() || JsonText(json, "name").empty()) {
        return refuse("each endpoint needs a name");
      }
      endpoints.push_back(std::move(json.get_object()));
    }
  } catch (const YAML::BadFile&) {
    return refuse("cannot be read");
  } catch (const YAML::Exception& exception) {
    return refuse(exception.what());
  }
  if (const std::string problem = ProblemOf(endpoints); !problem.empty()) return refuse(problem);
  return endpoints;
}

struct Change {
  std::string kind;  // create, update, delete, same
  std::string name;
  std::vector<std::string> lines;  // "+ max_provisioned_throughput: 200"
  boost::json::object wanted = {};
  std::vector<std::string> parts = {};      // Of `wanted` that differ: "config", "tags", …
  std::vector<std::string> tags_gone = {};  // Keys that are there and not in the file.
};

// What an entity has when nothing is said. A field that the file lacks, and that is otherwise
// there, has been taken out of the file.
const boost::json::object& EntityDefaults() {
  static const boost::json::object kDefaults = {{"min_provisioned_throughput", nullptr},
                                                {"max_provisioned_throughput", nullptr},
                                                {"workload_size", nullptr},
                                                {"workload_type", nullptr},
                                                {"scale_to_zero_enabled", false},
                                                {"strategy", "balanced"},
                                                {"isolation", "dedicated"},
                                                {"overload", "queue"}};
  return kDefaults;
}

void CompareDefaults(const boost::json::object& wanted, const boost::json::object& present,
                     const std::string& path, std::vector<std::string>& lines) {
  if (!present.contains("strategy")) return;  // No served entity.
  for (const auto& [key, usual] : EntityDefaults()) {
    const auto* found = present.if_contains(key);
    if (found == nullptr || *found == usual || wanted.contains(key)) continue;
    const bool follows = key.ends_with("provisioned_throughput");  // From the units.
    if (follows && wanted.contains("provisioned_model_units")) continue;
    lines.push_back(
        fmt::format("- {}.{}: {}", path, std::string_view(key), boost::json::serialize(*found)));
  }
}

// A field whose value is a key in clear: never printed, and never there to compare with.
bool IsSecret(const std::string& path) { return path.ends_with("_plaintext"); }

// What of `wanted` is otherwise in `present`; fields that are only in `present` are the server's.
void Compare(const boost::json::value& wanted, const boost::json::value* present,
             const std::string& path, std::vector<std::string>& lines) {
  if (const auto* object = wanted.if_object(); object != nullptr) {
    for (const auto& [key, value] : *object) {
      const auto* inner = present == nullptr || !present->is_object()
                              ? nullptr
                              : present->get_object().if_contains(key);
      Compare(value, inner, path.empty() ? std::string(key) : path + "." + std::string(key), lines);
    }
    if (present != nullptr && present->is_object()) {
      CompareDefaults(*object, present->get_object(), path, lines);
    }
    return;
  }
  if (const auto* array = wanted.if_array(); array != nullptr) {
    const auto* others = present == nullptr ? nullptr : present->if_array();
    for (std::size_t i = 0; i < array->size(); ++i) {
      const auto* other = others == nullptr || i >= others->size() ? nullptr : &(*others)[i];
      Compare((*array)[i], other, fmt::format("{}[{}]", path, i), lines);
    }
    for (std::size_t i = array->size(); others != nullptr && i < others->size(); ++i) {
      lines.push_back(fmt::format("- {}[{}]: {}", path, i, boost::json::serialize((*others)[i])));
    }
    return;
  }
  if (IsSecret(path)) {
    lines.push_back(fmt::format("+ {}: (a key: not shown, not compared, sent again)", path));
    return;
  }
  // Versions are strings in answers, and numbers where people write them.
  const auto text = [](const boost::json::value& value) {
    return value.is_string() ? std::string(value.get_string()) : boost::json::serialize(value);
  };
  if (present != nullptr && text(wanted) == text(*present)) return;
  if (present != nullptr) lines.push_back(fmt::format("- {}: {}", path, text(*present)));
  lines.push_back(fmt::format("+ {}: {}", path, text(wanted)));
}

// Their order says nothing, and the server's is by their last change.
boost::json::object ByKey(const boost::json::value* tags) {
  boost::json::object by_key;
  const auto* array = tags == nullptr ? nullptr : tags->if_array();
  for (const auto& tag : array == nullptr ? boost::json::array() : *array) {
    by_key[JsonText(tag, "key")] = JsonText(tag, "value");
  }
  return by_key;
}

void CompareTags(const boost::json::value& wanted, const boost::json::value* present,
                 Change& change) {
  const boost::json::object there = ByKey(present);
  const boost::json::object here = ByKey(&wanted);
  Compare(here, std::make_unique<boost::json::value>(there).get(), "tags", change.lines);
  for (const auto& [key, value] : there) {
    if (here.contains(key)) continue;
    change.tags_gone.emplace_back(key);
    change.lines.push_back(
        fmt::format("- tags.{}: {}", std::string_view(key), std::string_view(value.as_string())));
  }
}

Result<Change> ChangeOf(const RemoteOptions& remote, const boost::json::object& wanted) {
  Change change{.kind = "same", .name = JsonText(wanted, "name"), .lines = {}, .wanted = wanted};
  const auto present = CallForJson(remote, "GET", EndpointPath(change.name), "");
  if (!present && present.error().code != Code::kNotFound) return Fail(present.error());
  if (!present) {
    change.kind = "create";
    Compare(wanted, nullptr, "", change.lines);
    return change;
  }
  for (const char* part :
       {"config", "tags", "ai_gateway", "rate_limits", "email_notifications", "telemetry_config"}) {
    const auto* value = wanted.if_contains(part);
    if (value == nullptr) continue;
    const auto* there = JsonAt(*present, part);
    const std::size_t before = change.lines.size();
    if (part == std::string_view("tags")) {
      CompareTags(*value, there, change);
    } else {
      const auto* pending = JsonAt(*present, fmt::format("pending_{}", part));
      Compare(*value, pending == nullptr ? there : pending, part, change.lines);
    }
    if (change.lines.size() > before) change.parts.emplace_back(part);
  }
  if (!change.lines.empty()) change.kind = "update";
  for (const char* part : {"description", "budget_policy_id"}) {
    if (!wanted.contains(part) || JsonText(wanted, part) == JsonText(*present, part)) continue;
    fmt::print(stderr, "penstock: {}: {} is set when an endpoint is made, and stays\n", change.name,
               part);
  }
  return change;
}

Result<std::vector<Change>> ChangesOf(const ApplyOptions& options) {
  const auto wanted = ReadFile(options.file);
  if (!wanted) return Fail(wanted.error());
  std::vector<Change> changes;
  for (const boost::json::object& endpoint : *wanted) {
    auto change = ChangeOf(options.remote, endpoint);
    if (!change) return Fail(change.error());
    changes.push_back(std::move(*change));
  }
  if (!options.prune) return changes;
  const auto all = CallForJson(options.remote, "GET", kEndpointsPath, "");
  if (!all) return Fail(all.error());
  for (const auto& endpoint : all->at("endpoints").as_array()) {
    const std::string name = JsonText(endpoint, "name");
    const bool kept = std::any_of(changes.begin(), changes.end(),
                                  [&name](const Change& change) { return change.name == name; });
    if (!kept) changes.push_back({.kind = "delete", .name = name, .lines = {}, .wanted = {}});
  }
  return changes;
}

Status Make(const RemoteOptions& remote, const Change& change) {
  const auto call = [&remote](std::string_view method, const std::string& path,
                              const boost::json::value& body) -> Status {
    const auto done = CallForJson(remote, method, path, boost::json::serialize(body));
    if (!done) return Fail(done.error());
    return {};
  };
  if (change.kind == "delete") return call("DELETE", EndpointPath(change.name), {});
  if (change.kind == "create") return call("POST", kEndpointsPath, change.wanted);
  for (const std::string& part : change.parts) {
    const auto& value = change.wanted.at(part);
    Status done;
    if (part == "config") done = call("PUT", EndpointPath(change.name) + "/config", value);
    if (part == "ai_gateway") done = call("PUT", EndpointPath(change.name) + "/ai-gateway", value);
    if (part == "rate_limits") {
      done = call("PUT", EndpointPath(change.name) + "/rate-limits",
                  boost::json::object{{"rate_limits", value}});
    }
    if (part == "email_notifications") {
      done = call("PATCH", EndpointPath(change.name) + "/notifications",
                  boost::json::object{{part, value}});
    }
    if (part == "telemetry_config") {
      done = call("PATCH", EndpointPath(change.name) + "/telemetry-config",
                  boost::json::object{{part, value}});
    }
    if (part == "tags") {
      const boost::json::array gone(change.tags_gone.begin(), change.tags_gone.end());
      done = call("PATCH", EndpointPath(change.name) + "/tags",
                  boost::json::object{{"add_tags", value}, {"delete_tags", gone}});
    }
    if (!done) return done;
  }
  return {};
}

// True: the person at the terminal agrees.
bool Agreed() {
  if (isatty(STDIN_FILENO) == 0) {
    fmt::print(stderr, "penstock: stdin is no terminal: nothing is changed without --yes\n");
    return false;
  }
  fmt::print(stderr, "Apply these changes? [y/N] ");
  const int answer = std::getchar();
  return answer == 'y' || answer == 'Y';
}

int Run(const ApplyOptions& options) {
  const auto changes = ChangesOf(options);
  if (!changes) return Report(changes.error());
  if (changes->empty()) {
    fmt::print(stderr, "penstock: --file {} names no endpoint: nothing is to be done\n",
               options.file);
  }
  bool any = false;
  boost::json::array told;
  for (const Change& change : *changes) {
    if (change.kind != "same") any = true;
    boost::json::array lines(change.lines.begin(), change.lines.end());
    told.push_back({{"name", change.name}, {"change", change.kind}, {"lines", std::move(lines)}});
    if (options.json) continue;
    fmt::print("{} {}\n", change.kind, change.name);
    for (const std::string& line : change.lines) fmt::print("  {}\n", line);
  }
  if (options.json) PrintJson(boost::json::serialize(told));
  if (!any || (!options.yes && !Agreed())) return any ? kExitMissedGoal : kExitGood;
  for (const Change& change : *changes) {
    if (change.kind == "same") continue;
    if (const Status made = Make(options.remote, change); !made) return Report(made.error());
    fmt::print(stderr, "{}: {} asked for\n", change.name, change.kind);
  }
  return kExitGood;
}

}  // namespace

void AddApplyCommand(Program& program) {
  auto options = std::make_shared<ApplyOptions>();
  CLI::App* command =
      program.Add("apply", "Bring endpoints to what a YAML file says, showing the difference first",
                  [options] { return Run(*options); });
  AddRemoteFlags(*command, options->remote);
  command->add_option("-f,--file", options->file, "YAML file; -: stdin")->required();
  AddSwitch(*command, "--yes", options->yes, "Change without asking");
  AddSwitch(*command, "--prune", options->prune, "Delete endpoints that the file does not name");
  AddSwitch(*command, "--json", options->json, "Print the difference as JSON");
}

}  // namespace penstock::app
