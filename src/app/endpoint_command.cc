// penstock endpoint: create, list, show and delete endpoints of a running server.
#include <memory>

#include <fmt/format.h>
#include <boost/json.hpp>

#include "app/command.h"
#include "app/flags.h"
#include "app/remote.h"
#include "http/url.h"

namespace penstock::app {

namespace {

constexpr const char* kPath = "/api/2.0/serving-endpoints";

struct EndpointOptions {
  RemoteOptions remote;
  std::string name;
  std::string model;
  std::string version = "1";
  std::int64_t throughput_min = 0;
  std::int64_t throughput_max = 0;
};

std::string EndpointPath(const std::string& name) {
  return fmt::format("{}/{}", kPath, http::PercentEncode(name));
}

int Create(const EndpointOptions& options) {
  const boost::json::value body = {
      {"name", options.name},
      {"config",
       {{"served_entities",
         {{{"entity_name", options.model},
           {"entity_version", options.version},
           {"min_provisioned_throughput", options.throughput_min},
           {"max_provisioned_throughput", options.throughput_max}}}}}}};
  return CallAndPrint(options.remote, "POST", kPath, boost::json::serialize(body));
}

}  // namespace

void AddEndpointCommand(Program& program) {
  CLI::App* group = program.AddGroup("endpoint", "Create, list, show, delete endpoints");
  auto options = std::make_shared<EndpointOptions>();

  CLI::App* create = program.Add(
      "create", "Create an endpoint: a name and a range of tokens/s",
      [options] { return Create(*options); }, group);
  AddRemoteFlags(*create, options->remote);
  create->add_option("name", options->name, "What clients call as 'model'")->required();
  AddFlag(*create, "--model", options->model, "Registered model, catalog.schema.model")->required();
  AddFlag(*create, "--model-version", options->version, "Version of the model");
  AddFlag(*create, "--min-provisioned-throughput", options->throughput_min,
          "Guaranteed tokens/s at the reference workload (2048 in + 256 out)");
  AddFlag(*create, "--max-provisioned-throughput", options->throughput_max,
          "Ceiling, tokens/s; 0: none");

  CLI::App* list = program.Add(
      "list", "List all endpoints",
      [options] { return CallAndPrint(options->remote, "GET", kPath, ""); }, group);
  AddRemoteFlags(*list, options->remote);

  CLI::App* show = program.Add(
      "get", "Show one endpoint and its state",
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

}  // namespace penstock::app
