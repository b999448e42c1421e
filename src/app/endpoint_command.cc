// penstock endpoint: create, change, list, show and delete endpoints of a running server.
#include <memory>
#include <string>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "app/command.h"
#include "app/endpoint_watch.h"
#include "app/flags.h"
#include "app/remote.h"
#include "app/text_table.h"
#include "http/url.h"

namespace penstock::app {

namespace {

// Which of these the line (or the environment) gave.
struct ConfigFlags {
  CLI::Option* model = nullptr;
  CLI::Option* version = nullptr;
  CLI::Option* minimum = nullptr;
  CLI::Option* maximum = nullptr;
  CLI::Option* scale_to_zero = nullptr;
  CLI::Option* strategy = nullptr;
  CLI::Option* isolation = nullptr;
};

struct CreateOptions {
  ConfigFlags flags;
  RemoteOptions remote;
  std::string name;
  std::string model;
  std::string version = "1";
  std::int64_t throughput_min = 0;
  std::int64_t throughput_max = 0;
  bool scale_to_zero = false;
  std::string strategy = "balanced";
  std::string isolation = "dedicated";
  bool wait = false;
  int wait_max_s = 1200;
  bool json = false;
};

// One of both given: the other is the same.
void SetRange(const CreateOptions& options, boost::json::object& entity) {
  const bool minimum = options.flags.minimum->count() > 0;
  const bool maximum = options.flags.maximum->count() > 0;
  if (!minimum && !maximum) return;
  const bool none = options.throughput_min == 0 && options.throughput_max == 0;
  entity.erase("provisioned_model_units");
  entity.erase("min_provisioned_throughput");
  entity.erase("max_provisioned_throughput");
  if (none) return;
  entity["min_provisioned_throughput"] = minimum ? options.throughput_min : options.throughput_max;
  entity["max_provisioned_throughput"] = maximum ? options.throughput_max : options.throughput_min;
}

boost::json::object ConfigOf(const CreateOptions& options) {
  boost::json::object entity{{"entity_name", options.model},
                             {"entity_version", options.version},
                             {"scale_to_zero_enabled", options.scale_to_zero},
                             {"strategy", options.strategy},
                             {"isolation", options.isolation}};
  SetRange(options, entity);
  return {{"served_entities", boost::json::array{std::move(entity)}}};
}

// The present configuration's served entity, as a request has it.
boost::json::object EntityOf(const boost::json::value& present) {
  boost::json::object entity;
  for (const char* key :
       {"entity_name", "entity_version", "external_model", "min_provisioned_throughput",
        "max_provisioned_throughput", "provisioned_model_units", "burst_scaling_enabled",
        "workload_size", "workload_type", "scale_to_zero_enabled", "strategy", "isolation",
        "overload"}) {
    if (const auto* value = JsonAt(present, key); value != nullptr) entity[key] = *value;
  }
  if (entity.contains("provisioned_model_units")) {
    entity.erase("min_provisioned_throughput");
    entity.erase("max_provisioned_throughput");
  }
  const std::string name = JsonText(present, "name");
  const std::string usual =
      fmt::format("{}-{}", JsonText(present, "entity_name"), JsonText(present, "entity_version"));
  if (name != usual) entity["name"] = name;
  return entity;
}

// What is not given stays as it is.
Result<boost::json::object> ChangedConfig(const CreateOptions& options) {
  const auto endpoint = CallForJson(options.remote, "GET", EndpointPath(options.name), "");
  if (!endpoint) return Fail(endpoint.error());
  const auto* config = JsonAt(*endpoint, "pending_config");
  if (config == nullptr) config = JsonAt(*endpoint, "config");
  const auto* entities = config == nullptr ? nullptr : JsonAt(*config, "served_entities");
  if (entities == nullptr || entities->as_array().size() != 1) {
    return Fail(Code::kUnsupported,
                fmt::format("endpoint {} serves {} entities, and this changes endpoints with one: "
                            "use penstock apply",
                            options.name, entities == nullptr ? 0 : entities->as_array().size()));
  }
  boost::json::object entity = EntityOf(entities->as_array().front());
  const ConfigFlags& flags = options.flags;
  if (flags.model->count() > 0) entity["entity_name"] = options.model;
  if (flags.model->count() > 0 || flags.version->count() > 0) {
    entity["entity_version"] = options.version;
  }
  if (flags.scale_to_zero->count() > 0) entity["scale_to_zero_enabled"] = options.scale_to_zero;
  if (flags.strategy->count() > 0) entity["strategy"] = options.strategy;
  if (flags.isolation->count() > 0) entity["isolation"] = options.isolation;
  SetRange(options, entity);
  boost::json::object changed{{"served_entities", boost::json::array{std::move(entity)}}};
  if (const auto* capture = JsonAt(*config, "auto_capture_config"); capture != nullptr) {
    changed["auto_capture_config"] = *capture;
  }
  return changed;
}

int Send(const CreateOptions& options, std::string_view method, const std::string& path,
         const boost::json::object& body) {
  const auto answer = CallForJson(options.remote, method, path, boost::json::serialize(body));
  if (!answer) return Report(answer.error());
  if (options.wait) {
    return WaitForEndpoint({.remote = options.remote,
                            .name = options.name,
                            .wait_max_s = options.wait_max_s,
                            .json = options.json});
  }
  return PrintEndpoint(*answer, options.json);
}

int Update(const CreateOptions& options) {
  const auto config = ChangedConfig(options);
  if (!config) return Report(config.error());
  return Send(options, "PUT", EndpointPath(options.name) + "/config", *config);
}

int Delete(const RemoteOptions& remote, const std::string& name) {
  const auto answer = CallForJson(remote, "DELETE", EndpointPath(name), "");
  if (!answer) return Report(answer.error());
  fmt::print(stderr, "Endpoint {} is deleted.\n", name);
  return kExitGood;
}

void AddConfigFlags(CLI::App& command, CreateOptions& options) {
  AddRemoteFlags(command, options.remote);
  command.add_option("name", options.name, "What clients call as 'model'")->required();
  ConfigFlags& flags = options.flags;
  flags.model =
      AddFlag(command, "--model", options.model, "Registered model, catalog.schema.model");
  flags.version = AddFlag(command, "--model-version", options.version, "Version of the model");
  flags.minimum = AddFlag(
      command, "--min-provisioned-throughput", options.throughput_min,
      "Guaranteed tokens/s at the reference workload (2048 in + 256 out), in whole chunks; 0: may "
      "scale to zero; not given: as the maximum");
  flags.maximum = AddFlag(command, "--max-provisioned-throughput", options.throughput_max,
                          "Ceiling, tokens/s; not given: as the minimum. Without both, or with 0 "
                          "for both: no range, no guarantee, no cap");
  flags.scale_to_zero = AddSwitch(command, "--scale-to-zero", options.scale_to_zero,
                                  "Without a range: end the replica while nobody asks");
  flags.strategy =
      AddFlag(command, "--strategy", options.strategy, "latency, balanced or throughput")
          ->check(CLI::IsMember({"latency", "balanced", "throughput"}));
  flags.isolation = AddFlag(command, "--isolation", options.isolation,
                            "dedicated: replicas of its own; shared: those of every shared "
                            "endpoint of the version")
                        ->check(CLI::IsMember({"dedicated", "shared"}));
  AddSwitch(command, "--wait", options.wait, "Wait until it is in effect, showing how it goes");
  AddFlag(command, "--wait-max-s", options.wait_max_s, "Seconds to wait at most")
      ->check(CLI::Range(1, 86400));
  AddSwitch(command, "--json", options.json, "Print the answer as JSON");
}

std::string RangeText(const boost::json::value& entity) {
  const std::string maximum = JsonText(entity, "max_provisioned_throughput");
  if (maximum.empty()) return "-";
  return fmt::format("{} to {}", JsonText(entity, "min_provisioned_throughput"), maximum);
}

std::string ModelText(const boost::json::value& entity) {
  const std::string external = JsonText(entity, "external_model.name");
  if (!external.empty()) {
    return fmt::format("{} ({})", external, JsonText(entity, "external_model.provider"));
  }
  return fmt::format("{}/{}", JsonText(entity, "entity_name"), JsonText(entity, "entity_version"));
}

// Of an endpoint that serves more than the one that is shown.
std::string OthersText(const boost::json::value& endpoint) {
  const auto* entities = JsonAt(endpoint, "config.served_entities");
  const std::size_t count = entities == nullptr ? 0 : entities->as_array().size();
  return count > 1 ? fmt::format(" and {} more", count - 1) : std::string();
}

int List(const RemoteOptions& remote, bool json) {
  const auto answer = CallForJson(remote, "GET", kEndpointsPath, "");
  if (!answer) return Report(answer.error());
  if (json) return PrintEndpoint(*answer, true);
  TextTable table({"NAME", "READY", "UPDATE", "MODEL", "TOKENS/S", "ID"});
  const auto* endpoints = JsonAt(*answer, "endpoints");
  for (const auto& endpoint : endpoints == nullptr ? boost::json::array() : endpoints->as_array()) {
    const auto* entity = JsonAt(endpoint, "config.served_entities.0");
    const boost::json::value none;
    const boost::json::value& first = entity == nullptr ? none : *entity;
    table.Add({JsonText(endpoint, "name"), JsonText(endpoint, "state.ready"),
               JsonText(endpoint, "state.config_update"),
               entity == nullptr ? std::string("-") : ModelText(first) + OthersText(endpoint),
               RangeText(first), JsonText(endpoint, "id")});
  }
  const std::string text = table.ToString();
  fmt::print("{}", text.empty() ? "No endpoints.\n" : text);
  return kExitGood;
}

void AddShowCommands(Program& program, CLI::App* group) {
  struct ShowOptions {
    RemoteOptions remote;
    std::string name;
    bool json = false;
  };
  auto options = std::make_shared<ShowOptions>();
  CLI::App* list = program.Add(
      "list", "List all endpoints", [options] { return List(options->remote, options->json); },
      group);
  AddRemoteFlags(*list, options->remote);
  AddSwitch(*list, "--json", options->json, "Print JSON instead of a table");

  CLI::App* show = program.Add(
      "get", "Show one endpoint and its state as JSON",
      [options] { return CallAndPrint(options->remote, "GET", EndpointPath(options->name), ""); },
      group);
  AddRemoteFlags(*show, options->remote);
  show->add_option("name", options->name, "The endpoint")->required();

  CLI::App* remove = program.Add(
      "delete", "Delete an endpoint; its replicas finish what they have",
      [options] { return Delete(options->remote, options->name); }, group);
  AddRemoteFlags(*remove, options->remote);
  remove->add_option("name", options->name, "The endpoint")->required();
}

}  // namespace

std::string EndpointPath(const std::string& name) {
  return fmt::format("{}/{}", kEndpointsPath, http::PercentEncode(name));
}

void AddEndpointCommand(Program& program) {
  CLI::App* group = program.AddGroup("endpoint", "Create, change, list, show, delete endpoints");
  auto created = std::make_shared<CreateOptions>();
  CLI::App* create = program.Add(
      "create", "Create an endpoint: a name and a range of tokens/s",
      [created] {
        return Send(*created, "POST", kEndpointsPath,
                    {{"name", created->name}, {"config", ConfigOf(*created)}});
      },
      group);
  AddConfigFlags(*create, *created);
  created->flags.model->required();

  auto changed = std::make_shared<CreateOptions>();
  CLI::App* update = program.Add(
      "update",
      "Give an endpoint a new configuration; the old one serves until it is ready. What is not "
      "given stays as it is",
      [changed] { return Update(*changed); }, group);
  AddConfigFlags(*update, *changed);
  AddShowCommands(program, group);
  AddEndpointWatchCommands(program, group);
  AddEndpointRightsCommands(program, group);
}

}  // namespace penstock::app
