#include "fleet/command.h"

#include <gtest/gtest.h>

namespace penstock::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(RunCommand, AnswersWhatItPrinted) {
  const auto output = RunCommand({"printf", "%s|", "a b", "c'd"}, seconds(30));
  ASSERT_TRUE(output) << output.error().message;
  EXPECT_EQ(*output, "a b|c'd|");
}

TEST(RunCommand, SaysWhyItFailed) {
  const auto failed = RunCommand({"sh", "-c", "echo no such job >&2; exit 3"}, seconds(30));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kUnavailable);
  EXPECT_EQ(failed.error().message, "sh failed with status 3: no such job");
  EXPECT_EQ(RunCommand({"/no/such/program"}, seconds(30)).error().code, Code::kInvalidArgument);
}

TEST(RunCommand, IsKilledAfterItsTime) {
  const auto late = RunCommand({"sleep", "60"}, milliseconds(50));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::kDeadline);
}

TEST(RunCommand, PrintsOnlySoMuch) {
  const auto much = RunCommand({"head", "-c", "5000000", "/dev/zero"}, seconds(30));
  ASSERT_FALSE(much);
  EXPECT_EQ(much.error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace penstock::fleet
