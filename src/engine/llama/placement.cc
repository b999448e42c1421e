// Layers by free memory.
#include "engine/llama/placement.h"

#include <fmt/core.h>

#include <algorithm>
#include <numeric>

namespace penstock::engine {
namespace {

// Of a device's free memory; the rest is for its kernels' own buffers.
constexpr double kUsableShare = 0.9;

}  // namespace

Result<GpuPlacement> PlaceOnGpu(const GgufSummary& model, const MemoryNeed& need, int requested,
                                std::span<const GpuDevice> devices) {
  const int all = static_cast<int>(model.layers) + 1;
  if (devices.empty()) {
    if (requested > 0) {
      return Fail(Code::kUnavailable,
                  fmt::format("--gpu-layers {}: llama.cpp finds no GPU here; scripts/setup-llama "
                              "fetches its CUDA backend where NVIDIA's libraries are installed",
                              requested),
                  "gpu_layers");
    }
    return GpuPlacement{0, "no GPU"};
  }
  if (requested >= 0) return GpuPlacement{std::min(requested, all), "as asked"};
  const auto free = std::accumulate(
      devices.begin(), devices.end(), std::uint64_t{0},
      [](std::uint64_t sum, const GpuDevice& device) { return sum + device.free_bytes; });
  const MemoryEstimate estimate = EstimateMemory(model, need);
  const double usable =
      kUsableShare * static_cast<double>(free) - static_cast<double>(estimate.computing);
  const double layer = static_cast<double>(estimate.weights + estimate.cache) / all;
  const int fit =
      usable <= 0 || layer <= 0 ? 0 : static_cast<int>(std::min<double>(usable / layer, all));
  return GpuPlacement{fit, fmt::format("{} of {} layers fit into {} MiB free on {}", fit, all,
                                       free >> 20, devices.front().name)};
}

}  // namespace penstock::engine
