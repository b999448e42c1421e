// Served entities that another server runs: what is asked for, kept, shown, and let go.
#include <sys/stat.h>

#include <set>

#include "base/file.h"
#include "control/endpoint_bed.h"

namespace penstock::control {
namespace {

class EndpointExternalTest : public EndpointBed {
 protected:
  static std::string External(const std::string& config, const std::string& more = "") {
    return fmt::format(R"({{"external_model":{{"name":"gpt-4o.1","provider":"openai",
        "task":"llm/v1/chat","openai_config":{}}}{}}})",
                       config, more);
  }
  static std::string WithKey(const std::string& key) {
    return fmt::format(R"({{"openai_api_base":"https://h/v1","openai_api_key_plaintext":"{}"}})",
                       key);
  }
  static std::string ConfigOf(const std::string& entity) {
    return fmt::format(R"({{"served_entities":[{}]}})", entity);
  }
  Reply CreateExternal(const std::string& entity, const std::string& user = "") {
    return Send("POST", std::string(kEndpoints),
                fmt::format(R"({{"name":"far","config":{}}})", ConfigOf(entity)), user);
  }
  std::set<std::string> Files() const {
    std::set<std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(Secrets())) {
      files.insert(entry.path().filename().string());
    }
    return files;
  }
  // What the only pool's relays are started with.
  ExternalCall Call() {
    const auto& plan = parts_->endpoints.plan();
    EXPECT_EQ(plan.size(), 1u);
    const auto& external = plan.begin()->second.served.external;
    EXPECT_TRUE(external);
    return external.value_or(ExternalCall{});
  }
  std::string Pool() { return parts_->endpoints.plan().begin()->first; }
};

TEST_F(EndpointExternalTest, TheKeyLiesInAFileAndNowhereElse) {
  const Reply made = CreateExternal(External(WithKey("sk-secret")));
  ASSERT_EQ(made.status, 200) << made.Text("message");
  EXPECT_EQ(made.Text("task"), "llm/v1/chat");
  EXPECT_EQ(made.Text("endpoint_type"), "EXTERNAL_MODEL");
  ASSERT_EQ(Files().size(), 1u);
  struct stat file{};
  ASSERT_EQ(stat(Call().key_path.c_str(), &file), 0);
  EXPECT_EQ(file.st_mode & 0777, 0600u);
  EXPECT_EQ(ReadSmallFile(Call().key_path, 100).value_or(""), "sk-secret");
  Run(true);
  const Reply got = Send("GET", Path("far"));
  const auto& entity = got.json.at("config").at("served_entities").at(0).as_object();
  EXPECT_EQ(entity.at("name"), "gpt-4o-1");
  EXPECT_EQ(entity.at("external_model").at("provider"), "openai");
  EXPECT_FALSE(entity.contains("entity_name"));
  EXPECT_FALSE(entity.contains("key_file"));
  for (const std::string& path :
       {Path("far"), std::string(kEndpoints), Path("far/events"), Path("far/openapi"),
        Path("far/explain"), Path("far/served-models/gpt-4o-1/build-logs")}) {
    const Reply reply = Send("GET", path);
    EXPECT_EQ(reply.status, 200) << path;
    EXPECT_EQ(boost::json::serialize(reply.json).find("sk-secret"), std::string::npos) << path;
  }
  for (const char* database : {"penstock.db", "penstock.db-wal"}) {
    const auto bytes = ReadSmallFile(folder_.File(database), std::size_t{1} << 26);
    if (bytes) EXPECT_EQ(bytes->find("sk-secret"), std::string::npos) << database;
  }
  const auto route = Routes().Find("far");
  EXPECT_EQ(route->served[0].model, "gpt-4o.1");
  EXPECT_EQ(route->served[0].context_tokens, 0) << "nobody knows it";
  EXPECT_FALSE(route->served[0].replicas[0].reads_headers);
  const std::string pool = Pool();
  const std::string path = Call().key_path;
  Open();  // A restart changes nothing.
  EXPECT_EQ(Pool(), pool);
  EXPECT_EQ(Call().key_path, path);
}

