// Checking and completing options.
#include "engine/engine_options.h"

#include <fmt/core.h>
#include <sched.h>

#include <algorithm>
#include <random>

#include "base/log.h"
#include "engine/llama/backend.h"

namespace penstock::engine {
namespace {

constexpr int kContextTokensDefault = 4096;

int UsableCores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

Status CheckRange(const char* field, int value, int low, int high) {
  if (value >= low && value <= high) return {};
  return Fail(Code::kInvalidArgument,
              fmt::format("{} is {}, and must lie between {} and {}", field, value, low, high),
              field);
}

}  // namespace

Status ValidateOptions(const EngineOptions& options) {
  for (const Status& status : {
           CheckRange("parallel", options.parallel, 1, kParallelMax),
           CheckRange("context", options.context_tokens, 0, 1 << 24),
           CheckRange("queued_max", options.queued_max, 0, 1 << 20),
           CheckRange("step_tokens_max", options.step_tokens_max, options.parallel, kStepTokensMax),
           CheckRange("micro_batch", options.micro_batch, 1, kStepTokensMax),
           CheckRange("threads", options.threads, 0, 512),
           CheckRange("gpu_layers", options.gpu_layers, kGpuLayersAuto, 1 << 16),
           CheckRange("prefix_cache", options.prefix_cache_mebibytes, 0, 1 << 24),
       }) {
    if (!status) return status;
  }
  return {};
}

Result<int> FitModel(const EngineOptions& options) {
  const auto summary = CheckModelFile(options.model_path);
  if (!summary) return Fail(summary.error());
  if (Status started = StartBackend(); !started) return Fail(started.error());
  const auto context = static_cast<std::uint64_t>(options.context_tokens);
  const auto lanes = static_cast<std::uint64_t>(Context::kLanesMax);
  const bool has_lanes = options.flash_attention == FlashAttention::kAuto ||
                         options.flash_attention == FlashAttention::kPrompts;
  const std::uint64_t usual =
      std::min<std::uint64_t>(summary->context_length, kContextTokensDefault);
  const MemoryNeed need{
      .sequences = static_cast<std::uint64_t>(options.parallel) + (has_lanes ? lanes : 0),
      .tokens_per_sequence = context == 0 ? usual : context,
      .micro_batch = static_cast<std::uint64_t>(options.micro_batch),
      .flash_attention = options.flash_attention == FlashAttention::kOn,
      .prefix_bytes = static_cast<std::uint64_t>(options.prefix_cache_mebibytes) << 20};
  const auto placed = PlaceOnGpu(*summary, need, options.gpu_layers, GpuDevices());
  if (!placed) return Fail(placed.error());
  if (placed->layers > 0) {
    Log().info("engine: {}", placed->reason);
    return placed->layers;  // What remains for the CPU is less than the check assumes.
  }
  if (const auto available = AvailableMemoryBytes()) {
    if (Status fits = CheckMemory(*summary, need, *available); !fits) return Fail(fits.error());
  }
  return 0;
}

Status ResolveOptions(const ModelInfo& model, EngineOptions& options) {
  if (options.threads == 0) options.threads = UsableCores();
  if (options.seed == 0) options.seed = std::random_device{}();
  if (options.context_tokens == 0) {
    options.context_tokens = std::min(model.context_trained, kContextTokensDefault);
  }
  if (options.context_tokens > model.context_trained) {
    return Fail(Code::kInvalidArgument,
                fmt::format("context is {}; the model was made for at most {}",
                            options.context_tokens, model.context_trained),
                "context");
  }
  if (model.task == ModelTask::kEmbed) {
    // A text is computed in one piece.
    options.step_tokens_max = std::max(options.step_tokens_max, options.context_tokens);
  }
  return {};
}

}  // namespace penstock::engine
