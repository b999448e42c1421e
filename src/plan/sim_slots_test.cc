#include "plan/sim_slots.h"

#include <gtest/gtest.h>

namespace penstock::plan {
namespace {

TEST(SimSlots, AHoleIsFilledBeforeANewSlotIsTaken) {
  SimSlots slots(4);
  EXPECT_EQ(slots.Take(), 0);
  EXPECT_EQ(slots.Take(), 1);
  EXPECT_EQ(slots.Take(), 2);
  slots.Free(1, 700);
  EXPECT_EQ(slots.Between(0, 2).count, 1);
  EXPECT_EQ(slots.Between(0, 2).cells, 700);
  EXPECT_EQ(slots.Between(2, 2).count, 0);
  EXPECT_EQ(slots.Take(), 1);
  EXPECT_EQ(slots.Between(0, 2).count, 0);
}

TEST(SimSlots, OfEqualHolesTheOneThatHoldsLeastIsTaken) {
  SimSlots slots(4);
  for (int i = 0; i < 4; ++i) slots.Take();
  slots.Free(0, 300);
  slots.Free(1, 200);
  slots.Free(3, 500);  // 2 stays: beside it no hole, but 3 holds more than 1.
  EXPECT_EQ(slots.Take(), 1);
  EXPECT_EQ(slots.Take(), 0);
  EXPECT_EQ(slots.Take(), 3);
}

TEST(SimSlots, WithoutSlotsNothingIsKept) {
  SimSlots slots(0);
  EXPECT_EQ(slots.Take(), -1);
  slots.Free(-1, 100);
  EXPECT_EQ(slots.Between(-1, -1).count, 0);
}

}  // namespace
}  // namespace penstock::plan
