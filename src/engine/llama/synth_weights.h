// Seeded random weights, made and quantised in blocks by several threads.
#pragma once

#include <ggml.h>

#include <cstdint>
#include <functional>
#include <span>

#include "engine/llama/synth_layout.h"

namespace penstock::engine {

struct WeightOptions {
  Quantization quantization;
  bool tied;
  std::uint64_t seed;
  std::uint64_t tensor;  // Its index: each tensor has a sequence of its own.
};

// How a tensor's numbers are stored.
ggml_type TypeOf(const TensorPlan& plan, Quantization quantization);

// Makes the data of one tensor and hands it to `write` block after block, in order; stops when that
// answers false, and then answers false. The bytes do not depend on the number of threads.
bool MakeWeights(const TensorPlan& plan, const SynthVocabulary& vocabulary,
                 const WeightOptions& options,
                 const std::function<bool(std::span<const std::uint8_t>)>& write);

}  // namespace penstock::engine
