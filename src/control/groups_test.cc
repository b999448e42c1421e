// Groups of keys over REST, and what they decide.
#include "control/groups.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>

#include "base/test_folder.h"
#include "control/endpoint_service.h"
#include "control/gateway_json.h"
#include "control/key_service.h"
#include "control/keys.h"

namespace penstock::control {
namespace {

class GroupsTest : public testing::Test {
 protected:
  GroupsTest() {
    for (const char* name : {"ann", "bob"}) {
      EXPECT_TRUE(CreateKey(store_, name, policy::Role::kUser, {}));
    }
  }
  Status Member(auto method, const std::string& group, const std::string& key) {
    const boost::json::object body{{"parent_name", group}, {"user_name", key}};
    const auto answer = (service_.*method)(boost::json::serialize(body), {});
    return answer ? Status() : Fail(answer.error());
  }

  TestFolder folder_;
  store::Store store_ = store::Store::Open(folder_.File("penstock.db")).value();
  int changes_ = 0;
  KeyService service_{store_, [this] { ++changes_; }};
};

TEST_F(GroupsTest, MembersReachTheKeyTable) {
  ASSERT_TRUE(service_.CreateGroup(R"({"group_name":"interns"})", {}));
  ASSERT_TRUE(Member(&KeyService::AddMember, "interns", "bob"));
  EXPECT_EQ(changes_, 1);
  const auto made = service_.Create(R"({"comment":"cid","groups":["interns"]})", {});
  ASSERT_TRUE(made) << made.error().message;
  const auto table = LoadKeys(store_);
  const policy::Key* const cid = table->Find(made->at("token_value").as_string());
  ASSERT_NE(cid, nullptr);
  EXPECT_EQ(cid->groups, std::vector<std::string>{"interns"});
  EXPECT_EQ(boost::json::serialize(*service_.MembersOf("interns")),
            R"({"members":[{"user_name":"bob"},{"user_name":"cid"}]})");
  EXPECT_EQ(boost::json::serialize(*service_.GroupsOf("bob")), R"({"group_names":["interns"]})");
  ASSERT_TRUE(Member(&KeyService::RemoveMember, "interns", "bob"));
  EXPECT_EQ(boost::json::serialize(*service_.GroupsOf("bob")), R"({"group_names":[]})");
  ASSERT_TRUE(service_.DeleteGroup(R"({"group_name":"interns"})", {}));
  EXPECT_EQ(service_.ListGroups("", {})->at("group_names").as_array().size(), 0u);
}

TEST_F(GroupsTest, RefusesWhatIsNotThere) {
  EXPECT_EQ(service_.CreateGroup(R"({"group_name":"a b"})", {}).error().code,
            Code::kInvalidArgument);
  EXPECT_EQ(service_.CreateGroup("{}", {}).error().field, "group_name");
  ASSERT_TRUE(service_.CreateGroup(R"({"group_name":"staff"})", {}));
  EXPECT_EQ(service_.CreateGroup(R"({"group_name":"staff"})", {}).error().code,
            Code::kAlreadyExists);
  EXPECT_EQ(Member(&KeyService::AddMember, "staff", "nobody").error().code, Code::kNotFound);
  EXPECT_EQ(Member(&KeyService::AddMember, "none", "bob").error().code, Code::kNotFound);
  EXPECT_EQ(Member(&KeyService::RemoveMember, "staff", "bob").error().code, Code::kNotFound);
  EXPECT_EQ(service_.AddMember(R"({"parent_name":"staff","group_name":"x"})", {}).error().code,
            Code::kUnsupported);
  EXPECT_EQ(service_.DeleteGroup(R"({"group_name":"none"})", {}).error().code, Code::kNotFound);
  EXPECT_EQ(service_.MembersOf("none").error().code, Code::kNotFound);
  EXPECT_EQ(service_.GroupsOf("nobody").error().code, Code::kNotFound);
  const auto made = service_.Create(R"({"comment":"cid","groups":["none"]})", {});
  EXPECT_EQ(made.error().code, Code::kNotFound);
  EXPECT_EQ(store_.ListKeys()->size(), 2u) << "and no key is made";
}

TEST_F(GroupsTest, AKeyIsInAFewGroupsAtMost) {
  for (std::size_t i = 0; i <= kGroupsOfKeyMax; ++i) {
    const std::string name = "g" + std::to_string(i);
    ASSERT_TRUE(service_.CreateGroup(R"({"group_name":")" + name + R"("})", {}));
    const Status added = Member(&KeyService::AddMember, name, "bob");
    EXPECT_EQ(added.has_value(), i < kGroupsOfKeyMax);
    if (!added) EXPECT_EQ(added.error().code, Code::kExhausted);
  }
  EXPECT_TRUE(Member(&KeyService::AddMember, "g0", "bob")) << "it is in it already";
}

TEST(GroupPermissions, TheMostOfNameAndGroupsCounts) {
  Endpoint endpoint;
  endpoint.permissions = {{"user_name", "ann", PermissionLevel::kView},
                          {"group_name", "staff", PermissionLevel::kManage},
                          {"group_name", "bob", PermissionLevel::kManage}};
  endpoint.policy = PolicyOf(endpoint);
  EXPECT_EQ(PermissionOf(endpoint, {.name = "ann"}), "CAN_VIEW");
  EXPECT_EQ(PermissionOf(endpoint, {.name = "ann", .groups = {"staff"}}), "CAN_MANAGE");
  EXPECT_EQ(PermissionOf(endpoint, {.name = "bob"}), "") << "a group of a key's name is no key";
}

}  // namespace
}  // namespace penstock::control
