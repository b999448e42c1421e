#include "base/result.h"

#include <gtest/gtest.h>

namespace penstock {
namespace {

TEST(Result, CarriesAnErrorWithItsField) {
  const Result<int> result = Fail(Code::kInvalidArgument, "n must be 1 to 8, got 9", "n");
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().field, "n");
  EXPECT_EQ(Traits(result.error().code).http_status, 400);
}

// A new Code without a row in the table would abort here.
TEST(Result, EveryCodeHasTraits) {
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
    const CodeTraits& traits = Traits(static_cast<Code>(code));
    EXPECT_GE(traits.http_status, 400);
    EXPECT_FALSE(traits.api_type.empty());
    EXPECT_GE(traits.exit_code, 1);
  }
}

TEST(Result, StatusesOfPeersComeBackAsTheirCodes) {
  for (int code = 0; code <= static_cast<int>(Code::kInternal); ++code) {
    const int status = Traits(static_cast<Code>(code)).http_status;
    if (status == 422 || status == 499) continue;  // Ours alone.
    EXPECT_EQ(Traits(CodeOfHttpStatus(status)).http_status, status);
  }
  EXPECT_EQ(CodeOfHttpStatus(418), Code::kInvalidArgument);
  EXPECT_EQ(CodeOfHttpStatus(599), Code::kInternal);
}

}  // namespace
}  // namespace penstock
