#include "store/schema.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>

#include "base/random.h"
#include "base/test_folder.h"
#include "store/store.h"

namespace penstock::store {
namespace {

Result<Database> OpenOurs(const std::string& path) { return Database::Open(path, kApplicationId); }

TEST(Schema, ReachesTheNewestVersionOnce) {
  const TestFolder folder;
  auto database = OpenOurs(folder.File("a.db"));
  ASSERT_TRUE(database) << database.error().message;
  ASSERT_TRUE(MigrateSchema(*database));
  EXPECT_EQ(database->QueryInteger("PRAGMA user_version"), std::ssize(SchemaSteps()));
  EXPECT_TRUE(MigrateSchema(*database));
}

TEST(Schema, OlderDatabaseGetsTheMissingSteps) {
  const TestFolder folder;
  const std::array<std::string_view, 2> steps = {"CREATE TABLE a (x)",
                                                 "ALTER TABLE a ADD COLUMN y DEFAULT 7"};
  auto database = OpenOurs(folder.File("a.db"));
  ASSERT_TRUE(MigrateSchema(*database, std::span(steps).first(1)));
  ASSERT_TRUE(database->Execute("INSERT INTO a VALUES (1)"));
  ASSERT_TRUE(MigrateSchema(*database, steps));
  EXPECT_EQ(database->QueryInteger("SELECT y FROM a"), 7);
}

// A step that fails leaves the database as it was, not half-way.
TEST(Schema, FailedMigrationChangesNothing) {
  const TestFolder folder;
  const std::array<std::string_view, 2> steps = {"CREATE TABLE a (x)", "CREATE TABLE a (again)"};
  auto database = OpenOurs(folder.File("a.db"));
  EXPECT_FALSE(MigrateSchema(*database, steps));
  EXPECT_EQ(database->QueryInteger("PRAGMA user_version"), 0);
  EXPECT_EQ(database->QueryInteger("SELECT count(*) FROM sqlite_schema"), 0);
}

TEST(Schema, RefusesANewerDatabase) {
  const TestFolder folder;
  const std::string path = folder.File("a.db");
  {
    auto database = OpenOurs(path);
    ASSERT_TRUE(MigrateSchema(*database));
    ASSERT_TRUE(database->Execute("PRAGMA user_version = 999"));
  }
  const auto store = Store::Open(path);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::kUnsupported);
  EXPECT_NE(store.error().message.find("999"), std::string::npos);
  EXPECT_NE(store.error().message.find(path), std::string::npos);
}

std::string Slurp(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Database, RefusesAnotherProgramsDatabaseUntouched) {
  const TestFolder folder;
  const std::string path = folder.File("a.db");
  {
    auto other = Database::Open(path, 12345);
    ASSERT_TRUE(other);
    ASSERT_TRUE(other->Execute("PRAGMA journal_mode = DELETE; CREATE TABLE precious (x)"));
  }
  const std::string before = Slurp(path);
  const auto store = Store::Open(path);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::kCorrupt);
  EXPECT_NE(store.error().message.find("another program"), std::string::npos);
  EXPECT_EQ(Slurp(path), before);
}

TEST(Database, RefusesWhatIsNoDatabase) {
  const TestFolder folder;
  const std::string path = folder.Write("a.db", std::string(5000, 'x'));
  const auto store = Store::Open(path);
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::kCorrupt);
  EXPECT_NE(store.error().message.find(path), std::string::npos);
  EXPECT_EQ(Store::Open(folder.path()).error().code, Code::kInvalidArgument);  // A directory.
}

// Whatever byte is damaged: an error or a good answer, never a crash.
TEST(Database, SurvivesDamage) {
  const TestFolder folder;
  const std::string path = folder.File("a.db");
  {
    auto store = Store::Open(path);
    ASSERT_TRUE(store);
    for (int i = 0; i < 50; ++i) {
      ASSERT_TRUE(store->PutSetting(std::to_string(i), std::string(100, 'v')));
    }
  }
  const std::string good = Slurp(path);
  int refused = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    std::string bad = good;
    if (seed % 3 == 0) bad.resize(random.Below(bad.size()) + 1);
    for (int i = 0; i < 40; ++i) bad[random.Below(bad.size())] = static_cast<char>(random.Next());
    const std::string bad_path = folder.Write("bad.db", bad);
    auto store = Store::Open(bad_path);
    if (!store) {
      ++refused;
      EXPECT_NE(store.error().message.find(bad_path), std::string::npos);
    } else {
      (void)store->GetSetting("7");
    }
    std::filesystem::remove(bad_path + "-wal");
    std::filesystem::remove(bad_path + "-shm");
  }
  EXPECT_GT(refused, 20);
}

}  // namespace
}  // namespace penstock::store
