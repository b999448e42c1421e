#include "plan/arm_capacity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json.hpp>

namespace penstock::plan {
namespace {

using testing::HasSubstr;

constexpr const char* kBody =
    R"({"model": {"format": "OpenAI", "name": "gpt-4o-mini", "version": "2024-07-18"},
        "skuName": "GlobalProvisionedManaged", "workloads": [
          {"requestPerMinute": 500, "requestParameters": {"avgPromptTokens": 1000, "avgGeneratedTokens": 300}},
          {"requestPerMinute": 1000, "requestParameters": {"avgPromptTokens": 5000, "avgGeneratedTokens": 50}}]})";

std::string Refusal(const std::string& from, const std::string& to) {
  std::string body = kBody;
  body.replace(body.find(from), from.size(), to);
  const auto answer = CalculateModelCapacity(body, BuiltInPtuTable());
  return answer ? *answer : answer.error().message;
}

TEST(ArmCapacity, SeveralWorkloadsAddUp) {
  const auto answer = CalculateModelCapacity(kBody, BuiltInPtuTable());
  ASSERT_TRUE(answer) << answer.error().message;
  const boost::json::value json = boost::json::parse(*answer);
  EXPECT_NEAR(json.at("estimatedCapacity").at("value").as_double(), 164.865, 0.001);
  EXPECT_EQ(json.at("estimatedCapacity").at("deployableValue").as_int64(), 165);
  EXPECT_EQ(json.at("model").at("version").as_string(), "2024-07-18");
  EXPECT_EQ(json.at("skuName").as_string(), "GlobalProvisionedManaged");
}

TEST(ArmCapacity, WhatIsWrongIsNamed) {
  EXPECT_THAT(Refusal("gpt-4o-mini", "gpt-4o-minx"), HasSubstr("nearest: gpt-4o-mini"));
  EXPECT_THAT(Refusal("Global", "Standard"), HasSubstr("'skuName'"));
  EXPECT_THAT(Refusal("\"requestPerMinute\": 500", "\"requestPerMinute\": \"x\""),
              HasSubstr("workloads[0].requestPerMinute"));
  EXPECT_THAT(Refusal("5000", "-5"), HasSubstr("workloads[1]"));
  EXPECT_THAT(Refusal("\"workloads\"", "\"work\""), HasSubstr("'workloads' must list"));
  EXPECT_FALSE(CalculateModelCapacity("[", BuiltInPtuTable()));
}

}  // namespace
}  // namespace penstock::plan
