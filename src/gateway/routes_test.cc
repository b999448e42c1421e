#include "gateway/routes.h"

#include <gtest/gtest.h>

#include <string>

namespace penstock::gateway {
namespace {

TEST(Routes, KnowTheDataPlane) {
  EXPECT_EQ(FindRoute("POST", "/v1/chat/completions").operation, Operation::kChat);
  EXPECT_EQ(FindRoute("POST", "/v1/completions").operation, Operation::kCompletions);
  EXPECT_EQ(FindRoute("POST", "/serving-endpoints/embeddings").operation, Operation::kEmbeddings);
  EXPECT_EQ(FindRoute("GET", "/v1/models").kind, RouteKind::kModelList);
}

TEST(Routes, TakeTheEndpointFromAnInvocationsPath) {
  const Route route = FindRoute("POST", "/serving-endpoints/my%2Dchat/invocations");
  EXPECT_EQ(route.kind, RouteKind::kGeneration);
  EXPECT_EQ(route.name, "my-chat");
  EXPECT_EQ(route.dialect, Dialect::kDatabricks);
  EXPECT_EQ(route.operation, Operation::kByBody);
}

TEST(Routes, KnowTheBasesOfTheAiGateway) {
  for (const std::string base : {"/ai-gateway/mlflow", "/ai-gateway/openai"}) {
    const Route route = FindRoute("POST", base + "/v1/chat/completions");
    EXPECT_EQ(route.kind, RouteKind::kGeneration);
    EXPECT_EQ(route.operation, Operation::kChat);
    EXPECT_EQ(route.surface, Surface::kDatabricks);
    EXPECT_EQ(FindRoute("GET", base + "/v1/models").kind, RouteKind::kModelList);
    EXPECT_EQ(FindRoute("GET", base + "/metrics").kind, RouteKind::kNoSuchPath);
    EXPECT_EQ(FindRoute("GET", base + base + "/v1/nothing").kind, RouteKind::kNoSuchPath);
  }
}

TEST(Routes, RefuseOddPaths) {
  EXPECT_EQ(FindRoute("POST", "/serving-endpoints//invocations").kind, RouteKind::kNoSuchPath);
  EXPECT_EQ(FindRoute("POST", "/serving-endpoints/a/b/invocations").kind, RouteKind::kNoSuchPath);
  EXPECT_EQ(FindRoute("POST", "/serving-endpoints/%00/invocations").kind, RouteKind::kNoSuchPath);
  EXPECT_EQ(FindRoute("GET", "/").kind, RouteKind::kNoSuchPath);
}

TEST(Routes, NameTheMethodThatWouldDo) {
  const Route route = FindRoute("GET", "/v1/chat/completions");
  EXPECT_EQ(route.kind, RouteKind::kWrongMethod);
  EXPECT_EQ(route.allowed_method, "POST");
  EXPECT_EQ(FindRoute("DELETE", "/metrics").allowed_method, "GET");
  EXPECT_EQ(FindRoute("HEAD", "/-/healthy").kind, RouteKind::kHealthy);
}

TEST(Routes, TellReportsFromTheControlPlane) {
  for (const char* path :
       {"/api/2.0/usage", "/api/2.0/usage/records", "/api/2.0/serving-endpoints/x/metrics",
        "/subscriptions/s/resourceGroups/g/providers/Microsoft.Insights/metrics",
        "//subscriptions/s/providers/microsoft.insights/metricDefinitions"}) {
    EXPECT_EQ(FindRoute("GET", path).kind, RouteKind::kReport) << path;
  }
  EXPECT_EQ(FindRoute("GET", "/api/2.0/serving-endpoints/metrics").kind, RouteKind::kControl);
  EXPECT_EQ(FindRoute("GET", "/api/2.0/usages").kind, RouteKind::kControl);
  EXPECT_EQ(FindRoute("GET", "/subscriptions/metrics").kind, RouteKind::kControl);
}

TEST(Routes, LeaveTheControlPlaneToItself) {
  EXPECT_EQ(FindRoute("PUT", "/api/2.0/serving-endpoints/x/config").kind, RouteKind::kControl);
}

}  // namespace
}  // namespace penstock::gateway
