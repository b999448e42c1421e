#include "control/endpoint_json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "control/json_reader.h"

namespace penstock::control {
namespace {

constexpr std::string_view kGood = R"({
  "name": "prov-throughput-endpoint",
  "config": {"served_entities": [{
    "entity_name": "ml.llm-catalog.foundation-model", "entity_version": 3,
    "min_provisioned_throughput": 1960, "max_provisioned_throughput": 2940}]},
  "tags": [{"key": "team", "value": "search"}, {"key": "alone"}],
  "unknown_field": {"is": "ignored"}})";

ParseOptions ChunkOf(std::int64_t chunk) {
  return {.chunk_of = [chunk](const std::string&, std::int64_t) { return chunk; }};
}

TEST(ParseEndpointDefinition, ReadsTheDocumentedExample) {
  const auto definition = ParseEndpointDefinition(kGood, ChunkOf(980));
  ASSERT_TRUE(definition) << definition.error().message;
  EXPECT_EQ(definition->name, "prov-throughput-endpoint");
  ASSERT_EQ(definition->config->served_entities.size(), 1u);
  const ServedEntity& entity = definition->config->served_entities[0];
  EXPECT_EQ(entity.entity_name, "ml.llm-catalog.foundation-model");
  EXPECT_EQ(entity.entity_version, 3);
  EXPECT_EQ(entity.name, "ml.llm-catalog.foundation-model-3");
  EXPECT_EQ(entity.throughput, (policy::ThroughputRange{.minimum = 1960, .maximum = 2940}));
  ASSERT_EQ(definition->config->routes.size(), 1u);
  EXPECT_EQ(definition->config->routes[0].served_entity_name, entity.name);
  EXPECT_EQ(definition->config->routes[0].traffic_percentage, 100);
  EXPECT_EQ(definition->tags[0].value, "search");
  EXPECT_EQ(definition->tags[1].value, "");
}

TEST(ParseEndpointDefinition, ReadsOldNamesAndNumbersAsText) {
  const auto definition = ParseEndpointDefinition(R"({"name": "e", "config": {
      "served_models": [{"name": "m", "model_name": "a.b.c", "model_version": "2",
        "workload_size": "Small", "workload_type": "CPU", "scale_to_zero_enabled": "false"}],
      "traffic_config": {"routes": [{"served_model_name": "m", "traffic_percentage": "100"}]}}})");
  ASSERT_TRUE(definition) << definition.error().message;
  const ServedEntity& entity = definition->config->served_entities[0];
  EXPECT_EQ(entity.entity_version, 2);
  EXPECT_EQ(entity.workload_size, "Small");
  EXPECT_FALSE(entity.scale_to_zero);
  EXPECT_FALSE(entity.throughput);
}

TEST(ParseEndpointDefinition, ReadsWhatItWrote) {
  Endpoint endpoint{.id = "1", .name = "prov-throughput-endpoint"};
  auto definition = ParseEndpointDefinition(kGood);
  ASSERT_TRUE(definition);
  endpoint.config = definition->config;
  endpoint.pending = definition->config;
  endpoint.pending->version = 2;
  endpoint.pending->served_entities[0].model_units = 7;
  endpoint.tags = definition->tags;
  endpoint.permissions = {
      {.principal_kind = "user_name", .principal = "ann", .level = PermissionLevel::kManage}};
  endpoint.azure = AzureDeployment{.account = "a/b", .sku = "Standard", .capacity = 10};
  endpoint.gateway = R"({"rate_limits":[{"calls":5,"key":"user","renewal_period":"minute"}]})";
  endpoint.last_version = 2;
  const std::string text = EndpointRecordJson(endpoint);
  Endpoint again;
  const Status read = ReadEndpointRecord(text, again);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(EndpointRecordJson(again), text);
}

// Of before configurations had versions of their own.
TEST(ParseEndpointDefinition, ReadsTheOldRecord) {
  const std::string old = R"({"name":"e","description":"","tags":[],"config":{"served_entities":[
      {"name":"m","entity_name":"a.b.c","entity_version":"1","scale_to_zero_enabled":false}],
      "traffic_config":{"routes":[{"served_entity_name":"m","traffic_percentage":100}]}}})";
  Endpoint ready{.update = UpdateState::kNotUpdating};
  ASSERT_TRUE(ReadEndpointRecord(old, ready));
  EXPECT_TRUE(ready.config && !ready.pending);
  Endpoint starting{.update = UpdateState::kInProgress};
  ASSERT_TRUE(ReadEndpointRecord(old, starting));
  EXPECT_TRUE(!starting.config && starting.pending);
}

