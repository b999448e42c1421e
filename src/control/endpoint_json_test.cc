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

TEST(ParseEndpointDefinition, ReadsTheDocumentedExample) {
  const auto definition = ParseEndpointDefinition(kGood, 980);
  ASSERT_TRUE(definition) << definition.error().message;
  EXPECT_EQ(definition->name, "prov-throughput-endpoint");
  ASSERT_EQ(definition->served_entities.size(), 1u);
  const ServedEntity& entity = definition->served_entities[0];
  EXPECT_EQ(entity.entity_name, "ml.llm-catalog.foundation-model");
  EXPECT_EQ(entity.entity_version, 3);
  EXPECT_EQ(entity.name, "ml.llm-catalog.foundation-model-3");
  EXPECT_EQ(entity.throughput, (policy::ThroughputRange{.minimum = 1960, .maximum = 2940}));
  ASSERT_EQ(definition->routes.size(), 1u);
  EXPECT_EQ(definition->routes[0].served_entity_name, entity.name);
  EXPECT_EQ(definition->routes[0].traffic_percentage, 100);
  EXPECT_EQ(definition->tags[0].value, "search");
  EXPECT_EQ(definition->tags[1].value, "");
}

TEST(ParseEndpointDefinition, ReadsOldNamesAndNumbersAsText) {
  const auto definition = ParseEndpointDefinition(R"({"name": "e", "config": {
      "served_models": [{"name": "m", "model_name": "a.b.c", "model_version": "2",
        "workload_size": "Small", "workload_type": "CPU", "scale_to_zero_enabled": "false"}],
      "traffic_config": {"routes": [{"served_model_name": "m", "traffic_percentage": "100"}]}}})");
  ASSERT_TRUE(definition) << definition.error().message;
  const ServedEntity& entity = definition->served_entities[0];
  EXPECT_EQ(entity.entity_version, 2);
  EXPECT_EQ(entity.workload_size, "Small");
  EXPECT_FALSE(entity.scale_to_zero);
  EXPECT_FALSE(entity.throughput);
}

TEST(ParseEndpointDefinition, ReadsWhatItWrote) {
  const auto definition = ParseEndpointDefinition(kGood);
  ASSERT_TRUE(definition);
  const std::string text = EndpointDefinitionJson(*definition);
  const auto again = ParseEndpointDefinition(text);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(EndpointDefinitionJson(*again), text);
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
      {R"({"name":"e"})", "config", "required"},
      {R"({"name":"e","config":[]})", "config", "an object"},
      {R"({"name":"e","config":{}})", "config.served_entities", "1 to 1"},
      {R"({"name":"e","config":{"served_entities":{}}})", "config.served_entities", "an array"},
      {WithEntity("{},{}"), "config.served_entities", "got 2"},
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
      {WithEntity("{" + model + R"(,"external_model":{"name":"x"}})"), first + "external_model",
       "not supported"},
      {R"({"name":"e","ai_gateway":{"rate_limits":[1]}})", "ai_gateway", "not supported"},
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
  const auto parsed = ParseEndpointDefinition(kGood, 1000);
  ASSERT_FALSE(parsed);
  EXPECT_EQ(parsed.error().field, "config.served_entities[0].min_provisioned_throughput");
  EXPECT_NE(parsed.error().message.find("1000 and 2000"), std::string::npos);
}

class EndpointJson : public testing::Test {
 protected:
  EndpointJson() {
    endpoint_.id = "88fd3f75a0d24b0380ddc40484d7a31b";
    endpoint_.definition = ParseEndpointDefinition(kGood).value();
    endpoint_.creator = "admin";
    endpoint_.created_at = endpoint_.updated_at = WallTime(std::chrono::milliseconds(1700));
  }
  Endpoint endpoint_;
};

TEST_F(EndpointJson, PendingUntilInEffect) {
  const EndpointStatus starting{.message = "0 of 1 replicas ready."};
  const auto json = EndpointDetailJson(endpoint_, starting, "llm/v1/chat", policy::Role::kAdmin);
  EXPECT_EQ(json.at("state").at("ready"), "NOT_READY");
  EXPECT_EQ(json.at("state").at("config_update"), "IN_PROGRESS");
  EXPECT_FALSE(json.contains("config"));
  const auto& entity = json.at("pending_config").at("served_entities").at(0);
  EXPECT_EQ(entity.at("state").at("deployment"), "DEPLOYMENT_CREATING");
  EXPECT_EQ(entity.at("state").at("deployment_state_message"), "0 of 1 replicas ready.");
  EXPECT_EQ(json.at("permission_level"), "CAN_MANAGE");
}

TEST_F(EndpointJson, ReadyEndpointHasItsConfig) {
  const EndpointStatus ready{
      .update = UpdateState::kNotUpdating, .deployment = Deployment::kReady, .ready = true};
  const auto json = EndpointDetailJson(endpoint_, ready, "llm/v1/chat", policy::Role::kUser);
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
}

TEST_F(EndpointJson, SummaryIsShort) {
  const auto json = EndpointSummaryJson(endpoint_, {}, "llm/v1/chat", policy::Role::kAdmin);
  EXPECT_EQ(json.at("config").at("served_entities").at(0).at("entity_name"),
            "ml.llm-catalog.foundation-model");
  EXPECT_FALSE(json.at("config").as_object().contains("traffic_config"));
}

}  // namespace
}  // namespace penstock::control
