// TensorPlan: which tensors a GGUF file gets, and from which tensors of the weights files. Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "convert/elements.h"
#include "convert/model_config.h"
#include "convert/safetensors.h"

namespace penstock::convert {

struct PlannedTensor {
  std::string name{};                 // In the GGUF file.
  std::string source{};               // Name in the weights file, "" where `values` are given.
  TensorView view{};                  // Of the source.
  std::vector<float> values{};        // Made here: rope factors.
  std::vector<std::int64_t> shape{};  // Innermost first.
  OutputType type = OutputType::kF32;
  // Not 0: rows are regrouped within each of so many heads, because GGUF's "llama" rotates
  // neighbouring numbers where the weights rotate halves.
  std::uint32_t permuted_heads = 0;
  std::uint32_t skipped_rows = 0;  // Of the source, before the first that is written.

  std::int64_t elements() const;
  std::uint64_t bytes() const;
};

// In the order in which they are written. Every tensor that the architecture needs is there with
// the shape that config.json promises, and none is left over. Errors: kCorrupt, naming the tensor,
// its shape and what it should be; kUnsupported for a tensor that is not known.
Result<std::vector<PlannedTensor>> PlanTensors(const ModelConfig& config, const TensorTable& table,
                                               OutputType type);

// The tensor's numbers as they are written, rows regrouped. `first_row`, `rows`: which of them;
// a tensor of one dimension has one row.
std::vector<float> ReadRows(const PlannedTensor& tensor, std::int64_t first_row, std::int64_t rows);

}  // namespace penstock::convert
