// Endpoints over their REST paths: updates, tags, permissions, keys, events.
#include "control/endpoint_bed.h"

namespace penstock::control {
namespace {

class EndpointUpdateTest : public EndpointBed {};

TEST_F(EndpointUpdateTest, OldServesUntilNewIsReady) {
  Create("chat", 1);
  Run(true);
  EXPECT_EQ(Send("GET", Path("chat")).json.at("state").at("ready"), "READY");
  const Reply updating = Send("PUT", Path("chat/config"), Config(2));
  EXPECT_EQ(updating.status, 200) << updating.Text("message");
  EXPECT_EQ(updating.json.at("state").at("ready"), "READY");
  EXPECT_EQ(updating.json.at("state").at("config_update"), "IN_PROGRESS");
  EXPECT_EQ(updating.json.at("config").at("config_version"), 1);
  EXPECT_EQ(updating.json.at("pending_config").at("config_version"), 2);
  EXPECT_EQ(Routes().Find("chat")->served[0].model_version, 1);
  EXPECT_EQ(Routes().Find("chat")->served[0].context_tokens, 4096) << "as the model's file says";

  const Reply second = Send("PUT", Path("chat/config"), Config(1));
  EXPECT_EQ(second.status, 409);
  EXPECT_EQ(second.Text("error_code"), "RESOURCE_CONFLICT");

  Run(true);
  const Reply done = Send("GET", Path("chat"));
  EXPECT_EQ(done.json.at("state").at("config_update"), "NOT_UPDATING");
  EXPECT_FALSE(done.json.contains("pending_config"));
  EXPECT_EQ(done.json.at("config").at("config_version"), 2);
  const auto route = Routes().Find("chat");
  EXPECT_EQ(route->served[0].model_version, 2);
  EXPECT_EQ(route->served[0].replicas.size(), 1u);
  Open();
  EXPECT_EQ(Send("GET", Path("chat")).json.at("config").at("config_version"), 2);
}

TEST_F(EndpointUpdateTest, AFailedUpdateLeavesTheOldOne) {
  Create("chat", 1);
  Run(true);
  Send("PUT", Path("chat/config"), Config(2));
  Run(false);
  const Reply failed = Send("GET", Path("chat"));
  EXPECT_EQ(failed.json.at("state").at("config_update"), "UPDATE_FAILED");
  EXPECT_EQ(failed.json.at("state").at("ready"), "READY");
  EXPECT_NE(failed.Text("update_message").find("exited with status 2"), std::string::npos);
  EXPECT_EQ(Routes().Find("chat")->served[0].replicas.size(), 1u);
  const int before = starts_;
  Run(true);
  EXPECT_EQ(starts_, before);  // Given up.
  EXPECT_EQ(Send("PUT", Path("chat/config"), Config(2)).status, 200);
  Run(true);
  EXPECT_EQ(Send("GET", Path("chat")).json.at("config").at("config_version"), 2);
  const Reply events = Send("GET", Path("chat/events"));
  EXPECT_GE(events.json.at("events").as_array().size(), 5u);
  EXPECT_EQ(events.json.at("events").at(0).at("type"), "ready");
}

// The same model version in a new range: nothing is started again.
TEST_F(EndpointUpdateTest, ChangingOnlyTheRangeKeepsTheReplicas) {
  Create("chat", 1);
  Run(true);
  const auto before = Routes().Find("chat")->served[0].replicas[0].id;
  Send("PUT", Path("chat/config"),
       fmt::format(R"({{"served_entities":[{}]}})",
                   Entity(1, R"(,"min_provisioned_throughput":10,)"
                             R"("max_provisioned_throughput":20)")));
  Run(true);
  const auto route = Routes().Find("chat");
  EXPECT_EQ(route->served[0].replicas[0].id, before);
  EXPECT_EQ(route->served[0].range.maximum, 20);
}

TEST_F(EndpointUpdateTest, SplitsTraffic) {
  const Reply created = Send(
      "POST", std::string(kEndpoints),
      fmt::format(R"({{"name":"ab","config":{{"served_entities":[{},{}],"traffic_config":{{"routes":
          [{{"served_entity_name":"a.b.c-2","traffic_percentage":"30"}},
           {{"served_model_name":"a.b.c-1","traffic_percentage":70}}]}}}}}})",
                  Entity(1), Entity(2)));
  ASSERT_EQ(created.status, 200) << created.Text("message");
  Run(true);
  const auto route = Routes().Find("ab");
  ASSERT_EQ(route->served.size(), 2u);
  EXPECT_EQ(route->served[0].traffic_percentage, 70);  // In the order of the entities.
  EXPECT_EQ(route->served[1].traffic_percentage, 30);
  EXPECT_NE(route->served[0].pool, route->served[1].pool);
}

