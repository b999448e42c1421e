// GGUF: reads a model file's head and refuses what llama.cpp would abort on, before it sees the
// file.
//
// A pure parser over bytes (fuzzed); CheckModelFile() is its shell over a path.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "base/result.h"

namespace penstock::engine {

// What the head of a model file says. Numbers that the file does not give are 0.
struct GgufSummary {
  std::string architecture;  // general.architecture: "llama", "bert", ...
  std::string name;          // general.name, "" if none.
  std::int64_t tensors = 0;
  std::uint64_t tensor_bytes = 0;
  std::uint64_t context_length = 0;
  std::uint64_t layers = 0;
  std::uint64_t embedding_length = 0;
  std::uint64_t heads = 0;       // The most of any layer.
  std::uint64_t heads_kv = 0;    // Likewise; `heads` where the file gives none.
  std::uint64_t key_length = 0;  // Per head; embedding_length / heads where the file gives none.
  std::uint64_t value_length = 0;
  std::uint64_t tokens = 0;  // Size of the vocabulary.
};

// Parses the head out of the first bytes of a file (`head`: all of it, or as many bytes as there
// are). kCorrupt: not a GGUF file, or one that is cut off or inconsistent. kUnsupported: sound, but
// no model that can run (vocabulary only, an adapter, a part of several).
Result<GgufSummary> ParseGguf(std::span<const std::uint8_t> head, std::uint64_t file_bytes);

// ParseGguf on a file. Also kNotFound and kForbidden for the file itself. Messages begin with the
// path.
Result<GgufSummary> CheckModelFile(const std::string& path);

// Bytes of the key-value cache (16-bit cells) for so many sequences of so many tokens.
std::uint64_t CacheBytes(const GgufSummary& model, std::uint64_t sequences,
                         std::uint64_t tokens_per_sequence);

// What serving will keep in memory beside the weights.
struct MemoryNeed {
  std::uint64_t sequences = 1;
  std::uint64_t tokens_per_sequence = 4096;
  std::uint64_t micro_batch = 512;
  bool flash_attention = false;    // Without it, each pass holds its whole attention matrix.
  std::uint64_t prefix_bytes = 0;  // For prefixes that no slot has any more.
};

struct MemoryEstimate {
  std::uint64_t weights = 0;
  std::uint64_t cache = 0;
  std::uint64_t computing = 0;  // Buffers of one pass, logits of one step.
  std::uint64_t prefixes = 0;

  std::uint64_t total() const { return weights + cache + computing + prefixes; }
};

MemoryEstimate EstimateMemory(const GgufSummary& model, const MemoryNeed& need);

// kExhausted, with the numbers, when it cannot fit into `available_bytes`.
Status CheckMemory(const GgufSummary& model, const MemoryNeed& need, std::uint64_t available_bytes);

// What the kernel says that new work can use, this process's own control group respected; nullopt
// where it does not say.
std::optional<std::uint64_t> AvailableMemoryBytes();

}  // namespace penstock::engine
