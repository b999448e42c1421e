// What a server takes, and how long its prompts must be: found on a simulated network.
#include "bench/drive/fit.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>

#include "bench/drive/driver_bed.h"

namespace penstock::bench {
namespace {

using testing::Bed;
using testing::Site;

io::Task<void> FitTask(Bed& bed, FitLimits limits, int requests) {
  Site site(bed.loop, bed.model.handler());
  {
    Driver driver = bed.MakeDriver(site.address);
    bed.fitted = co_await Fit(driver, limits, {});
    Tickets tickets(0, 0, requests);
    if (*bed.fitted) {
      co_await driver.RunLevel(tickets, {.concurrency = 1, .start = bed.loop.Now()}, 1);
    }
  }
  co_await site.Close();
}

TEST(Fit, PromptsAreExactByTheTokenizer) {
  Bed bed;
  bed.model.has_tokenizer = true;
  bed.output_tokens = 2;
  io::RunBlocking(bed.loop, FitTask(bed, {}, 30));
  ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
  EXPECT_TRUE((*bed.fitted)->by_tokenizer);
  EXPECT_EQ((*bed.fitted)->probes, 1);
  EXPECT_EQ(bed.probes.size(), 1u);
  EXPECT_EQ((*bed.fitted)->error_tokens_max, 0);
  for (const RequestRecord& record : bed.records) EXPECT_EQ(record.input_tokens, 2048);
}

TEST(Fit, PromptsAreExactByUsageAlone) {
  Bed bed;
  bed.output_tokens = 2;
  io::RunBlocking(bed.loop, FitTask(bed, {.probes_max = 100}, 30));
  ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
  EXPECT_FALSE((*bed.fitted)->by_tokenizer);
  EXPECT_EQ((*bed.fitted)->error_tokens_max, 0);
  for (const RequestRecord& record : bed.records) EXPECT_EQ(record.input_tokens, 2048);
}

TEST(Fit, ASlowServerIsFittedByTheLoadItself) {
  Bed bed;
  bed.model.ttft = std::chrono::seconds(6);
  bed.output_tokens = 2;
  io::RunBlocking(bed.loop, FitTask(bed, {}, 120));
  ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
  EXPECT_LE((*bed.fitted)->probes, 3);
  ASSERT_EQ(bed.records.size(), 120u);
  for (std::size_t i = 0; i < 120; ++i) {
    EXPECT_NEAR(bed.records[i].input_tokens, 2048, i < 80 ? 160 : 0) << i;
  }
}

// A vocabulary whose tokens are a sixth of the usual length: the first guess does not even fit the
// context.
TEST(Fit, APromptThatIsTooLongForTheContextIsMadeShorter) {
  for (const bool tokenizer : {false, true}) {
    Bed bed;
    bed.model.tokens_per_token = 6;
    bed.model.context_tokens = 4096;
    bed.model.has_tokenizer = tokenizer;
    bed.output_tokens = 2;
    io::RunBlocking(bed.loop, FitTask(bed, {.probes_max = 100}, 30));
    ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
    for (const RequestRecord& record : bed.records) EXPECT_NEAR(record.input_tokens, 2048, 6);
  }
}

TEST(Fit, AContextThatNothingFitsIsTold) {
  Bed bed;
  bed.model.context_tokens = 20;
  io::RunBlocking(bed.loop, FitTask(bed, {}, 1));
  ASSERT_FALSE(*bed.fitted);
  EXPECT_NE(bed.fitted->error().message.find("too long"), std::string::npos);
}

// Prompts of one length alone would leave the slope to a guess, and other lengths wrong by it.
TEST(Fit, LearnsHowTokensGrowWithTheText) {
  for (const bool tokenizer : {false, true}) {
    Bed bed;
    bed.model.has_tokenizer = tokenizer;
    bed.model.tokens_per_token = 3;
    bed.mix.parts.front().input = *Lengths::Parse("uniform:200-8000", "input-tokens");
    bed.output_tokens = 2;
    io::RunBlocking(bed.loop, FitTask(bed, {.probes_max = 100}, 20));
    ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
    double off = 0;
    for (const RequestRecord& record : bed.records) {
      const double ratio = static_cast<double>(record.input_tokens) / record.input_tokens_wanted;
      EXPECT_NEAR(ratio, 1, 0.12) << record.input_tokens_wanted;
      off += ratio - 1;
    }
    EXPECT_NEAR(off / static_cast<double>(bed.records.size()), 0, 0.02);
  }
}

TEST(Fit, LeavesOutWhatTheServerDoesNotTake) {
  Bed bed;
  bed.model.knows_ignore_eos = false;
  bed.output_tokens = 2;
  io::RunBlocking(bed.loop, FitTask(bed, {}, 1));
  ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
  EXPECT_EQ(bed.model.last_body.find("ignore_eos"), std::string::npos);
  EXPECT_EQ(bed.records.at(0).error, ErrorKind::kNone);
}

TEST(Fit, WithoutUsageItTakesTheUsualRatio) {
  Bed bed;
  bed.model.tells_usage = false;
  bed.output_tokens = 2;
  io::RunBlocking(bed.loop, FitTask(bed, {}, 1));
  ASSERT_TRUE(*bed.fitted) << bed.fitted->error().message;
  EXPECT_EQ((*bed.fitted)->error_tokens_max, std::nullopt);
  EXPECT_EQ(bed.records.at(0).input_tokens, kUnknown);
}

TEST(Fit, AFirstRequestThatFailsIsToldInTheServersWords) {
  Bed bed;
  bed.model.key = "k";
  io::RunBlocking(bed.loop, FitTask(bed, {}, 1));
  ASSERT_FALSE(*bed.fitted);
  EXPECT_EQ(bed.fitted->error().code, Code::kUnauthenticated);
  EXPECT_NE(bed.fitted->error().message.find("who are you?; no key was given: PENSTOCK_API_KEY"),
            std::string::npos)
      << bed.fitted->error().message;
}

TEST(Fit, AWrongAddressIsToldWhatToLookAt) {
  for (const auto& [fault, advice] :
       {std::pair<testing::Fault, std::string_view>{testing::Fault::kStatus404,
                                                    "; is this its API's path, and"},
        {testing::Fault::kHtml, "text/html came; is this its API's path?"}}) {
    Bed bed;
    bed.model.fault = fault;
    bed.model.fails_probes = true;
    io::RunBlocking(bed.loop, FitTask(bed, {}, 1));
    ASSERT_FALSE(*bed.fitted);
    EXPECT_NE(bed.fitted->error().message.find(advice), std::string::npos)
        << bed.fitted->error().message;
  }
}

}  // namespace
}  // namespace penstock::bench