TEST_F(EndpointUpdateTest, MayBeCreatedWithoutAConfiguration) {
  EXPECT_EQ(Send("POST", std::string(kEndpoints), R"({"name":"later"})").status, 200);
  const Reply empty = Send("GET", Path("later"));
  EXPECT_EQ(empty.json.at("state").at("ready"), "NOT_READY");
  EXPECT_EQ(empty.json.at("state").at("config_update"), "NOT_UPDATING");
  EXPECT_EQ(Send("PUT", Path("later/config"), Config(1)).status, 200);
  Run(true);
  EXPECT_EQ(Send("GET", Path("later")).json.at("state").at("ready"), "READY");
}

TEST_F(EndpointUpdateTest, PtHasModelUnitsAndItsNameIsReserved) {
  const std::string body = fmt::format(R"({{"name":"units","config":{{"served_entities":[{}]}}}})",
                                       Entity(1, R"(,"provisioned_model_units":50)"));
  const Reply created = Send("POST", Path("pt"), body);
  ASSERT_EQ(created.status, 200) << created.Text("message");
  const auto& entity = created.json.at("pending_config").at("served_entities").at(0);
  EXPECT_EQ(entity.at("provisioned_model_units"), 50);
  Run(true);
  EXPECT_EQ(Send("PUT", Path("pt/units/config"),
                 fmt::format(R"({{"served_entities":[{}]}})",
                             Entity(1, R"(,"provisioned_model_units":100)")))
                .status,
            200);
  EXPECT_EQ(Create("pt", 1).status, 400);
}

TEST_F(EndpointUpdateTest, NamesTheNearestMultiples) {
  settings_.calibration = [](const store::ModelVersionRecord&) {
    policy::Calibration calibration;
    calibration.cost_per_s = 4000;
    calibration.chunk_tokens_per_s = 980;
    return calibration;
  };
  Open();
  const Reply odd = Send("POST", std::string(kEndpoints),
                         fmt::format(R"({{"name":"e","config":{{"served_entities":[{}]}}}})",
                                     Entity(1, R"(,"min_provisioned_throughput":0,)"
                                               R"("max_provisioned_throughput":1000)")));
  EXPECT_EQ(odd.status, 400);
  EXPECT_EQ(odd.Text("error_code"), "INVALID_PARAMETER_VALUE");
  EXPECT_NE(odd.Text("message").find("980 and 1960"), std::string::npos) << odd.Text("message");
}

TEST_F(EndpointUpdateTest, RefusesWhatCanNeverFit) {
  settings_.capacity = {.memory_bytes = 24LL << 30, .cores = 2, .cores_per_replica = 0};
  settings_.memory_of = [](const store::ModelVersionRecord&) { return 40LL << 30; };
  Open();
  const Reply refused = Create("big", 1);
  EXPECT_EQ(refused.status, 400);
  EXPECT_NE(refused.Text("message").find("40.0 GiB"), std::string::npos);
  EXPECT_NE(refused.Text("message").find("24.0 GiB"), std::string::npos);
  EXPECT_EQ(Send("GET", Path("big")).status, 404);
}

