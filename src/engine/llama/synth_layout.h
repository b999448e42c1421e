// The tensors and metadata of a synthetic model, before any weight is made.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/llama/synth.h"

struct gguf_context;

namespace penstock::engine {

struct GgufDeleter {
  void operator()(gguf_context* context) const;
};
using GgufHandle = std::unique_ptr<gguf_context, GgufDeleter>;

enum class TensorFill {
  kRandom,
  kEmbedding,  // Random, and one dimension that says "an ordinary token": see synth_weights.cc.
  kOutput,     // Random, and that dimension turned against tokens that are no text.
  kOnes,
  kZeros,
};

struct TensorPlan {
  std::string name;
  std::array<std::int64_t, 2> shape;  // Row length, rows; 0 rows: a vector.
  TensorFill fill = TensorFill::kRandom;
  bool quantized = false;  // Else 32-bit floats.
};

struct SynthVocabulary {
  int size = 0;
  std::vector<bool> no_text;  // Control and unknown tokens.
};

// Writes the vocabulary's keys into `target`.
Result<SynthVocabulary> CopyVocabulary(const std::string& name, gguf_context* target);

// Refuses sizes that no model can have; the message names the field.
Status ValidateSpec(const SynthSpec& spec);

// Everything but the vocabulary: general.* and the architecture's own keys.
void SetArchitectureKeys(const SynthSpec& spec, int vocabulary_size, gguf_context* target);

std::vector<TensorPlan> PlanTensors(const SynthSpec& spec, int vocabulary_size);

}  // namespace penstock::engine
