#include "bench/record/record.h"

#include <gtest/gtest.h>

namespace penstock::bench {
namespace {

TEST(Record, NamesGoThereAndBack) {
  for (int kind = 0; kind < kErrorKinds; ++kind) {
    const auto error = static_cast<ErrorKind>(kind);
    EXPECT_FALSE(Name(error).empty());
    EXPECT_EQ(ErrorKindNamed(Name(error)), error);
  }
  for (const Phase phase : {Phase::kFit, Phase::kWarmup, Phase::kMeasured}) {
    EXPECT_EQ(PhaseNamed(Name(phase)), phase);
  }
  EXPECT_EQ(ErrorKindNamed("nonsense"), std::nullopt);
}

TEST(Record, OutputTokensAreTheServersCountWhereItGaveOne) {
  RequestRecord record;
  record.chunks = 7;
  EXPECT_EQ(record.OutputTokens(), 7);
  record.output_tokens = 28;
  EXPECT_EQ(record.OutputTokens(), 28);
  record.output_tokens = 0;
  EXPECT_EQ(record.OutputTokens(), 0);
}

TEST(Record, FirstChunkHoldsOneTokenWhereChunksAreTokens) {
  EXPECT_EQ(EstimateFirstChunkTokens(
                {.tokens = 512, .chunks = 512, .first_chunk_bytes = 9, .all_bytes = 2048}),
            1);
  // More chunks than tokens: a token's bytes came in two pieces.
  EXPECT_EQ(EstimateFirstChunkTokens(
                {.tokens = 10, .chunks = 12, .first_chunk_bytes = 4, .all_bytes = 40}),
            1);
}

TEST(Record, FirstChunkHoldsTheEvenShareWhereTheServerSendsFourAtATime) {
  for (const std::int64_t bytes : {12, 16, 20, 22}) {  // Longer and shorter words.
    EXPECT_EQ(EstimateFirstChunkTokens(
                  {.tokens = 512, .chunks = 128, .first_chunk_bytes = bytes, .all_bytes = 2048}),
              4);
  }
  // The last chunk is short: 4, 4, 4, 4, 1.
  EXPECT_EQ(EstimateFirstChunkTokens(
                {.tokens = 17, .chunks = 5, .first_chunk_bytes = 16, .all_bytes = 68}),
            4);
}

TEST(Record, FirstChunkFollowsItsTextWhereChunksDiffer) {
  // One token first, then speculation yields four at a time: 1 + 4 × 25.
  EXPECT_EQ(EstimateFirstChunkTokens(
                {.tokens = 101, .chunks = 26, .first_chunk_bytes = 4, .all_bytes = 404}),
            1);
  // Half of the reply at once.
  EXPECT_EQ(EstimateFirstChunkTokens(
                {.tokens = 100, .chunks = 51, .first_chunk_bytes = 200, .all_bytes = 400}),
            50);
}

TEST(Record, FirstChunkNeverTakesWhatLaterChunksMustHold) {
  EXPECT_EQ(EstimateFirstChunkTokens(
                {.tokens = 10, .chunks = 9, .first_chunk_bytes = 100, .all_bytes = 108}),
            2);
  EXPECT_EQ(
      EstimateFirstChunkTokens({.tokens = 10, .chunks = 1, .first_chunk_bytes = 1, .all_bytes = 1}),
      10);
  EXPECT_EQ(EstimateFirstChunkTokens({}), 0);
}

}  // namespace
}  // namespace penstock::bench