TEST_F(EndpointUpdateTest, TagsAndGateway) {
  Create("chat", 1);
  const Reply tags = Send("PATCH", Path("chat/tags"), R"({"add_tags":[{"key":"a","value":"b"}]})");
  EXPECT_EQ(tags.json.at("tags").at(0).at("value"), "b");
  const std::string limits = R"({"rate_limits":[{"calls":5,"key":"user","renewal_period":"minute"}],
                                 "fallback_config":{"enabled":true}})";
  EXPECT_EQ(Send("PUT", Path("chat/ai-gateway"), limits).status, 200);
  const auto route = Routes().Find("chat");
  ASSERT_EQ(route->policy.rate_limits.size(), 1u);
  EXPECT_EQ(route->policy.rate_limits[0].calls, 5);
  EXPECT_TRUE(route->policy.fallback);
  Open();
  EXPECT_EQ(Send("GET", Path("chat")).json.at("tags").at(0).at("key"), "a");
  EXPECT_EQ(Routes().Find("chat")->policy.rate_limits.size(), 1u);
}

TEST_F(EndpointUpdateTest, PermissionsAreByIdAndDecide) {
  const auto id = std::string(Create("chat", 1).json.at("id").as_string());
  const std::string path = "/api/2.0/permissions/serving-endpoints/" + id;
  const auto grant = [](const char* user, const char* level) {
    return fmt::format(
        R"({{"access_control_list":[{{"user_name":"{}","permission_level":"{}"}}]}})", user, level);
  };
  EXPECT_EQ(Send("GET", Path("chat"), "", "ann").json.at("permission_level"), "CAN_QUERY");
  EXPECT_EQ(Send("PATCH", Path("chat/tags"), "{}", "ann").status, 403);
  EXPECT_EQ(Send("PUT", path, grant("ann", "CAN_MANAGE")).Text("object_id"),
            "/serving-endpoints/" + id);
  EXPECT_EQ(Send("PATCH", Path("chat/tags"), "{}", "ann").status, 200);
  EXPECT_EQ(Send("GET", Path("chat"), "", "bob").status, 404);
  EXPECT_EQ(Send("GET", path, "", "bob").status, 404);
  EXPECT_EQ(Send("PATCH", path, grant("bob", "CAN_VIEW")).status, 200);
  EXPECT_EQ(Send("GET", Path("chat"), "", "bob").json.at("permission_level"), "CAN_VIEW");
  EXPECT_EQ(Send("PATCH", path, grant("bob", "CAN_DO")).status, 400);
  EXPECT_EQ(Send("GET", path).json.at("access_control_list").as_array().size(), 2u);
  EXPECT_EQ(Send("GET", path + "/permissionLevels").status, 200);
  EXPECT_EQ(Send("GET", "/api/2.0/permissions/serving-endpoints/none/permissionLevels").status,
            404);
  EXPECT_EQ(Send("GET", "/api/2.0/permissions/serving-endpoints/none").status, 404);
}

TEST_F(EndpointUpdateTest, KeysAreMadeListedAndRevoked) {
  const Reply made = Send("POST", "/api/2.0/token/create", R"({"comment":"app"})");
  ASSERT_EQ(made.status, 200) << made.Text("message");
  const std::string secret = made.Text("token_value");
  EXPECT_NE(LoadKeys(parts_->store)->Find(secret), nullptr);
  EXPECT_EQ(parts_->key_changes, 1);
  EXPECT_EQ(Send("GET", "/api/2.0/token/list").json.at("token_infos").at(0).at("token_id"), "app");
  EXPECT_EQ(Send("POST", "/api/2.0/token/delete", R"({"token_id":"app"})").status, 200);
  EXPECT_EQ(LoadKeys(parts_->store)->Find(secret), nullptr);
  EXPECT_EQ(Send("POST", "/api/2.0/token/delete", R"({"token_id":"app"})").status, 404);
  EXPECT_EQ(Send("GET", "/api/2.0/token/list", "", "ann").status, 403);
  EXPECT_EQ(Send("POST", "/api/2.0/token/create", R"({"comment":"x","role":"king"})").status, 400);
}