TEST(ParseEndpointDefinition, ReadsModelUnits) {
  const std::string body = R"({"name":"e","config":{"served_entities":[{"entity_name":"a.b.c",
      "entity_version":"1","provisioned_model_units":"50"}]}})";
  ParseOptions options = ChunkOf(65);
  options.model_units = true;
  const auto definition = ParseEndpointDefinition(body, options);
  ASSERT_TRUE(definition) << definition.error().message;
  const ServedEntity& entity = definition->config->served_entities[0];
  EXPECT_EQ(entity.model_units, 50);
  EXPECT_EQ(entity.throughput, (policy::ThroughputRange{.minimum = 3250, .maximum = 6500}));
  // The ordinary path takes them too, as the vendor's ServedEntityInput does; but not both.
  const auto elsewhere = ParseEndpointDefinition(body, ChunkOf(65));
  ASSERT_TRUE(elsewhere) << elsewhere.error().message;
  EXPECT_EQ(elsewhere->config->served_entities[0].throughput, entity.throughput);
  const auto both = ParseEndpointDefinition(
      R"({"name":"e","config":{"served_entities":[{"entity_name":"a.b.c","entity_version":"1",
      "provisioned_model_units":50,"max_provisioned_throughput":3250}]}})",
      ChunkOf(65));
  ASSERT_FALSE(both);
  EXPECT_EQ(both.error().field, "config.served_entities[0].max_provisioned_throughput");
  const auto on_pt = ParseEndpointDefinition(
      R"({"name":"e","config":{"served_entities":[{"entity_name":"a.b.c","entity_version":"1",
      "min_provisioned_throughput":3250}]}})",
      options);
  ASSERT_FALSE(on_pt);
  EXPECT_EQ(on_pt.error().field, "config.served_entities[0].min_provisioned_throughput");
}

TEST(ParseEndpointDefinition, TakesZeroAsTheMinimum) {
  const auto definition = ParseEndpointDefinition(R"({"name":"e","config":{"served_entities":[
      {"entity_name":"a.b.c","entity_version":1,"min_provisioned_throughput":0,
       "max_provisioned_throughput":1960}]}})",
                                                  ChunkOf(980));
  ASSERT_TRUE(definition) << definition.error().message;
  EXPECT_EQ(definition->config->served_entities[0].throughput,
            (policy::ThroughputRange{.minimum = 0, .maximum = 1960}));
}

TEST(PatchTags, AddsReplacesAndDeletes) {
  const std::vector<Tag> old{{"a", "1"}, {"b", "2"}};
  const auto tags =
      PatchTags(R"({"add_tags":[{"key":"a","value":"9"},{"key":"c"}],"delete_tags":["b"]})", old);
  ASSERT_TRUE(tags);
  EXPECT_EQ(boost::json::serialize(TagsJson(*tags)),
            R"([{"key":"a","value":"9"},{"key":"c","value":""}])");
  EXPECT_FALSE(PatchTags(R"({"delete_tags":[1]})", old));
  EXPECT_FALSE(PatchTags(R"({"add_tags":[{"value":"x"}]})", old));
}

struct BadBody {
  std::string body;
  std::string field;
  std::string says;
};

std::string WithEntity(const std::string& entity) {
  return fmt::format(R"({{"name":"e","config":{{"served_entities":[{}]}}}})", entity);
}

