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

struct CreateOptions {
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

boost::json::object ConfigOf(const CreateOptions& options) {
  boost::json::object entity{{"entity_name", options.model},
                             {"entity_version", options.version},
                             {"scale_to_zero_enabled", options.scale_to_zero},
                             {"strategy", options.strategy},
                             {"isolation", options.isolation}};
  if (options.throughput_max != 0 || options.throughput_min != 0) {
    entity["min_provisioned_throughput"] = options.throughput_min;
    entity["max_provisioned_throughput"] = options.throughput_max;
  }
  return {{"served_entities", boost::json::array{std::move(entity)}}};
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

void AddConfigFlags(CLI::App& command, CreateOptions& options) {
  AddRemoteFlags(command, options.remote);
  command.add_option("name", options.name, "What clients call as 'model'")->required();
  AddFlag(command, "--model", options.model, "Registered model, catalog.schema.model")->required();
  AddFlag(command, "--model-version", options.version, "Version of the model");
  AddFlag(
      command, "--min-provisioned-throughput", options.throughput_min,
      "Guaranteed tokens/s at the reference workload (2048 in + 256 out); 0: may scale to zero");
  AddFlag(command, "--max-provisioned-throughput", options.throughput_max,
          "Ceiling, tokens/s; 0: none");
  AddSwitch(command, "--scale-to-zero", options.scale_to_zero,
            "Without a range: end the replica while nobody asks");
  AddFlag(command, "--strategy", options.strategy, "latency, balanced or throughput")
      ->check(CLI::IsMember({"latency", "balanced", "throughput"}));
  AddFlag(command, "--isolation", options.isolation,
          "dedicated: replicas of its own; shared: those of every shared endpoint of the version")
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
               entity == nullptr ? std::string("-") : ModelText(first), RangeText(first),
               JsonText(endpoint, "id")});
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
      [options] {
        return CallAndPrint(options->remote, "DELETE", EndpointPath(options->name), "");
      },
      group);
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

  auto changed = std::make_shared<CreateOptions>();
  CLI::App* update = program.Add(
      "update", "Give an endpoint a new configuration; the old one serves until it is ready",
      [changed] {
        return Send(*changed, "PUT", EndpointPath(changed->name) + "/config", ConfigOf(*changed));
      },
      group);
  AddConfigFlags(*update, *changed);
  AddShowCommands(program, group);
  AddEndpointWatchCommands(program, group);
}

}  // namespace penstock::app
