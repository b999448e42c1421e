#include "base/clock.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

using std::chrono::seconds;

TEST(Deadline, NeverDoesNotPass) {
  EXPECT_TRUE(Deadline::Never().IsNever());
  EXPECT_FALSE(Deadline::Never().Passed(Clock::now()));
}

TEST(Deadline, HugeTimeoutsDoNotOverflow) {
  const TimePoint now = Clock::now();
  EXPECT_TRUE(Deadline::After(now, Duration::max()).IsNever());
}

TEST(Deadline, PassesAtItsMoment) {
  const TimePoint now{seconds(10)};
  const Deadline deadline = Deadline::After(now, seconds(5));
  EXPECT_FALSE(deadline.Passed(TimePoint{seconds(14)}));
  EXPECT_TRUE(deadline.Passed(TimePoint{seconds(15)}));
  EXPECT_EQ(Earlier(deadline, Deadline::Never()), deadline);
}

}  // namespace
}  // namespace penstock
