// Synthetic models: GGUF files with seeded random weights and a real vocabulary, for where no model
// can be had. They load, run and tokenise truly; what they write is noise, and their speed is that
// of the size.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::engine {

enum class Quantization { kF32, kF16, kQ8_0, kQ4_0 };

// "f32", "f16", "q8_0", "q4_0".
Result<Quantization> QuantizationFromName(std::string_view name);

struct SynthSpec {
  std::string name = "synthetic";
  std::string architecture = "llama";  // Or "bert": an embedding model.
  int embedding_length = 288;          // A multiple of 32 and of `heads`.
  int layers = 6;
  int heads = 6;
  int heads_kv = 6;               // Divides `heads`; bert wants as many.
  int feed_forward_length = 768;  // A multiple of 32.
  int context_length = 8192;
  bool tied = false;  // The output matrix is that of the embeddings.
  // Of ggml-vocab-NAME.gguf; "bytes": the 256 bytes; "bytes-chat": these, and the special tokens
  // of ChatML, of tool calls and for filling gaps.
  std::string vocabulary = "llama-spm";
  std::string chat_template{};  // Jinja; "": ChatML.
  Quantization quantization = Quantization::kQ8_0;
  std::uint64_t seed = 1;
};

struct SynthReport {
  std::uint64_t parameters = 0;
  std::uint64_t bytes = 0;
};

// "toy", "15m", "110m", "0.5b", "1.1b", "bge-small", smallest first.
std::vector<std::string_view> SynthPresetNames();

// kInvalidArgument naming the presets that there are.
Result<SynthSpec> SynthPreset(std::string_view name);

// Writes the model to a temporary file beside `path` and renames it, so that `path` is whole or
// absent. The same spec gives the same bytes. kInvalidArgument for a bad spec; kNotFound for an
// unknown vocabulary; kExhausted and others for the file system.
// kCancelled, and nothing is left, once `stop` is true (null: never).
Result<SynthReport> SynthesizeModel(const SynthSpec& spec, const std::string& path,
                                    const std::atomic<bool>* stop = nullptr);

}  // namespace penstock::engine