std::vector<BadBody> BadBodies() {
  const std::string first = "config.served_entities[0].";
  const std::string model = R"("entity_name":"a.b.c","entity_version":1)";
  return {
      {"", "", "byte 0"},
      {R"({"name":)", "", "not JSON"},
      {"[]", "", "a JSON object, got []"},
      {"{} trailing", "", "byte 3"},
      {"{\"name\":\"\xff\"}", "", "not JSON"},
      {std::string(100, '['), "", "not JSON"},
      {"{}", "name", "required"},
      {R"({"name":7})", "name", "a string, got 7"},
      {R"({"name":"a b"})", "name", "1 to 63"},
      {R"({"name":"e","config":[]})", "config", "an object"},
      {R"({"name":"e","config":{}})", "config.served_entities", "1 to 15"},
      {R"({"name":"e","config":{"served_entities":{}}})", "config.served_entities", "an array"},
      {WithEntity("{" + model + "},{" + model + "}"), "config.served_entities[1].name", "unique"},
      {WithEntity("3"), "config.served_entities[0]", "an object, got 3"},
      {WithEntity("{}"), first + "entity_name", "required"},
      {WithEntity(R"({"entity_name":"short","entity_version":1})"), first + "entity_name",
       "catalog.schema.model"},
      {WithEntity(R"({"entity_name":"a.b.c"})"), first + "entity_version", "required"},
      {WithEntity(R"({"entity_name":"a.b.c","entity_version":1.5})"), first + "entity_version",
       "an integer, got 1.5"},
      {WithEntity(R"({"entity_name":"a.b.c","entity_version":"latest"})"), first + "entity_version",
       "an integer"},
      {WithEntity(R"({"entity_name":"a.b.c","entity_version":0})"), first + "entity_version",
       "got 0"},
      {WithEntity("{" + model + R"(,"min_provisioned_throughput":5})"),
       first + "max_provisioned_throughput", "required"},
      {WithEntity("{" + model + R"(,"max_provisioned_throughput":-1})"),
       first + "max_provisioned_throughput", "got -1"},
      {WithEntity("{" + model + R"(,"max_provisioned_throughput":1e400})"), "", ""},
      {WithEntity("{" + model + R"(,"max_provisioned_throughput":99999999999999999999})"),
       first + "max_provisioned_throughput", "an integer"},
      {WithEntity("{" + model +
                  R"(,"min_provisioned_throughput":20,"max_provisioned_throughput":10})"),
       first + "min_provisioned_throughput", "got 20"},
      {WithEntity("{" + model + R"(,"workload_size":"Huge"})"), first + "workload_size",
       "Small Medium Large, got \"Huge\""},
      {WithEntity("{" + model + R"(,"scale_to_zero_enabled":1})"), first + "scale_to_zero_enabled",
       "true or false, got 1"},
      {WithEntity("{" + model + R"(,"external_model":{"name":"x"}})"), first + "entity_name",
       "does not belong beside external_model"},
      {WithEntity(R"({"external_model":{"name":"x","provider":"cohere","task":"llm/v1/chat"}})"),
       first + "external_model.provider", "openai, databricks-model-serving and custom"},
      {WithEntity(R"({"external_model":7})"), first + "external_model", "an object, got 7"},
      {R"({"name":"e","ai_gateway":{"rate_limits":[1]}})", "ai_gateway.rate_limits[0]",
       "an object, got 1"},
      {R"({"name":"e","ai_gateway":{"guardrails":{"input":{"safety":true}}}})",
       "ai_gateway.guardrails", "not supported"},
      {R"({"name":"e","rate_limits":[{"calls":5,"renewal_period":"hour"}]})",
       "rate_limits[0].renewal_period", "minute"},
      {R"({"name":"e","rate_limits":[{"renewal_period":"minute"}]})", "rate_limits[0].calls",
       "one of calls and tokens"},
      {WithEntity("{" + model + R"(,"strategy":"fast"})"), first + "strategy", "latency"},
      {R"({"name":"e","tags":[{"key":"a"},{"key":"a"}]})", "tags[1].key", "unique"},
      {R"({"name":"e","tags":[{"value":"x"}]})", "tags[0].key", "required"},
      {R"({"name":"e","tags":"x"})", "tags", "an array"},
      {fmt::format(R"({{"name":"e","description":"{}"}})", std::string(1025, 'x')), "description",
       "1024 bytes, got 1025"},
  };
}

TEST(ParseEndpointDefinition, NamesWhatIsWrong) {
  for (const BadBody& bad : BadBodies()) {
    SCOPED_TRACE(bad.body.substr(0, 120));
    const auto parsed = ParseEndpointDefinition(bad.body);
    ASSERT_FALSE(parsed);
    if (!bad.field.empty()) EXPECT_EQ(parsed.error().field, bad.field);
    EXPECT_NE(parsed.error().message.find(bad.says), std::string::npos) << parsed.error().message;
    EXPECT_LT(parsed.error().message.size(), 500u);
  }
}

TEST(ParseEndpointDefinition, ChecksTraffic) {
  const std::string entity = R"({"name":"m","entity_name":"a.b.c","entity_version":1})";
  auto with = [&entity](const std::string& routes) {
    return ParseEndpointDefinition(fmt::format(R"({{"name":"e","config":{{"served_entities":[{}],
                    "traffic_config":{{"routes":{}}}}}}})",
                                               entity, routes));
  };
  EXPECT_TRUE(with(R"([{"served_model_name":"m","traffic_percentage":100}])"));
  EXPECT_EQ(with("[]").error().field, "config.traffic_config.routes");
  EXPECT_EQ(with(R"([{"served_model_name":"m","traffic_percentage":90}])").error().field,
            "config.traffic_config.routes");
  EXPECT_EQ(with(R"([{"served_model_name":"m","traffic_percentage":101}])").error().field,
            "config.traffic_config.routes[0].traffic_percentage");
  EXPECT_EQ(with(R"([{"served_model_name":"x","traffic_percentage":100}])").error().field,
            "config.traffic_config.routes[0].served_model_name");
}

