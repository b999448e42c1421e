#include "fleet/inventory.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace penstock::fleet {
namespace {

constexpr std::int64_t kGiB = std::int64_t{1} << 30;

TEST(Inventory, GivesTheLowestFreeCores) {
  Inventory inventory({.cores = {0, 2, 4, 6}, .cores_per_replica = 2});
  EXPECT_EQ(inventory.Reserve(1, 0)->cores, (std::vector<int>{0, 2}));
  EXPECT_EQ(inventory.Reserve(2, 0)->cores, (std::vector<int>{4, 6}));
  const auto none = inventory.Reserve(3, 0);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kExhausted);
  EXPECT_EQ(none.error().message, "a replica needs 2 cores, 0 of 4 are free");
  inventory.Release(1);
  EXPECT_EQ(inventory.Reserve(3, 0)->cores, (std::vector<int>{0, 2}));
}

TEST(Inventory, CountsMemory) {
  Inventory inventory({.memory_bytes = 4 * kGiB});
  EXPECT_TRUE(inventory.Reserve(1, 3 * kGiB)->cores.empty());
  const auto none = inventory.Reserve(2, 2 * kGiB);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message, "a replica needs 2.0 GiB of memory, 1.0 of 4.0 GiB are free");
  EXPECT_TRUE(inventory.Reserve(2, kGiB));
  inventory.Release(1);
  inventory.Release(1);
  EXPECT_EQ(inventory.memory_used(), kGiB);
}

TEST(Inventory, NeverGivesTwice) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    Random random(seed);
    Inventory inventory(
        {.memory_bytes = 100, .cores = {0, 1, 2, 3, 4, 5, 6, 7}, .cores_per_replica = 3});
    std::map<std::uint64_t, Inventory::Assignment> held;
    for (std::uint64_t id = 0; id < 200; ++id) {
      if (const auto got = inventory.Reserve(id, static_cast<std::int64_t>(random.Below(60)))) {
        held[id] = *got;
      }
      if (!held.empty() && random.Below(2) == 0) {
        inventory.Release(held.begin()->first);
        held.erase(held.begin());
      }
      std::set<int> cores;
      std::size_t given = 0;
      std::int64_t memory = 0;
      for (const auto& [holder, assignment] : held) {
        cores.insert(assignment.cores.begin(), assignment.cores.end());
        given += assignment.cores.size();
        memory += assignment.memory_bytes;
      }
      EXPECT_EQ(cores.size(), given);
      EXPECT_LE(memory, 100);
      EXPECT_EQ(memory, inventory.memory_used());
    }
  }
}

TEST(Inventory, DetectsThisMachine) {
  EXPECT_FALSE(DetectCores().empty());
  EXPECT_GT(DetectMemoryBytes(), 1 << 20);
}

}  // namespace
}  // namespace penstock::fleet
