#include "control/azure_terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "control/gateway_json.h"
#include "control/json_reader.h"

namespace penstock::control {
namespace {

policy::LanePolicy LaneOf(const char* sku, const char* properties) {
  policy::LanePolicy lane;
  lane.guarantee_per_s = lane.cap_per_s = 1000;
  ApplyAzure({.sku = sku, .capacity = 20, .properties = properties}, lane);
  return lane;
}

std::string Refusal(const char* properties) {
  const Status good = CheckAzureProperties(*ParseJsonObject(properties));
  return good ? "" : good.error().field;
}

// Microsoft: calls are accepted until 100 %. So no part of the bucket is less than promised, and a
// request reserves what it asks for.
TEST(AzureTerms, AProvisionedDeploymentIsPromisedWholly) {
  const policy::LanePolicy lane = LaneOf("GlobalProvisionedManaged", "{}");
  EXPECT_EQ(lane.accounting, policy::Accounting::kUtilization);
  EXPECT_EQ(lane.overload, policy::Overload::kReject);
  EXPECT_EQ(lane.guarantee_burst, lane.cap_burst);
  EXPECT_EQ(lane.reserve, policy::Reserve::kLimit);
  EXPECT_FALSE(lane.quota);
}

TEST(AzureTerms, AStandardDeploymentHasAQuota) {
  const policy::LanePolicy lane = LaneOf("Standard", "");
  ASSERT_TRUE(lane.quota);
  EXPECT_EQ(lane.quota->tokens_per_minute, 20'000);
  EXPECT_EQ(lane.quota->requests_per_minute, 120);
  EXPECT_EQ(lane.quota->request_window, std::chrono::seconds(10));
  EXPECT_FALSE(lane.quota->release);
}

TEST(AzureTerms, OurPropertiesChangeTheTerms) {
  const char* properties =
      R"({"penstock": {"reserve": "learned", "releaseQuota": true, "requestWindowSeconds": 1}})";
  const policy::LanePolicy lane = LaneOf("Standard", properties);
  EXPECT_EQ(lane.reserve, policy::Reserve::kLearned);
  EXPECT_EQ(lane.quota->request_window, std::chrono::seconds(1));
  EXPECT_TRUE(lane.quota->release);
  EXPECT_EQ(Refusal(properties), "");
}

TEST(AzureTerms, WhatCannotBeMeantIsNamed) {
  EXPECT_EQ(Refusal(R"({"spilloverDeploymentName": 3})"), "properties.spilloverDeploymentName");
  EXPECT_EQ(Refusal(R"({"versionUpgradeOption": "Now"})"), "properties.versionUpgradeOption");
  EXPECT_EQ(Refusal(R"({"versionUpgradeOption": "NoAutoUpgrade"})"), "");
  EXPECT_EQ(Refusal(R"({"penstock": []})"), "properties.penstock");
  EXPECT_EQ(Refusal(R"({"penstock": {"reserve": "all"}})"), "properties.penstock.reserve");
  EXPECT_EQ(Refusal(R"({"penstock": {"releaseQuota": 3}})"), "properties.penstock.releaseQuota");
  EXPECT_EQ(Refusal(R"({"penstock": {"requestWindowSeconds": 5}})"),
            "properties.penstock.requestWindowSeconds");
}

TEST(AzureTerms, TheDeploymentThatTakesOverIsTheEndpointsSpillOver) {
  Endpoint endpoint;
  endpoint.azure = AzureDeployment{.sku = "ProvisionedManaged",
                                   .capacity = 20,
                                   .properties = R"({"spilloverDeploymentName": "std"})"};
  EXPECT_EQ(PolicyOf(endpoint).spillover, "std");
  endpoint.azure->properties = "{}";
  EXPECT_EQ(PolicyOf(endpoint).spillover, "");
}

TEST(AzureTerms, APatchAddsChangesAndTakesAway) {
  const auto patched = PatchAzureProperties(
      *ParseJsonObject(R"({"raiPolicyName": "p", "spilloverDeploymentName": "a"})"),
      *ParseJsonObject(R"({"raiPolicyName": null, "spilloverDeploymentName": "b",
                           "dynamicThrottlingEnabled": true})"));
  EXPECT_EQ(boost::json::serialize(patched),
            R"({"spilloverDeploymentName":"b","dynamicThrottlingEnabled":true})");
}

TEST(AzureTerms, CapabilitiesFollowTheTask) {
  EXPECT_TRUE(AzureCapabilities("llm/v1/embeddings").contains("embeddings"));
  EXPECT_TRUE(AzureCapabilities("llm/v1/completions").contains("completion"));
  EXPECT_TRUE(AzureCapabilities("llm/v1/chat").contains("chatCompletion"));
  EXPECT_FALSE(AzureCapabilities("llm/v1/embeddings").contains("chatCompletion"));
}

}  // namespace
}  // namespace penstock::control
