#include "store/store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "base/random.h"
#include "base/test_folder.h"

namespace penstock::store {
namespace {

WallTime At(std::int64_t ms) { return WallTime(std::chrono::milliseconds(ms)); }

ModelVersionRecord VersionOf(const std::string& model) {
  ModelVersionRecord version;
  version.full_name = model;
  version.source = "/models/" + model + ".gguf";
  version.size_bytes = 123;
  version.fingerprint = "f";
  version.format = "{}";
  version.created_by = "admin";
  version.created_at = At(1'700'000'000'123);
  return version;
}

EndpointRecord EndpointNamed(const std::string& name) {
  EndpointRecord endpoint;
  endpoint.id = "id-" + name;
  endpoint.name = name;
  endpoint.definition = R"({"a":1})";
  endpoint.update_state = "IN_PROGRESS";
  endpoint.creator = "admin";
  endpoint.created_at = endpoint.updated_at = At(5);
  return endpoint;
}

class StoreTest : public testing::Test {
 protected:
  void Open() {
    store_.reset();
    auto store = Store::Open(folder_.File("penstock.db"));
    ASSERT_TRUE(store) << store.error().message;
    store_.emplace(std::move(*store));
  }
  void SetUp() override { Open(); }

  TestFolder folder_;
  std::optional<Store> store_;
};

TEST_F(StoreTest, IsPrivate) {
  struct stat found{};
  for (const char* name : {"penstock.db", "penstock.db-wal"}) {
    ASSERT_EQ(stat(folder_.File(name).c_str(), &found), 0) << name;
    EXPECT_EQ(found.st_mode & 077, 0u) << name;
  }
}

TEST_F(StoreTest, ModelVersionsCountUpwardAndAreNeverGivenTwice) {
  EXPECT_EQ(store_->AddModelVersion(VersionOf("c.s.m"), "first")->version, 1);
  EXPECT_EQ(store_->AddModelVersion(VersionOf("c.s.m"), "ignored")->version, 2);
  ASSERT_TRUE(store_->DeleteModelVersion("c.s.m", 2));
  EXPECT_EQ(store_->AddModelVersion(VersionOf("c.s.m"), "")->version, 3);
  Open();
  const auto versions = store_->ListModelVersions("c.s.m");
  ASSERT_EQ(versions->size(), 2u);
  EXPECT_EQ(versions->at(1).version, 3);
  const auto model = store_->GetModel("c.s.m");
  ASSERT_TRUE(model->has_value());
  EXPECT_EQ((*model)->comment, "first");
  EXPECT_EQ((*model)->created_at, At(1'700'000'000'123));
  EXPECT_EQ((*store_->GetModelVersion("c.s.m", 1))->source, "/models/c.s.m.gguf");
  EXPECT_FALSE(store_->GetModelVersion("c.s.m", 2)->has_value());
}

TEST_F(StoreTest, DeletingAModelDeletesItsVersions) {
  ASSERT_TRUE(store_->AddModelVersion(VersionOf("c.s.a"), ""));
  ASSERT_TRUE(store_->AddModelVersion(VersionOf("c.s.b"), ""));
  ASSERT_TRUE(store_->DeleteModel("c.s.a"));
  EXPECT_TRUE(store_->ListModelVersions("c.s.a")->empty());
  EXPECT_EQ(store_->ListModels()->size(), 1u);
  EXPECT_EQ(store_->DeleteModel("c.s.a").error().code, Code::kNotFound);
  EXPECT_EQ(store_->DeleteModelVersion("c.s.b", 9).error().code, Code::kNotFound);
}

TEST_F(StoreTest, KeepsEndpoints) {
  ASSERT_TRUE(store_->AddEndpoint(EndpointNamed("b")));
  ASSERT_TRUE(store_->AddEndpoint(EndpointNamed("a")));
  EXPECT_EQ(store_->AddEndpoint(EndpointNamed("a")).error().code, Code::kAlreadyExists);
  EndpointRecord failed = EndpointNamed("a");
  failed.update_state = "UPDATE_FAILED";
  failed.update_message = "no luck";
  ASSERT_TRUE(store_->UpdateEndpoint(failed));
  Open();
  const auto endpoints = store_->ListEndpoints();
  ASSERT_EQ(endpoints->size(), 2u);
  EXPECT_EQ(endpoints->at(0).name, "a");
  EXPECT_EQ(endpoints->at(0).update_state, "UPDATE_FAILED");
  EXPECT_EQ(endpoints->at(0).update_message, "no luck");
  EXPECT_EQ(endpoints->at(1).definition, R"({"a":1})");
  ASSERT_TRUE(store_->DeleteEndpoint("id-a"));
  EXPECT_EQ(store_->DeleteEndpoint("id-a").error().code, Code::kNotFound);
  EXPECT_EQ(store_->ListEndpoints()->size(), 1u);
}

TEST_F(StoreTest, KeepsKeys) {
  const std::string hash(32, '\0');  // Zero bytes must survive.
  ASSERT_TRUE(
      store_->AddKey({.hash = hash, .name = "first", .role = "admin", .created_at = At(1)}));
  EXPECT_FALSE(
      store_->AddKey({.hash = "short", .name = "x", .role = "admin", .created_at = At(1)}));
  EXPECT_FALSE(store_->AddKey(
      {.hash = std::string(32, 'a'), .name = "x", .role = "king", .created_at = At(1)}));
  EXPECT_EQ(
      store_->AddKey({.hash = std::string(32, 'b'), .name = "first", .role = "user"}).error().code,
      Code::kAlreadyExists);
  Open();
  const auto keys = store_->ListKeys();
  ASSERT_EQ(keys->size(), 1u);
  EXPECT_EQ(keys->at(0).hash, hash);
  ASSERT_TRUE(store_->DeleteKey("first"));
  EXPECT_EQ(store_->DeleteKey("first").error().code, Code::kNotFound);
}

TEST_F(StoreTest, KeepsGroupsAndTheirMembers) {
  for (const std::string name : {"ann", "bob"}) {
    ASSERT_TRUE(store_->AddKey(
        {.hash = std::string(32, name[0]), .name = name, .role = "user", .created_at = At(1)}));
  }
  ASSERT_TRUE(store_->AddGroup({.name = "staff", .created_at = At(2)}));
  ASSERT_TRUE(store_->AddGroup({.name = "interns", .created_at = At(3)}));
  EXPECT_EQ(store_->AddGroup({.name = "staff"}).error().code, Code::kAlreadyExists);
  ASSERT_TRUE(store_->AddGroupMember("staff", "bob"));
  ASSERT_TRUE(store_->AddGroupMember("staff", "bob")) << "once more changes nothing";
  ASSERT_TRUE(store_->AddGroupMember("interns", "bob"));
  ASSERT_TRUE(store_->AddGroupMember("staff", "ann"));
  EXPECT_FALSE(store_->AddGroupMember("nobody", "bob"));
  EXPECT_FALSE(store_->AddGroupMember("staff", "nobody"));
  Open();
  EXPECT_EQ(store_->ListGroups()->at(0).name, "interns");
  EXPECT_EQ(store_->ListGroups()->at(1).created_at, At(2));
  using Groups = std::vector<std::string>;
  EXPECT_EQ(store_->ListKeys()->at(1).groups, (Groups{"interns", "staff"}));
  ASSERT_TRUE(store_->RemoveGroupMember("staff", "bob"));
  EXPECT_EQ(store_->RemoveGroupMember("staff", "bob").error().code, Code::kNotFound);
  EXPECT_EQ(store_->ListKeys()->at(1).groups, (Groups{"interns"}));
  ASSERT_TRUE(store_->DeleteGroup("interns"));
  EXPECT_EQ(store_->DeleteGroup("interns").error().code, Code::kNotFound);
  EXPECT_EQ(store_->ListKeys()->at(1).groups, Groups());
  // A key leaves its groups with its end, and who takes its name later is not in them.
  ASSERT_TRUE(store_->DeleteKey("ann"));
  ASSERT_TRUE(store_->AddKey(
      {.hash = std::string(32, 'c'), .name = "ann", .role = "user", .created_at = At(9)}));
  EXPECT_EQ(store_->ListKeys()->at(0).groups, Groups());
}

TEST_F(StoreTest, SettingsAreReplaced) {
  EXPECT_FALSE(store_->GetSetting("x")->has_value());
  ASSERT_TRUE(store_->PutSetting("x", "1"));
  ASSERT_TRUE(store_->PutSetting("x", "2"));
  EXPECT_EQ(store_->GetSetting("x")->value(), "2");
}

// Text from outside is never SQL.
TEST_F(StoreTest, QuotesAreText) {
  const std::string name = "'; DROP TABLE setting; --";
  ASSERT_TRUE(store_->PutSetting(name, name));
  EXPECT_EQ(store_->GetSetting(name)->value(), name);
}

// Writes endpoints and models without end, telling the number of each after it was acknowledged.
[[noreturn]] void WriteUntilKilled(const std::string& path, int acknowledged) {
  auto store = Store::Open(path);
  if (!store) _exit(2);
  const auto existing = store->ListModels();
  for (std::int64_t number = std::ssize(*existing);; ++number) {
    const std::string name = std::to_string(number);
    const auto added =
        store->AddEndpoint(EndpointNamed(name));  // Half of a killed round may be there.
    if (!added && added.error().code != Code::kAlreadyExists) _exit(3);
    if (!store->AddModelVersion(VersionOf("c.s." + name), "")) _exit(4);
    if (write(acknowledged, &number, sizeof number) != sizeof number) _exit(5);
  }
}

// kill -9 at any moment loses nothing that was acknowledged, and leaves a database that opens.
TEST(Store, LosesNothingAcknowledgedToAKill) {
  const TestFolder folder;
  const std::string path = folder.File("penstock.db");
  const std::uint64_t seed = 20261122;
  Random random(seed);
  std::int64_t last = -1;
  for (int round = 0; round < 25; ++round) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed << " round=" << round);
    std::array<int, 2> channel{};
    ASSERT_EQ(pipe(channel.data()), 0);
    const pid_t child = fork();
    if (child == 0) {
      close(channel[0]);
      WriteUntilKilled(path, channel[1]);
    }
    close(channel[1]);
    // The kill falls somewhere in the write that follows these.
    for (std::uint64_t wait = 1 + random.Below(8); wait > 0; --wait) {
      ASSERT_EQ(read(channel[0], &last, sizeof last), static_cast<ssize_t>(sizeof last));
    }
    kill(child, SIGKILL);
    while (read(channel[0], &last, sizeof last) == static_cast<ssize_t>(sizeof last)) {
    }
    close(channel[0]);
    ASSERT_EQ(waitpid(child, nullptr, 0), child);

    auto store = Store::Open(path);
    ASSERT_TRUE(store) << store.error().message;
    const auto endpoints = store->ListEndpoints();
    ASSERT_TRUE(endpoints);
    EXPECT_GE(std::ssize(*endpoints), last + 1);
    EXPECT_LE(std::ssize(*endpoints), last + 2);
    for (std::int64_t number = 0; number <= last; ++number) {
      ASSERT_TRUE(store->GetModelVersion("c.s." + std::to_string(number), 1)->has_value())
          << number;
    }
  }
}

}  // namespace
}  // namespace penstock::store
