#include "control/names.h"

#include <gtest/gtest.h>

namespace penstock::control {
namespace {

TEST(Names, OfDeploymentsMayHaveDots) {
  for (const char* good : {"gpt-4.1-mini", "a", "a..b"}) {
    EXPECT_TRUE(CheckDeploymentName(good, "name")) << good;
  }
  EXPECT_TRUE(CheckDeploymentName(std::string(kDeploymentNameSizeMax, 'x'), "name"));
  for (const std::string& bad :
       {std::string(), std::string("."), std::string("a."), std::string(".a"), std::string("a/b"),
        std::string("pt"), std::string(kDeploymentNameSizeMax + 1, 'x')}) {
    EXPECT_FALSE(CheckDeploymentName(bad, "name")) << bad;
  }
}

TEST(Names, OfServedEntitiesBreakNoHeadAndNoTable) {
  for (const std::string& good : {std::string("ml.llm-catalog.model-3"), std::string(510, 'x')}) {
    EXPECT_TRUE(CheckServedEntityName(good, "name")) << good;
  }
  for (const std::string& bad : {std::string(), std::string("a,b"), std::string("a\r\nb: c"),
                                 std::string("a/b"), std::string("a b"), std::string(511, 'x')}) {
    EXPECT_FALSE(CheckServedEntityName(bad, "name")) << bad;
  }
}

TEST(EndpointName, KeepsToItsRule) {
  for (const char* good : {"a", "prov-throughput-endpoint", "A_1", "-", "pt2"}) {
    EXPECT_TRUE(CheckEndpointName(good, "name")) << good;
  }
  EXPECT_TRUE(CheckEndpointName(std::string(kEndpointNameSizeMax, 'x'), "name"));
  for (const char* bad :
       {"", "a b", "a.b", "a/b", "é", "pt", "get-model-optimization-info", "a\n"}) {
    const auto checked = CheckEndpointName(bad, "name");
    ASSERT_FALSE(checked) << bad;
    EXPECT_EQ(checked.error().code, Code::kInvalidArgument);
    EXPECT_EQ(checked.error().field, "name");
  }
  const auto long_one = CheckEndpointName(std::string(64, 'x'), "name");
  ASSERT_FALSE(long_one);
  EXPECT_NE(long_one.error().message.find("63"), std::string::npos);
  EXPECT_NE(long_one.error().message.find("64 bytes"), std::string::npos);
  EXPECT_LT(CheckEndpointName(std::string(100'000, 'x'), "name").error().message.size(), 400u);
}

TEST(ModelName, HasThreeParts) {
  const auto name = ParseModelName("ml.llm-catalog.foundation_model", "entity_name");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->catalog, "ml");
  EXPECT_EQ(name->schema, "llm-catalog");
  EXPECT_EQ(name->model, "foundation_model");
  for (const char* bad : {"", "a", "a.b", "a.b.", ".b.c", "a..c", "a.b.c.d", "a.b.c d", "a.b.ü"}) {
    const auto refused = ParseModelName(bad, "entity_name");
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().field, "entity_name");
  }
  EXPECT_TRUE(ParseModelName("a.b." + std::string(255, 'x'), "n"));
  EXPECT_FALSE(ParseModelName("a.b." + std::string(256, 'x'), "n"));
}

}  // namespace
}  // namespace penstock::control
