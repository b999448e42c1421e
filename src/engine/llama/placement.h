// Placement: how much of a model goes to a GPU.
//
// Pure: devices and numbers in, a number of layers out. backend.h lists the devices that there are.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"
#include "engine/llama/gguf_check.h"

namespace penstock::engine {

struct GpuDevice {
  std::string name;  // "NVIDIA H100 80GB HBM3".
  std::uint64_t free_bytes = 0;
};

inline constexpr int kGpuLayersAuto = -1;

struct GpuPlacement {
  int layers = 0;      // On GPUs, the output matrix counted as one; 0: everything on the CPU.
  std::string reason;  // For the log.
};

// `requested`: kGpuLayersAuto takes as many layers, with their share of the cache, as the devices
// have room for; 0 takes none. Asking for layers where there is no GPU: kUnavailable.
Result<GpuPlacement> PlaceOnGpu(const GgufSummary& model, const MemoryNeed& need, int requested,
                                std::span<const GpuDevice> devices);

}  // namespace penstock::engine
