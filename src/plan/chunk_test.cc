#include "plan/chunk.h"

#include <gtest/gtest.h>

#include <array>
#include <random>

#include "plan/standard_quota.h"

namespace penstock::plan {
namespace {

const Workload kReference{.requests_per_minute = 25.5, .input_tokens = 2048, .output_tokens = 256};

// A chunk of C tokens/s is C/2304 reference requests per second: 980 is 25.5 a minute.
TEST(Chunk, AChunkIsWhatItSaysAtTheReferenceWorkload) {
  const ChunkModel llama = BuiltInChunkTable().Find("Llama").value();
  EXPECT_NEAR(RequestsPerMinute(980, kReference, llama.weights), 25.52, 0.01);
  const ChunkEstimate estimate = EstimateChunks(Sum(std::array{kReference}), llama);
  EXPECT_NEAR(estimate.raw_tokens_per_s, 25.5 * 2304 / 60, 1e-9);
  EXPECT_EQ(estimate.chunks, 1);
  EXPECT_EQ(estimate.tokens_per_s, 980);
}

TEST(Chunk, ShapesThatGenerateMoreGetFewerTokens) {
  const policy::CostWeights weights{.output = 4};
  const Workload reading{.input_tokens = 1000, .output_tokens = 10};
  const Workload writing{.input_tokens = 10, .output_tokens = 1000};
  EXPECT_GT(RequestsPerMinute(980, reading, weights), 3 * RequestsPerMinute(980, writing, weights));
}

TEST(Chunk, TheRangeAndItsReverseAgree) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    const ChunkModel model{.name = "m",
                           .chunk_tokens_per_s = 1 + static_cast<double>(random() % 2000),
                           .weights = {.output = 1 + static_cast<double>(random() % 8)}};
    const Workload workload{.requests_per_minute = 1 + static_cast<double>(random() % 1000),
                            .input_tokens = 1 + static_cast<double>(random() % 4000),
                            .output_tokens = static_cast<double>(random() % 1000),
                            .cache_rate = static_cast<double>(random() % 100) / 100};
    const ChunkEstimate estimate = EstimateChunks(Sum(std::array{workload}), model);
    EXPECT_NEAR(RequestsPerMinute(estimate.raw_tokens_per_s, workload, model.weights),
                workload.requests_per_minute, workload.requests_per_minute * 1e-9);
    // Enough is bought, and not a chunk more than that.
    const double bought = static_cast<double>(estimate.chunks) * model.chunk_tokens_per_s;
    EXPECT_GE(bought * (1 + 1e-9), estimate.raw_tokens_per_s);
    if (estimate.chunks > 1) {
      EXPECT_LT(bought - model.chunk_tokens_per_s, estimate.raw_tokens_per_s);
    }
  }
}

TEST(StandardQuota, TokensOrRequestsBindWhicheverIsMore) {
  const QuotaUnit unit;
  const QuotaEstimate tokens =
      EstimateQuota({.requests = 10, .input = 90'000, .output = 5'000}, 0, unit);
  EXPECT_EQ(tokens.units, 95);
  EXPECT_FALSE(tokens.bound_by_requests);
  const QuotaEstimate requests =
      EstimateQuota({.requests = 60, .input = 600, .output = 60}, 0, unit);
  EXPECT_EQ(requests.units, 10);
  EXPECT_TRUE(requests.bound_by_requests);
  // Admission counts max_tokens, whatever is generated.
  EXPECT_EQ(EstimateQuota({.requests = 10, .input = 90'000, .output = 5'000}, 4000, unit).units,
            130);
  EXPECT_EQ(EstimateQuota({}, 0, unit).units, 1);
}

}  // namespace
}  // namespace penstock::plan
