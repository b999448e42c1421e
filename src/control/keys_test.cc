#include "control/keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>

#include "base/file.h"
#include "base/test_folder.h"

namespace penstock::control {
namespace {

class KeysTest : public testing::Test {
 protected:
  KeysTest() : store_(store::Store::Open(folder_.File("penstock.db")).value()) {}
  std::string Secret() const {
    std::string secret = ReadSmallFile(file_, 1000).value();
    EXPECT_EQ(secret.back(), '\n');
    secret.pop_back();
    return secret;
  }

  TestFolder folder_;
  std::string file_ = folder_.File("admin.key");
  store::Store store_;
  WallTime now_{};
};

TEST_F(KeysTest, FirstStartMakesAnAdminKeyOnce) {
  EXPECT_EQ(EnsureAdminKey(store_, file_, now_), true);
  struct stat found{};
  ASSERT_EQ(stat(file_.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 07777, 0600u);
  const std::string secret = Secret();
  EXPECT_EQ(EnsureAdminKey(store_, file_, now_), false);
  EXPECT_EQ(Secret(), secret);
  const auto table = LoadKeys(store_);
  ASSERT_TRUE(table);
  ASSERT_NE(table->Find(secret), nullptr);
  EXPECT_EQ(table->Find(secret)->role, policy::Role::kAdmin);
}

// Killed between file and store: the next start makes both anew.
TEST_F(KeysTest, FileWithoutARowIsReplaced) {
  folder_.Write("admin.key", "psk_old\n");
  EXPECT_EQ(EnsureAdminKey(store_, file_, now_), true);
  EXPECT_NE(Secret(), "psk_old");
  EXPECT_NE(LoadKeys(store_)->Find(Secret()), nullptr);
}

// The operator took the file away: the key still works, and no other is made.
TEST_F(KeysTest, RowWithoutAFileStays) {
  EXPECT_EQ(EnsureAdminKey(store_, file_, now_), true);
  const std::string secret = Secret();
  std::filesystem::remove(file_);
  EXPECT_EQ(EnsureAdminKey(store_, file_, now_), false);
  EXPECT_NE(LoadKeys(store_)->Find(secret), nullptr);
}

TEST_F(KeysTest, UnwritableFileMakesNoKey) {
  EXPECT_FALSE(EnsureAdminKey(store_, folder_.File("no/such/folder/key"), now_));
  EXPECT_TRUE(store_.ListKeys()->empty());
}

TEST_F(KeysTest, CreatesAndDeletes) {
  ASSERT_TRUE(EnsureAdminKey(store_, file_, now_));
  const auto secret = CreateKey(store_, "reader", policy::Role::kUser, now_);
  ASSERT_TRUE(secret);
  EXPECT_EQ(LoadKeys(store_)->Find(*secret)->name, "reader");
  EXPECT_EQ(CreateKey(store_, "reader", policy::Role::kUser, now_).error().code,
            Code::kAlreadyExists);
  EXPECT_EQ(CreateKey(store_, "a b", policy::Role::kUser, now_).error().code,
            Code::kInvalidArgument);
  EXPECT_EQ(DeleteKey(store_, "admin").error().code, Code::kConflict);
  EXPECT_EQ(DeleteKey(store_, "nobody").error().code, Code::kNotFound);
  ASSERT_TRUE(DeleteKey(store_, "reader"));
  EXPECT_EQ(LoadKeys(store_)->Find(*secret), nullptr);
}

// The store never sees a secret.
TEST_F(KeysTest, OnlyHashesAreKept) {
  const auto secret = CreateKey(store_, "reader", policy::Role::kUser, now_);
  for (const char* name : {"penstock.db", "penstock.db-wal"}) {
    const auto content = ReadSmallFile(folder_.File(name), 10'000'000);
    ASSERT_TRUE(content);
    EXPECT_EQ(content->find(*secret), std::string::npos) << name;
  }
}

}  // namespace
}  // namespace penstock::control
