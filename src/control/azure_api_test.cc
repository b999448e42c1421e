// Deployments as ARM's clients write them: what changes takes time, is told, and changes all or
// nothing.
#include "control/azure_api.h"

#include <gtest/gtest.h>

#include "control/endpoint_bed.h"

namespace penstock::control {
namespace {

class AzureApiTest : public EndpointBed {
 protected:
  static constexpr const char* kAccount =
      "/subscriptions/s/resourceGroups/g/providers/Microsoft.CognitiveServices/accounts/a";

  struct AzureReply {
    int status = 0;
    boost::json::object json = {};
    std::map<std::string, std::string> fields = {};
    const boost::json::object& properties() const { return json.at("properties").as_object(); }
    std::string ErrorCode() const {
      return std::string(json.at("error").as_object().at("code").as_string());
    }
  };
  AzureReply Ask(const std::string& method, const std::string& path, const std::string& body = "",
                 const std::string& query = "api-version=2024-10-01") {
    const ApiAnswer answer =
        parts_->azure.Handle({.method = method,
                              .path = path,
                              .body = body,
                              .caller = {.name = "tester", .role = policy::Role::kAdmin},
                              .query = query,
                              .host = "penstock.example:8443",
                              .forwarded_proto = "https"},
                             Now());
    auto json = ParseJsonObject(answer.body.empty() || answer.body == "null" ? "{}" : answer.body);
    EXPECT_TRUE(json) << answer.body;
    return {.status = answer.status,
            .json = json.value_or(boost::json::object()),
            .fields = {answer.fields.begin(), answer.fields.end()}};
  }
  std::string Deployment(const std::string& name) const {
    return fmt::format("{}/deployments/{}", kAccount, name);
  }
  static std::string Body(int capacity, const std::string& more = "", int version = 1) {
    return fmt::format(
        R"({{"sku":{{"name":"ProvisionedManaged","capacity":{}}},"properties":{{"model":)"
        R"({{"format":"OpenAI","name":"c","version":"{}"}}}}{}}})",
        capacity, version, more);
  }
  // What the operation that an answer names has come to; the URL is checked on the way.
  AzureReply Follow(const AzureReply& begun) {
    const std::string url = begun.fields.at("azure-asyncoperation");
    constexpr std::string_view kBase = "https://penstock.example:8443";
    EXPECT_TRUE(url.starts_with(kBase)) << url;
    const std::size_t query = url.find('?');
    EXPECT_EQ(begun.fields.at("retry-after"), "1");
    return Ask("GET", url.substr(kBase.size(), query - kBase.size()), "", url.substr(query + 1));
  }
};

TEST_F(AzureApiTest, AChangeIsAnOperationThatCanBeAskedFor) {
  const AzureReply made = Ask("PUT", Deployment("d"), Body(50));
  ASSERT_EQ(made.status, 201);
  EXPECT_EQ(Follow(made).json.at("status"), "Running");
  Run(true);
  EXPECT_EQ(Follow(made).json.at("status"), "Succeeded");
  const AzureReply patched = Ask("PATCH", Deployment("d"), R"({"sku":{"capacity":60}})");
  ASSERT_EQ(patched.status, 202);
  EXPECT_EQ(Ask("GET", Deployment("d")).json.at("sku").at("capacity"), 60);
  Run(true);
  EXPECT_EQ(Follow(patched).json.at("status"), "Succeeded");
  // Another model, or another version: an operation as well.
  const AzureReply other =
      Ask("PATCH", Deployment("d"), R"({"properties":{"model":{"version":"2"}}})");
  ASSERT_EQ(other.status, 202);
  Run(true);
  EXPECT_EQ(Ask("GET", Deployment("d")).properties().at("model").at("version"), "2");
  const AzureReply gone = Ask("DELETE", Deployment("d"));
  EXPECT_EQ(gone.status, 200);
  EXPECT_EQ(Follow(other).status, 404);
}

TEST_F(AzureApiTest, AFailedOperationSaysWhy) {
  const AzureReply made = Ask("PUT", Deployment("d"), Body(50));
  Run(false);
  const AzureReply failed = Follow(made);
  EXPECT_EQ(failed.json.at("status"), "Failed");
  EXPECT_EQ(failed.json.at("error").at("code"), "DeploymentFailed");
  EXPECT_NE(failed.json.at("error").at("message").as_string().find("exited"), std::string::npos);
  EXPECT_EQ(AzureFailure("RESOURCE_EXHAUSTED: no capacity").at("code"), "InsufficientCapacity");
}

TEST_F(AzureApiTest, NoOperationOfThatName) {
  Ask("PUT", Deployment("d"), Body(50));
  const std::string id = parts_->endpoints.Find("d")->id;
  const std::string path =
      "/subscriptions/s/providers/Microsoft.CognitiveServices/locations/local/operationStatuses/";
  EXPECT_EQ(Ask("GET", path + id + "-1").status, 200);
  for (const std::string& name : {id + "-2", id + "-0", id + "--1", id + "-x", id, std::string("x"),
                                  std::string("x-1"), std::string("-")}) {
    EXPECT_EQ(Ask("GET", path + name).status, 404) << name;
  }
}

TEST_F(AzureApiTest, APatchChangesAllOrNothing) {
  Ask("PUT", Deployment("d"), Body(50, R"(,"tags":{"team":"a","stage":"x"})"));
  Run(true);
  const auto refused = [&](const std::string& body) {
    EXPECT_EQ(Ask("PATCH", Deployment("d"), body).status, 400) << body;
    const AzureReply now = Ask("GET", Deployment("d"));
    EXPECT_EQ(now.json.at("tags").as_object().size(), 2U) << body;
    EXPECT_EQ(now.json.at("sku").at("capacity"), 50);
  };
  refused(R"({"tags":{"team":"b","new":"y"},"sku":{"capacity":0}})");
  refused(R"({"tags":{"new":"y"},"properties":{"versionUpgradeOption":"Sometimes"}})");
  refused(R"({"tags":{"new":"y"},"properties":"none"})");
  refused(R"({"tags":{"new":"y"},"properties":{"model":{"name":"nobody"}}})");
  // Null takes one away; the other stays.
  const AzureReply merged = Ask("PATCH", Deployment("d"), R"({"tags":{"team":null,"new":"y"}})");
  EXPECT_EQ(merged.status, 200);
  EXPECT_FALSE(merged.fields.contains("azure-asyncoperation"));
  EXPECT_EQ(boost::json::serialize(merged.json.at("tags")), R"({"stage":"x","new":"y"})");
}

TEST_F(AzureApiTest, NamesMayHaveDotsAndPathsAnyCase) {
  EXPECT_EQ(Ask("PUT", Deployment("gpt-4.1"), Body(1)).status, 201);
  std::string path = Deployment("gpt-4.1");
  path.replace(path.find("resourceGroups"), 14, "resourcegroups");
  path.replace(path.find("Microsoft.CognitiveServices"), 27, "microsoft.cognitiveservices");
  EXPECT_EQ(Ask("GET", path).status, 200);
  for (const char* name :
       {".x", "x.", "a%20b", "pt",
        "a..............................b...................................c"}) {
    EXPECT_EQ(Ask("PUT", Deployment(name), Body(1)).status, 400) << name;
  }
}

TEST_F(AzureApiTest, TheApiVersionIsAskedFor) {
  const AzureReply bare = Ask("GET", Deployment("d"), "", "");
  EXPECT_EQ(bare.status, 400);
  EXPECT_EQ(bare.ErrorCode(), "MissingApiVersionParameter");
}

}  // namespace
}  // namespace penstock::control
