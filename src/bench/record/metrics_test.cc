#include "bench/record/metrics.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "bench/record/test_records.h"

namespace penstock::bench {
namespace {

using testing::kMs;
using testing::MakeRecord;

TEST(Metrics, EachIsItsDefinition) {
  RequestRecord record = MakeRecord({.sent_ms = 1000, .ttft_ms = 100, .gap_ms = 10, .tokens = 11});
  record.scheduled_ns = 960 * kMs;
  record.first_answer_ns = record.first_token_ns + 30 * kMs;
  record.end_ns = record.last_token_ns + 5 * kMs;
  const RequestMetrics metrics = MetricsOf(record);
  EXPECT_DOUBLE_EQ(*metrics.ttft_ms, 140);
  EXPECT_DOUBLE_EQ(*metrics.ttft_service_ms, 100);
  EXPECT_DOUBLE_EQ(*metrics.ttfo_ms, 170);
  EXPECT_DOUBLE_EQ(*metrics.tpot_ms, 10);
  EXPECT_DOUBLE_EQ(*metrics.latency_ms, 240);
  EXPECT_DOUBLE_EQ(*metrics.latency_service_ms, 200);
  EXPECT_NEAR(*metrics.normalised_latency_ms, 240.0 / 11, 1e-9);
  EXPECT_DOUBLE_EQ(*metrics.end_ms, 245);
  EXPECT_DOUBLE_EQ(*metrics.send_lag_ms, 40);
  EXPECT_FALSE(metrics.request_ms);
  EXPECT_NEAR(*metrics.identity_residual, 0, 1e-12);
  EXPECT_NEAR(*metrics.common_identity_residual, -10.0 / 240, 1e-12);
}

TEST(Metrics, AReplyInOnePieceHasARequestTimeAndNoTokenTimes) {
  RequestRecord record;
  record.streamed = false;
  record.scheduled_ns = 0;
  record.sent_ns = 5 * kMs;
  record.end_ns = 405 * kMs;
  record.output_tokens = 40;
  const RequestMetrics metrics = MetricsOf(record);
  EXPECT_FALSE(metrics.ttft_ms);
  EXPECT_FALSE(metrics.tpot_ms);
  EXPECT_DOUBLE_EQ(*metrics.request_ms, 400);
  EXPECT_DOUBLE_EQ(*metrics.latency_ms, 405);
  EXPECT_NEAR(*metrics.normalised_latency_ms, 405.0 / 40, 1e-9);
}

TEST(Metrics, WhatNeverCameIsNotZero) {
  RequestRecord record;
  record.scheduled_ns = 0;
  record.end_ns = 7 * kMs;
  record.error = ErrorKind::kConnect;
  const RequestMetrics metrics = MetricsOf(record);
  EXPECT_FALSE(metrics.ttft_ms);
  EXPECT_FALSE(metrics.send_lag_ms);
  EXPECT_FALSE(metrics.identity_residual);
  // One token has no time per output token: it is not 0.
  EXPECT_FALSE(MetricsOf(MakeRecord({.tokens = 1})).tpot_ms);
}

// Any stream: the identity holds to rounding, whatever the chunks hold.
TEST(Metrics, TheIdentityHoldsForRandomStreams) {
  for (std::uint64_t seed = 0; seed < 500; ++seed) {
    SCOPED_TRACE(::testing::Message() << "seed=" << seed);
    std::mt19937_64 random(seed);
    RequestRecord record = MakeRecord({.ttft_ms = static_cast<std::int64_t>(random() % 5000) + 1,
                                       .tokens = 2 + static_cast<int>(random() % 50)});
    record.last_token_ns = record.first_token_ns;
    for (std::int64_t& gap : record.gaps_ns) {
      gap = static_cast<std::int64_t>(random() % (100 * kMs));
      record.last_token_ns += gap;
    }
    record.output_tokens = record.chunks + static_cast<int>(random() % 200);
    record.first_chunk_tokens = 1 + static_cast<int>(random()) % 2;
    record.first_chunk_tokens = std::clamp(record.first_chunk_tokens, 1, record.output_tokens);
    EXPECT_NEAR(*MetricsOf(record).identity_residual, 0, 1e-9);
  }
}

TEST(Metrics, NamesGoThereAndBack) {
  for (int i = 0; i < kMetrics; ++i) {
    const auto metric = static_cast<Metric>(i);
    EXPECT_EQ(MetricNamed(Name(metric)), metric);
    EXPECT_FALSE(Title(metric).empty());
  }
  EXPECT_FALSE(MetricNamed("nonsense"));
}

}  // namespace
}  // namespace penstock::bench
