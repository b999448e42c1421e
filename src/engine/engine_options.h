// EngineOptions: what an engine is started with, and what of it can be checked before a model
// loads.
#pragma once

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "engine/llama/context.h"
#include "engine/llama/model.h"
#include "engine/llama/placement.h"

namespace penstock::engine {

inline constexpr int kParallelMax = 256;
inline constexpr int kStepTokensMax = 1 << 16;

struct EngineOptions {
  std::string model_path;
  int parallel = 8;           // Sequences that run at once, 1 to kParallelMax.
  int context_tokens = 0;     // Of each sequence; 0: the model's own, at most 4096.
  int queued_max = 256;       // Requests that wait beyond those that run; 0 refuses them.
  int step_tokens_max = 512;  // Tokens in one step.
  Duration step_target = std::chrono::milliseconds(200);  // Of a step while tokens stream; 0: none.
  int micro_batch = 512;                                  // Tokens in one pass over the weights.
  int threads = 0;                                        // 0: as many as this process may use.
  FlashAttention flash_attention = FlashAttention::kAuto;
  bool own_kernels = true;  // Where they are faster than llama.cpp's: see own_kernels.h.
  std::uint64_t seed = 0;   // Of requests that give none; 0: a new one at every start.
  // Memory for prefixes that no slot has any more. 0: nothing is reused, every prompt is computed.
  int prefix_cache_mebibytes = 512;
  int gpu_layers = kGpuLayersAuto;  // See placement.h.
};

// Refuses values outside their ranges; the message names field, value and limit.
Status ValidateOptions(const EngineOptions& options);

// Checks, before anything is loaded, that file, model and memory go together; says how many layers
// go to a GPU. The errors of CheckModelFile, CheckMemory and PlaceOnGpu.
Result<int> FitModel(const EngineOptions& options);

// Replaces every 0 by what it means for this model and machine.
Status ResolveOptions(const ModelInfo& model, EngineOptions& options);

}  // namespace penstock::engine
