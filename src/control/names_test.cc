#include "control/names.h"

#include <gtest/gtest.h>

namespace penstock::control {
namespace {

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
