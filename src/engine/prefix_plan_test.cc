#include "engine/prefix_plan.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace penstock::engine {
namespace {

using Source = PrefixPlan::Source;
using Tokens = std::vector<TokenId>;

Tokens Text(int length, TokenId token) { return Tokens(static_cast<std::size_t>(length), token); }

Tokens operator+(Tokens a, const Tokens& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST(PrefixPlan, StartsAfreshInTheLowestSlotWhereNothingIsShared) {
  const Tokens other = Text(100, 1);
  const SlotView slots[] = {{}, {.cells = other}, {}};
  const PrefixPlan plan = PlanPrefix(Text(50, 2), slots, 0);
  EXPECT_EQ(plan.source, Source::kNone);
  EXPECT_EQ(plan.slot, 0);
  EXPECT_EQ(plan.length, 0);
}

TEST(PrefixPlan, AConversationGoesOnInItsSlot) {
  const Tokens first = Text(400, 1), turn = first + Text(30, 2);
  const SlotView slots[] = {{}, {.cells = first}, {.cells = turn}};
  const PrefixPlan plan = PlanPrefix(turn + Text(40, 3), slots, 64);
  EXPECT_EQ(plan.source, Source::kInPlace);
  EXPECT_EQ(plan.slot, 2);
  EXPECT_EQ(plan.length, 430);
}

TEST(PrefixPlan, OneTokenIsAlwaysComputed) {
  const Tokens prompt = Text(128, 1);
  const SlotView slots[] = {{.cells = prompt}};
  EXPECT_EQ(PlanPrefix(prompt, slots, 0).length, 127);
  const SlotView empty[] = {{}};
  const PrefixPlan plan = PlanPrefix(prompt, empty, 128);
  EXPECT_EQ(plan.source, Source::kStore);
  EXPECT_EQ(plan.length, 127);
}

TEST(PrefixPlan, CopiesFromASlotThatRuns) {
  const Tokens shared = Text(1500, 1), running = shared + Text(200, 2);
  const SlotView slots[] = {{.free = false, .cells = running, .prompt = shared}, {}};
  const PrefixPlan plan = PlanPrefix(shared + Text(60, 3), slots, 1472);
  EXPECT_EQ(plan.source, Source::kSlot);
  EXPECT_EQ(plan.slot, 1);
  EXPECT_EQ(plan.from, 0);
  EXPECT_EQ(plan.length, 1500);
}

TEST(PrefixPlan, WaitsForWhatAnotherIsComputing) {
  const Tokens shared = Text(1500, 1), prompt = shared + Text(9, 2);
  const Tokens computed = Text(700, 1);
  const SlotView slots[] = {
      {.free = false, .prefilling = true, .cells = computed, .prompt = prompt}, {}};
  EXPECT_EQ(PlanPrefix(shared + Text(5, 3), slots, 0).source, Source::kDefer);
  // Not where waiting would save little.
  EXPECT_EQ(PlanPrefix(Text(730, 1) + Text(5, 3), slots, 0).source, Source::kSlot);
}

TEST(PrefixPlan, KeepsRunningSlotsTogether) {
  const Tokens conversation = Text(900, 1);
  const SlotView slots[] = {{.free = false}, {}, {}, {}, {.cells = conversation}};
  const PrefixPlan plan = PlanPrefix(conversation + Text(40, 2), slots, 0);
  EXPECT_EQ(plan.source, Source::kSlot) << "a copy costs less than three idle rows";
  EXPECT_EQ(plan.slot, 1);
  EXPECT_EQ(plan.from, 4);
}

TEST(PrefixPlan, WhateverItPlansIsThere) {
  for (std::uint64_t seed = 1; seed <= 2000; ++seed) {
    SCOPED_TRACE(seed);
    Random random(seed);
    const auto text = [&random] {
      Tokens tokens;
      for (std::uint64_t i = random.Below(5); i > 0; --i) {
        tokens = tokens + Text(1 + static_cast<int>(random.Below(90)),
                               static_cast<TokenId>(random.Below(2)));
      }
      return tokens;
    };
    std::vector<Tokens> cells, prompts;
    std::vector<SlotView> slots;
    const std::size_t count = 1 + random.Below(6);
    for (std::size_t i = 0; i < count; ++i) {
      cells.push_back(text());
      prompts.push_back(cells.back() + text());
    }
    for (std::size_t i = 0; i < count; ++i) {
      const bool free = i == 0 || random.Below(2) == 0;
      slots.push_back({.free = free,
                       .prefilling = !free && cells[i].size() < prompts[i].size(),
                       .cells = cells[i],
                       .prompt = prompts[i]});
    }
    const Tokens prompt = text() + Text(1, 0);
    const int stored = static_cast<int>(random.Below(4)) * 64;
    const PrefixPlan plan = PlanPrefix(prompt, slots, stored);
    if (plan.source == Source::kDefer) {
      bool promised = false;
      for (const SlotView& slot : slots) promised |= slot.prefilling;
      ASSERT_TRUE(promised);
      continue;
    }
    ASSERT_TRUE(slots[static_cast<std::size_t>(plan.slot)].free);
    ASSERT_LT(plan.length, std::ssize(prompt));
    const auto begins_with = [&](const Tokens& there) {
      return std::ssize(there) >= plan.length &&
             std::equal(prompt.begin(), prompt.begin() + plan.length, there.begin());
    };
    switch (plan.source) {
      case Source::kNone:
        ASSERT_EQ(plan.length, 0);
        break;
      case Source::kInPlace:
        ASSERT_TRUE(begins_with(cells[static_cast<std::size_t>(plan.slot)]));
        break;
      case Source::kSlot:
        ASSERT_TRUE(begins_with(cells[static_cast<std::size_t>(plan.from)]));
        break;
      case Source::kStore:
        ASSERT_LE(plan.length, stored);
        break;
      case Source::kDefer:
        break;
    }
  }
}

}  // namespace
}  // namespace penstock::engine
