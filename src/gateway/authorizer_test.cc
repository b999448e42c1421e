#include "gateway/authorizer.h"

#include <gtest/gtest.h>

namespace penstock::gateway {
namespace {

class AuthorizerTest : public testing::Test {
 protected:
  AuthorizerTest() { authorizer_.SetKeys(KeysWith("psk_good")); }

  static std::shared_ptr<const policy::KeyTable> KeysWith(std::string_view secret) {
    return std::make_shared<policy::KeyTable>(std::vector<policy::Key>{
        {.hash = policy::HashSecret(secret), .name = "team", .role = policy::Role::kUser}});
  }
  Result<std::shared_ptr<const Requester>> Check(std::string_view name, std::string_view value) {
    http::Fields fields;
    fields.Add(name, value);
    return authorizer_.Check(fields);
  }

  Authorizer authorizer_;
};

TEST_F(AuthorizerTest, TakesBearerAndAzureKeys) {
  ASSERT_TRUE(Check("Authorization", "Bearer psk_good"));
  EXPECT_EQ((*Check("authorization", "bearer psk_good"))->name, "team");
  EXPECT_TRUE(Check("API-Key", "psk_good"));
}

TEST_F(AuthorizerTest, RefusesWhatIsMissingOrWrong) {
  EXPECT_EQ(authorizer_.Check({}).error().code, Code::kUnauthenticated);
  EXPECT_FALSE(Check("authorization", "Bearer psk_goo"));
  EXPECT_FALSE(Check("authorization", "Bearer "));
  EXPECT_FALSE(Check("authorization", "Basic psk_good"));
  EXPECT_FALSE(Check("api-key", ""));
}

TEST_F(AuthorizerTest, ErrorsNeverRepeatTheSecret) {
  EXPECT_EQ(Check("api-key", "psk_private").error().message.find("psk_private"), std::string::npos);
}

TEST_F(AuthorizerTest, ForgetsRevokedKeysAtOnce) {
  ASSERT_TRUE(Check("api-key", "psk_good"));
  authorizer_.SetKeys(KeysWith("psk_other"));
  EXPECT_FALSE(Check("api-key", "psk_good"));
  EXPECT_TRUE(Check("api-key", "psk_other"));
}

}  // namespace
}  // namespace penstock::gateway