TEST_F(EndpointUpdateTest, ExplainsItsScaling) {
  Create("chat", 1);
  Run(true);
  parts_->scaler.Tick(parts_->endpoints.plan(), {}, parts_->reconciler, Now());
  const Reply explained = Send("GET", Path("chat/explain"));
  ASSERT_EQ(explained.status, 200) << explained.Text("message");
  const auto& scaling = explained.json.at("served_entities").at(0).at("scaling");
  EXPECT_EQ(scaling.at("now").at("rule"), "no_data");
  EXPECT_EQ(scaling.at("now").at("replicas"), 1);
  EXPECT_EQ(Send("GET", Path("none/explain")).status, 404);
}

// An endpoint that asked for nothing for five minutes goes to zero, and comes back on demand.
TEST_F(EndpointUpdateTest, ScalesToZeroAndBack) {
  Send("POST", std::string(kEndpoints),
       fmt::format(R"({{"name":"e","config":{{"served_entities":[{}]}}}})",
                   Entity(1, R"(,"min_provisioned_throughput":0,)"
                             R"("max_provisioned_throughput":20)")));
  Run(true);
  policy::PoolLoad load;
  const auto tick = [&](int seconds) {
    for (int i = 0; i < seconds; ++i) {
      now_ += std::chrono::seconds(1);
      parts_->scaler.Tick(
          parts_->endpoints.plan(), [&load](const std::string&) { return std::optional(load); },
          parts_->reconciler, Now());
      parts_->reconciler.Step(now_);
    }
  };
  tick(400);
  EXPECT_EQ(parts_->reconciler.StatusOf(Routes().Find("e")->served[0].pool, now_).wanted, 0);
  EXPECT_EQ(Send("GET", Path("e")).json.at("state").at("ready"), "READY");
  load.queued_cost = 100;
  tick(1);
  EXPECT_EQ(parts_->reconciler.StatusOf(Routes().Find("e")->served[0].pool, now_).wanted, 1);
}

TEST_F(EndpointUpdateTest, NotificationsAndBudgetsAreCheckedKeptAndShown) {
  const auto create = [this](const std::string& more) {
    return Send("POST", std::string(kEndpoints), R"({"name":"mails",)" + more + "}");
  };
  for (const char* bad :
       {R"("email_notifications":5)", R"("email_notifications":{"on_update_success":"a"})",
        R"("email_notifications":{"on_update_failure":[1]})", R"("budget_policy_id":7)"}) {
    EXPECT_EQ(create(bad).status, 400) << bad;
  }
  EXPECT_EQ(create(R"("budget_policy_id":"b","email_notifications":{"on_update_success":["a@b"]})")
                .status,
            200);
  Open();
  const Reply got = Send("GET", Path("mails"));
  EXPECT_EQ(got.Text("budget_policy_id"), "b");
  EXPECT_EQ(got.json.at("email_notifications").at("on_update_success").at(0), "a@b");
  EXPECT_EQ(Send("PATCH", Path("mails/notifications"), R"({"email_notifications":5})").status, 400);
  EXPECT_EQ(Send("PATCH", Path("mails/notifications"),
                 R"({"email_notifications":{"on_update_failure":["c@d"]}})")
                .json.at("email_notifications")
                .at("on_update_failure")
                .at(0),
            "c@d");
  EXPECT_FALSE(Send("GET", Path("mails"))
                   .json.at("email_notifications")
                   .as_object()
                   .contains("on_update_success"));
}

TEST_F(EndpointUpdateTest, TheNextReplicaTakesANewSystemPrompt) {
  Create("chat", 1);
  Run(true);
  const Reply changed = Send("PATCH", "/api/2.1/unity-catalog/models/a.b.c",
                             R"({"default_system_prompt":"Be brief."})");
  EXPECT_EQ(changed.status, 200);
  EXPECT_EQ(parts_->endpoints.plan().begin()->second.served.system_prompt, "Be brief.");
}

}  // namespace
}  // namespace penstock::control
