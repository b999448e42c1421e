// SequenceState: the bytes in which llama.cpp hands out and takes back a sequence's cells, read and
// written cell by cell.
//
// llama.cpp promises no layout, so a context checks at its start that a sample of its own reads as
// this file understands it (ReadState gives an error where it does not); nothing is copied
// otherwise. In between, cells are kept in one order of our own, the same for contexts with flash
// attention and without: for each layer the key rows of all cells, then their value rows. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"

namespace penstock::engine {

struct LayerShape {
  std::int32_t key_type = 0;  // ggml's.
  std::size_t key_row_bytes = 0;
  std::int32_t value_type = 0;
  std::size_t value_bytes = 0;  // Of one value.
  std::size_t values = 0;       // In a row.

  std::size_t value_row_bytes() const { return value_bytes * values; }
  std::size_t cell_bytes() const { return key_row_bytes + value_row_bytes(); }
  bool operator==(const LayerShape&) const = default;
};

struct CellShape {
  std::uint32_t magic = 0;
  std::vector<LayerShape> layers;

  std::size_t cell_bytes() const;
  bool operator==(const CellShape&) const = default;
};

// A sequence's state, read. Points into the bytes that were read.
struct StateView {
  std::span<const std::uint8_t> bytes;
  CellShape shape;
  std::uint32_t streams = 0;
  int cells = 0;                       // At positions 0, 1, ... cells - 1.
  bool values_transposed = false;      // Without flash attention.
  std::vector<std::size_t> keys;       // Per layer, where its first key begins,
  std::vector<std::size_t> values_at;  // and its values.
};

// kUnsupported when the bytes are laid out otherwise, or when the cells are not at 0, 1, 2, ...
Result<StateView> ReadState(std::span<const std::uint8_t> bytes);

// Appends the cells [first, first + count) in our own order.
void AppendCells(const StateView& state, int first, int count, std::vector<std::uint8_t>& cells);

// Cells in our own order, to be put behind each other.
struct CellPiece {
  std::span<const std::uint8_t> bytes;
  int cells = 0;  // Of those in `bytes`...
  int used = 0;   // ...only so many, from the first.
};

// What llama.cpp takes for a sequence of these cells at positions 0, 1, 2, ...
struct StateTarget {
  std::uint32_t streams = 1;
  bool values_transposed = false;
};
void WriteState(const CellShape& shape, StateTarget target, std::span<const CellPiece> pieces,
                std::vector<std::uint8_t>& out);

}  // namespace penstock::engine