TEST(ParseEndpointDefinition, ChecksChunks) {
  const auto parsed = ParseEndpointDefinition(kGood, ChunkOf(1000));
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().field, "config.served_entities[0].min_provisioned_throughput");
  EXPECT_NE(parsed.error().message.find("1000 and 2000"), std::string::npos);
}

class EndpointJson : public testing::Test {
 protected:
  EndpointJson() {
    endpoint_.id = "88fd3f75a0d24b0380ddc40484d7a31b";
    endpoint_.name = "prov-throughput-endpoint";
    endpoint_.creator = "admin";
    endpoint_.created_at = endpoint_.updated_at = WallTime(std::chrono::milliseconds(1700));
  }
  boost::json::object Detail() {
    return EndpointDetailJson({.endpoint = endpoint_,
                               .status = status_,
                               .task = "llm/v1/chat",
                               .permission_level = "CAN_QUERY",
                               .url = "http://h:1"});
  }
  Endpoint endpoint_;
  EndpointStatus status_;
};

TEST_F(EndpointJson, PendingUntilInEffect) {
  endpoint_.pending = ParseEndpointDefinition(kGood)->config;
  endpoint_.pending->started_at = WallTime(std::chrono::milliseconds(1800));
  endpoint_.update = UpdateState::kInProgress;
  status_.pending = {{.message = "0 of 1 replicas ready."}};
  const auto json = Detail();
  EXPECT_EQ(json.at("state").at("ready"), "NOT_READY");
  EXPECT_EQ(json.at("state").at("config_update"), "IN_PROGRESS");
  EXPECT_FALSE(json.contains("config"));
  const auto& entity = json.at("pending_config").at("served_entities").at(0);
  EXPECT_EQ(entity.at("state").at("deployment"), "DEPLOYMENT_CREATING");
  EXPECT_EQ(entity.at("state").at("deployment_state_message"), "0 of 1 replicas ready.");
  EXPECT_EQ(json.at("pending_config").at("start_time"), 1800);
}

TEST_F(EndpointJson, ReadyEndpointHasItsConfig) {
  endpoint_.config = ParseEndpointDefinition(kGood)->config;
  status_ = {.ready = true, .config = {{.deployment = Deployment::kReady}}, .pending = {}};
  const auto json = Detail();
  EXPECT_EQ(json.at("state").at("ready"), "READY");
  EXPECT_EQ(json.at("state").at("config_update"), "NOT_UPDATING");
  EXPECT_FALSE(json.contains("pending_config"));
  const auto& config = json.at("config");
  EXPECT_EQ(config.at("config_version"), 1);
  EXPECT_EQ(config.at("served_entities").at(0).at("entity_version"), "3");  // A string.
  EXPECT_EQ(config.at("served_entities").at(0).at("min_provisioned_throughput"), 1960);
  EXPECT_EQ(config.at("served_models").at(0).at("model_name"), "ml.llm-catalog.foundation-model");
  EXPECT_FALSE(config.at("served_models").at(0).as_object().contains("entity_name"));
  EXPECT_EQ(config.at("traffic_config").at("routes").at(0).at("traffic_percentage"), 100);
  EXPECT_EQ(json.at("creation_timestamp"), 1700);
  EXPECT_EQ(json.at("permission_level"), "CAN_QUERY");
  EXPECT_EQ(json.at("task"), "llm/v1/chat");
  EXPECT_EQ(json.at("endpoint_url"),
            "http://h:1/serving-endpoints/prov-throughput-endpoint/invocations");
}

TEST_F(EndpointJson, SummaryIsShort) {
  endpoint_.config = ParseEndpointDefinition(kGood)->config;
  const auto json = EndpointSummaryJson({.endpoint = endpoint_,
                                         .status = status_,
                                         .task = "llm/v1/chat",
                                         .permission_level = "CAN_QUERY",
                                         .url = ""});
  EXPECT_EQ(json.at("config").at("served_entities").at(0).at("entity_name"),
            "ml.llm-catalog.foundation-model");
  EXPECT_FALSE(json.at("config").as_object().contains("traffic_config"));
}

}  // namespace
}  // namespace penstock::control
