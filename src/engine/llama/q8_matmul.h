// Products of a matrix in Q8_0 (blocks of 32 bytes with a scale) with few or many columns in Q8_0.
//
// llama.cpp has one kernel for one column and another for many; between them, where a batch
// decodes, two columns cost twice what one costs, though the weights are read once. This kernel
// turns sixteen rows at a time into the order in which AVX-512 VNNI takes them, and so costs what
// reading the weights costs up to about eight columns, and a third of llama.cpp's for many. Its
// results do not depend on how many columns there are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace penstock::engine {

inline constexpr std::int64_t kQ8BlockValues = 32;
inline constexpr std::int64_t kQ8BlockBytes = 34;  // A half-precision scale, 32 signed bytes.

struct Q8Matmul {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::int64_t blocks = 0;  // Of each row, and of each column.
  const std::uint8_t* weights = nullptr;
  std::int64_t weights_stride = 0;  // Bytes from row to row.
  const std::uint8_t* values = nullptr;
  std::int64_t values_stride = 0;  // Bytes from column to column.
  float* results = nullptr;
  std::int64_t results_stride = 0;  // Floats from column to column.
};

// Whether this processor has the instructions.
bool CanMultiplyQ8();

// Does thread `thread`'s share, of `threads`; none waits for another. REQUIRES: CanMultiplyQ8().
void MultiplyQ8(const Q8Matmul& task, int thread, int threads);

}  // namespace penstock::engine
