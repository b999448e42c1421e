// Convert: a folder of safetensors becomes one GGUF file.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <string>

#include "base/result.h"
#include "convert/elements.h"
#include "convert/model_config.h"
#include "convert/model_folder.h"

namespace penstock::convert {

struct ConvertOptions {
  OutputType type = OutputType::kF16;
  // Told now and then how many of how many bytes are written; false stops the conversion.
  std::function<bool(std::uint64_t done, std::uint64_t all)> on_progress{};
};

struct ConvertReport {
  std::string architecture{};  // "llama", "bert", ...
  std::uint64_t tensors = 0;
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
  std::uint32_t context_length = 0;
};

// Writes `output`, whole or not at all. Errors: those of the parts, each naming its file or tensor;
// kCancelled where on_progress said so; kExhausted when the disk is full.
Result<ConvertReport> ConvertFolder(const ModelFolder& folder, const std::string& output,
                                    const ConvertOptions& options);

}  // namespace penstock::convert
