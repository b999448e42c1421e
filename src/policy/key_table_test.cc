#include "policy/key_table.h"

#include <gtest/gtest.h>

#include <set>

namespace penstock::policy {
namespace {

// FIPS 180-2, appendix B.1: the hash of "abc".
TEST(HashSecret, IsSha256) {
  const KeyHash hash = HashSecret("abc");
  EXPECT_EQ(hash[0], 0xba);
  EXPECT_EQ(hash[1], 0x78);
  EXPECT_EQ(hash[30], 0x15);
  EXPECT_EQ(hash[31], 0xad);
}

TEST(NewSecret, IsLongAndNeverTheSame) {
  std::set<std::string> secrets;
  for (int i = 0; i < 100; ++i) secrets.insert(NewSecret());
  EXPECT_EQ(secrets.size(), 100u);
  EXPECT_EQ(secrets.begin()->size(), 68u);
  EXPECT_EQ(secrets.begin()->substr(0, 4), "psk_");
}

TEST(KeyTable, FindsOnlyTheWholeSecret) {
  const std::string secret = NewSecret();
  const KeyTable table({{.hash = HashSecret(secret), .name = "first", .role = Role::kAdmin},
                        {.hash = HashSecret("other"), .name = "second", .role = Role::kUser}});
  EXPECT_EQ(table.size(), 2u);
  ASSERT_NE(table.Find(secret), nullptr);
  EXPECT_EQ(table.Find(secret)->name, "first");
  EXPECT_EQ(table.Find(secret)->role, Role::kAdmin);
  EXPECT_EQ(table.Find("other")->role, Role::kUser);
  EXPECT_EQ(table.Find(""), nullptr);
  EXPECT_EQ(table.Find(secret.substr(1)), nullptr);
  EXPECT_EQ(table.Find(secret + " "), nullptr);
  EXPECT_EQ(KeyTable().Find(secret), nullptr);
}

TEST(Role, ParsesItsOwnNames) {
  EXPECT_EQ(ParseRole(RoleName(Role::kAdmin)), Role::kAdmin);
  EXPECT_EQ(ParseRole(RoleName(Role::kUser)), Role::kUser);
  EXPECT_EQ(ParseRole("root").error().field, "role");
}

}  // namespace
}  // namespace penstock::policy