TEST_F(EndpointExternalTest, UpdatesKeepReplaceAndFreeKeys) {
  CreateExternal(External(WithKey("sk-one")));
  Run(true);
  const std::string first = Call().key_path;
  const std::string pool = Pool();
  // The same key again, and none at all: the relays go on with what they have.
  for (const std::string& config :
       {WithKey("sk-one"), std::string(R"({"openai_api_base":"https://h/v1"})")}) {
    EXPECT_EQ(Send("PUT", Path("far/config"), ConfigOf(External(config))).status, 200);
    Run(true);
    EXPECT_EQ(Pool(), pool);
    EXPECT_EQ(Call().key_path, first);
  }
  // Another: the old one is there until the new one serves.
  EXPECT_EQ(Send("PUT", Path("far/config"), ConfigOf(External(WithKey("sk-two")))).status, 200);
  EXPECT_EQ(Files().size(), 2u);
  Run(true);
  EXPECT_EQ(Files().size(), 1u);
  EXPECT_NE(Call().key_path, first);
  EXPECT_EQ(ReadSmallFile(Call().key_path, 100).value_or(""), "sk-two");
  // One that fails, and is asked for anew: nothing adds up.
  EXPECT_EQ(Send("PUT", Path("far/config"), ConfigOf(External(WithKey("sk-three")))).status, 200);
  Run(false);
  EXPECT_EQ(Send("PUT", Path("far/config"), ConfigOf(External(WithKey("sk-four")))).status, 200);
  EXPECT_EQ(Files().size(), 2u);
  Run(true);
  EXPECT_EQ(Files().size(), 1u);
  EXPECT_EQ(Send("DELETE", Path("far")).status, 200);
  EXPECT_EQ(Files().size(), 0u);
}

// A key is for the server that it was given for.
TEST_F(EndpointExternalTest, AKeyDoesNotFollowToAnotherUrl) {
  CreateExternal(External(WithKey("sk-one")));
  Run(true);
  EXPECT_EQ(Send("PUT", Path("far/config"),
                 ConfigOf(External(R"({"openai_api_base":"https://elsewhere/v1"})")))
                .status,
            200);
  Run(true);
  EXPECT_EQ(Call().key_path, "");
  EXPECT_EQ(Files().size(), 0u);
}

TEST_F(EndpointExternalTest, WhatIsRefusedLeavesNoFile) {
  const std::string other = R"(,"entity_name":"a.b.c","entity_version":1)";
  for (const std::string& more :
       {other, std::string(R"(,"max_provisioned_throughput":100)"),
        std::string(R"(,"provisioned_model_units":1)"), std::string(R"(,"workload_size":"Small")"),
        std::string(R"(,"scale_to_zero_enabled":true)")}) {
    const Reply refused = CreateExternal(External(WithKey("sk-secret"), more));
    EXPECT_EQ(refused.status, 400) << more;
  }
  CreateExternal(External(WithKey("sk-secret")));
  EXPECT_EQ(CreateExternal(External(WithKey("sk-secret"))).status, 409);
  EXPECT_EQ(Files().size(), 1u);
  // A client does not name the file.
  const std::string file = *Files().begin();
  const std::string named = fmt::format(R"(,"name":"b","key_file":"{}")", file);
  const Reply taken = Send("PUT", Path("far/config"),
                           ConfigOf(External(R"({"openai_api_base":"https://x/v1"})", named)));
  EXPECT_EQ(taken.status, 409);  // It is being updated; then:
  Run(true);
  Send("PUT", Path("far/config"),
       ConfigOf(External(R"({"openai_api_base":"https://x/v1"})", named)));
  Run(true);
  EXPECT_EQ(Call().key_path, "");
}

TEST_F(EndpointExternalTest, OnlyAdminsSendRequestsOut) {
  Create("far", 1);
  Run(true);
  const std::string id(Send("GET", Path("far")).Text("id"));
  Send("PUT", "/api/2.0/permissions/serving-endpoints/" + id,
       R"({"access_control_list":[{"user_name":"ann","permission_level":"CAN_MANAGE"}]})");
  EXPECT_EQ(Send("PUT", Path("far/config"), Config(2), "ann").status, 200);
  Run(true);
  const Reply refused =
      Send("PUT", Path("far/config"), ConfigOf(External(WithKey("sk-secret"))), "ann");
  EXPECT_EQ(refused.status, 403);
  EXPECT_NE(refused.Text("message").find("admin"), std::string::npos);
  EXPECT_EQ(Files().size(), 0u);
}

TEST_F(EndpointExternalTest, ReferencesAreTheOperatorsFiles) {
  const std::string config =
      R"({"openai_api_base":"https://h/v1","openai_api_key":"{{secrets/team/openai}}"})";
  const Reply missing = CreateExternal(External(config));
  EXPECT_EQ(missing.status, 400);
  EXPECT_NE(missing.Text("message").find("secrets/team/openai"), std::string::npos);
  std::filesystem::create_directory(Secrets() + "/team");
  folder_.Write("secrets/team/openai", "sk-secret");
  ASSERT_EQ(chmod((Secrets() + "/team/openai").c_str(), 0600), 0);
  const Reply made = CreateExternal(External(config));
  ASSERT_EQ(made.status, 200) << made.Text("message");
  EXPECT_EQ(Call().key_path, Secrets() + "/team/openai");
  EXPECT_EQ(made.json.at("pending_config")
                .at("served_entities")
                .at(0)
                .at("external_model")
                .at("openai_config")
                .at("openai_api_key"),
            "{{secrets/team/openai}}");
  EXPECT_EQ(Send("DELETE", Path("far")).status, 200);
  EXPECT_TRUE(std::filesystem::exists(Secrets() + "/team/openai"));
}

TEST_F(EndpointExternalTest, OwnAndExternalModelsShareTraffic) {
  const auto split = [](const std::string& task) {
    return fmt::format(R"({{"name":"both","config":{{"served_entities":[
        {{"name":"own","entity_name":"a.b.c","entity_version":1}},
        {{"external_model":{{"name":"gpt","provider":"openai","task":"{}","openai_config":
          {{"openai_api_base":"https://h/v1"}}}}}}],
        "traffic_config":{{"routes":[{{"served_entity_name":"own","traffic_percentage":30}},
          {{"served_entity_name":"gpt","traffic_percentage":70}}]}}}}}})",
                       task);
  };
  const Reply refused = Send("POST", std::string(kEndpoints), split("llm/v1/embeddings"));
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.Text("message").find("same task"), std::string::npos);
  const Reply made = Send("POST", std::string(kEndpoints), split("llm/v1/chat"));
  ASSERT_EQ(made.status, 200) << made.Text("message");
  EXPECT_EQ(made.Text("endpoint_type"), "FOUNDATION_MODEL_API");
  Run(true);
  EXPECT_EQ(starts_, 2);
  const auto route = Routes().Find("both");
  ASSERT_EQ(route->served.size(), 2u);
  EXPECT_EQ(route->served[1].name, "gpt");
  EXPECT_EQ(route->served[1].traffic_percentage, 70);
}

}  // namespace
}  // namespace penstock::control
