#include "engine/llama/placement.h"

#include <gtest/gtest.h>

#include <vector>

namespace penstock::engine {
namespace {

constexpr std::uint64_t kGibibyte = std::uint64_t{1} << 30;

// 32 layers, 16 GiB of weights.
GgufSummary Model() {
  return {.tensor_bytes = 16 * kGibibyte,
          .layers = 32,
          .embedding_length = 4096,
          .heads = 32,
          .heads_kv = 8,
          .key_length = 128,
          .value_length = 128,
          .tokens = 128'000};
}

constexpr MemoryNeed kNeed{
    .sequences = 8, .tokens_per_sequence = 4096, .micro_batch = 512, .flash_attention = true};

TEST(Placement, AllLayersWhereTheyFit) {
  const std::vector<GpuDevice> devices{{"H100", 78 * kGibibyte}};
  EXPECT_EQ(PlaceOnGpu(Model(), kNeed, kGpuLayersAuto, devices)->layers, 33);
}

TEST(Placement, AsManyLayersAsFit) {
  const std::vector<GpuDevice> devices{{"small", 12 * kGibibyte}};
  const auto placed = PlaceOnGpu(Model(), kNeed, kGpuLayersAuto, devices);
  ASSERT_TRUE(placed.has_value());
  // 16 GiB of weights and 4 of cache, in 33 parts; 90 % of 12 GiB less the buffers.
  EXPECT_GE(placed->layers, 15);
  EXPECT_LE(placed->layers, 17);
  EXPECT_NE(placed->reason.find("of 33 layers fit into 12288 MiB free on small"), std::string::npos)
      << placed->reason;
  const std::vector<GpuDevice> two{{"small", 12 * kGibibyte}, {"small", 12 * kGibibyte}};
  EXPECT_GT(PlaceOnGpu(Model(), kNeed, kGpuLayersAuto, two)->layers, 30);
}

TEST(Placement, NothingFitsNothingGoes) {
  const std::vector<GpuDevice> devices{{"full", 1 << 20}};
  EXPECT_EQ(PlaceOnGpu(Model(), kNeed, kGpuLayersAuto, devices)->layers, 0);
}

TEST(Placement, WhatIsAskedForIsDoneOrRefused) {
  const std::vector<GpuDevice> devices{{"H100", 78 * kGibibyte}};
  EXPECT_EQ(PlaceOnGpu(Model(), kNeed, 7, devices)->layers, 7);
  EXPECT_EQ(PlaceOnGpu(Model(), kNeed, 999, devices)->layers, 33);
  EXPECT_EQ(PlaceOnGpu(Model(), kNeed, 0, devices)->layers, 0);
  EXPECT_EQ(PlaceOnGpu(Model(), kNeed, kGpuLayersAuto, {})->layers, 0);
  const auto refused = PlaceOnGpu(Model(), kNeed, 7, {});
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
}

}  // namespace
}  // namespace penstock::engine
