// ModelConfig: what a model's config.json says, as far as a conversion needs it.
#pragma once

#include <boost/json.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"

namespace penstock::convert {

// A family of models whose tensors are laid out alike.
enum class Family { kLlama, kQwen2, kQwen3, kBert };
std::string_view ArchitectureOf(Family family);  // As GGUF calls it: "llama", "qwen2", ...

struct RopeScaling {
  std::string type{};  // "linear", "yarn", "llama3"; "" none.
  double factor = 1;
  double low_frequency_factor = 1;   // Of llama3.
  double high_frequency_factor = 4;  // Likewise.
  std::uint32_t original_context = 0;
};

struct ModelConfig {
  Family family = Family::kLlama;
  std::string architecture{};  // "LlamaForCausalLM", ...
  std::uint32_t layers = 0;
  std::uint32_t embedding_length = 0;
  std::uint32_t feed_forward_length = 0;
  std::uint32_t heads = 0;
  std::uint32_t heads_kv = 0;
  std::uint32_t head_size = 0;
  bool head_size_given = false;
  std::uint32_t context_length = 0;
  std::uint32_t vocabulary_size = 0;
  std::uint32_t token_types = 0;  // BERT's.
  // XLM-R counts positions from the padding token's id + 1: rows before that are never read, and
  // `context_length` does not count them.
  std::uint32_t first_position = 0;
  double norm_epsilon = 1e-5;
  double rope_base = 10000;
  RopeScaling rope_scaling{};
  bool tied_embeddings = false;

  bool encoder() const { return family == Family::kBert; }
};

// Checks all that later arithmetic relies on. kCorrupt: a number that is missing or impossible;
// kUnsupported: an architecture or a feature that cannot be converted, saying which can.
Result<ModelConfig> ParseModelConfig(const boost::json::object& json);

// What rope frequencies are divided by, one for each pair of a head: llama3's scaling. Empty where
// the model has none.
std::vector<float> RopeFactors(const ModelConfig& config);

}  // namespace penstock::convert
