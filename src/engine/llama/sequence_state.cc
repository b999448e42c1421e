// Reading and writing llama.cpp's sequence state.
#include "engine/llama/sequence_state.h"

#include <algorithm>
#include <cstring>
#include <numeric>

#include "base/check.h"

namespace penstock::engine {
namespace {

constexpr std::uint32_t kStreamsMax = 256;
constexpr std::uint32_t kLayersMax = 1024;
constexpr std::size_t kRowBytesMax = 1 << 24;

// Reads numbers in the machine's order; `good` tells whether all were there.
class Cursor {
 public:
  explicit Cursor(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  template <typename Number>
  Number Take() {
    Number number{};
    if (Skip(sizeof(Number))) {
      std::memcpy(&number, bytes_.data() + at_ - sizeof(Number), sizeof(Number));
    }
    return number;
  }
  bool Skip(std::size_t size) {
    good = good && size <= bytes_.size() - at_;
    if (good) at_ += size;
    return good;
  }
  std::size_t at() const { return at_; }
  bool AtEnd() const { return at_ == bytes_.size(); }

  bool good = true;

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t at_ = 0;
};

std::unexpected<Error> Unknown(const char* what) {
  return Fail(Code::kUnsupported,
              std::string("llama.cpp's sequence state is laid out otherwise: ") + what);
}

template <typename Number>
void Append(std::vector<std::uint8_t>& out, Number number) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&number);
  out.insert(out.end(), bytes, bytes + sizeof(number));
}

bool ReadCells(Cursor& in, int cells) {
  for (int i = 0; i < cells && in.good; ++i) {
    const auto position = in.Take<std::int32_t>();
    const auto sequences = in.Take<std::uint32_t>();
    in.Take<std::int32_t>();
    if (position != i || sequences != 1) return false;
  }
  return in.good;
}

bool ReadKeys(Cursor& in, StateView& state) {
  for (LayerShape& layer : state.shape.layers) {
    layer.key_type = in.Take<std::int32_t>();
    layer.key_row_bytes = in.Take<std::uint64_t>();
    if (!in.good || layer.key_row_bytes == 0 || layer.key_row_bytes > kRowBytesMax) return false;
    state.keys.push_back(in.at());
    in.Skip(layer.key_row_bytes * static_cast<std::size_t>(state.cells));
  }
  return in.good;
}

bool ReadValues(Cursor& in, StateView& state) {
  for (LayerShape& layer : state.shape.layers) {
    layer.value_type = in.Take<std::int32_t>();
    if (state.values_transposed) {
      layer.value_bytes = in.Take<std::uint32_t>();
      layer.values = in.Take<std::uint32_t>();
    } else {
      // Only 16-bit values are used here: their number follows.
      layer.value_bytes = sizeof(std::uint16_t);
      layer.values = in.Take<std::uint64_t>() / layer.value_bytes;
    }
    if (!in.good || layer.value_bytes != sizeof(std::uint16_t)) return false;
    if (layer.values == 0 || layer.value_row_bytes() > kRowBytesMax) return false;
    state.values_at.push_back(in.at());
    in.Skip(layer.value_row_bytes() * static_cast<std::size_t>(state.cells));
  }
  return in.good;
}

// Copies `rows` x `columns` 16-bit values to `to` with rows and columns exchanged. `from_stride`
// and `to_stride` are the lengths of a row there. In tiles, so that both sides stay in the cache.
void Transpose(const std::uint8_t* from, std::size_t from_stride, std::uint8_t* to,
               std::size_t to_stride, std::size_t rows, std::size_t columns) {
  constexpr std::size_t kTile = 32;
  constexpr std::size_t kSize = sizeof(std::uint16_t);
  for (std::size_t row = 0; row < rows; row += kTile) {
    for (std::size_t column = 0; column < columns; column += kTile) {
      for (std::size_t j = column; j < std::min(column + kTile, columns); ++j) {
        for (std::size_t i = row; i < std::min(row + kTile, rows); ++i) {
          std::memcpy(to + (j * to_stride + i) * kSize, from + (i * from_stride + j) * kSize,
                      kSize);
        }
      }
    }
  }
}

void WriteHead(const CellShape& shape, StateTarget target, int cells,
               std::vector<std::uint8_t>& out) {
  Append(out, shape.magic);
  Append(out, std::int32_t{0});  // The sequence: ignored.
  Append(out, target.streams);
  Append(out, static_cast<std::uint32_t>(cells));
  for (int i = 0; i < cells; ++i) {
    Append(out, std::int32_t{i});
    Append(out, std::uint32_t{1});
    Append(out, std::int32_t{0});
  }
  Append(out, std::uint32_t{target.values_transposed ? 1U : 0U});
  Append(out, static_cast<std::uint32_t>(shape.layers.size()));
}

// Where layer `index` of a piece begins.
std::size_t LayerBegin(const CellShape& shape, std::size_t index, int cells) {
  std::size_t before = 0;
  for (std::size_t i = 0; i < index; ++i) before += shape.layers[i].cell_bytes();
  return before * static_cast<std::size_t>(cells);
}

void WriteKeys(const CellShape& shape, std::span<const CellPiece> pieces,
               std::vector<std::uint8_t>& out) {
  for (std::size_t i = 0; i < shape.layers.size(); ++i) {
    const LayerShape& layer = shape.layers[i];
    Append(out, layer.key_type);
    Append(out, std::uint64_t{layer.key_row_bytes});
    for (const CellPiece& piece : pieces) {
      const auto begin =
          piece.bytes.begin() + static_cast<std::ptrdiff_t>(LayerBegin(shape, i, piece.cells));
      out.insert(out.end(), begin,
                 begin + static_cast<std::ptrdiff_t>(layer.key_row_bytes) * piece.used);
    }
  }
}

void WriteValues(const CellShape& shape, StateTarget target, std::span<const CellPiece> pieces,
                 int cells, std::vector<std::uint8_t>& out) {
  for (std::size_t i = 0; i < shape.layers.size(); ++i) {
    const LayerShape& layer = shape.layers[i];
    Append(out, layer.value_type);
    if (target.values_transposed) {
      Append(out, static_cast<std::uint32_t>(layer.value_bytes));
      Append(out, static_cast<std::uint32_t>(layer.values));
    } else {
      Append(out, std::uint64_t{layer.value_row_bytes()});
    }
    const std::size_t begin = out.size();
    out.resize(begin + layer.value_row_bytes() * static_cast<std::size_t>(cells));
    std::size_t cell = 0;
    for (const CellPiece& piece : pieces) {
      const std::uint8_t* rows = piece.bytes.data() + LayerBegin(shape, i, piece.cells) +
                                 layer.key_row_bytes * static_cast<std::size_t>(piece.cells);
      const auto used = static_cast<std::size_t>(piece.used);
      if (target.values_transposed) {
        Transpose(rows, layer.values, out.data() + begin + cell * layer.value_bytes,
                  static_cast<std::size_t>(cells), used, layer.values);
      } else {
        std::memcpy(out.data() + begin + cell * layer.value_row_bytes(), rows,
                    used * layer.value_row_bytes());
      }
      cell += used;
    }
  }
}

}  // namespace

std::size_t CellShape::cell_bytes() const {
  return std::accumulate(
      layers.begin(), layers.end(), std::size_t{0},
      [](std::size_t sum, const LayerShape& layer) { return sum + layer.cell_bytes(); });
}

Result<StateView> ReadState(std::span<const std::uint8_t> bytes) {
  Cursor in(bytes);
  StateView state{.bytes = bytes};
  state.shape.magic = in.Take<std::uint32_t>();
  in.Take<std::int32_t>();
  state.streams = in.Take<std::uint32_t>();
  if (!in.good || state.streams == 0 || state.streams > kStreamsMax) return Unknown("streams");
  for (std::uint32_t stream = 0; stream < state.streams; ++stream) {
    const auto cells = in.Take<std::uint32_t>();
    if (cells == 0 && in.good) continue;
    if (!in.good || state.cells != 0 || cells > bytes.size()) return Unknown("cells");
    state.cells = static_cast<int>(cells);
    if (!ReadCells(in, state.cells)) return Unknown("positions");
    state.values_transposed = in.Take<std::uint32_t>() == 1;
    const auto layers = in.Take<std::uint32_t>();
    if (!in.good || layers == 0 || layers > kLayersMax) return Unknown("layers");
    state.shape.layers.resize(layers);
    if (!ReadKeys(in, state)) return Unknown("keys");
    if (!ReadValues(in, state)) return Unknown("values");
  }
  if (!in.good || !in.AtEnd() || state.cells == 0) return Unknown("end");
  return state;
}

void AppendCells(const StateView& state, int first, int count, std::vector<std::uint8_t>& cells) {
  CHECK(first >= 0 && count >= 0 && first + count <= state.cells, "cells of this state");
  const std::size_t offset = cells.size();
  const auto rows = static_cast<std::size_t>(count);
  const auto skipped = static_cast<std::size_t>(first);
  cells.resize(offset + state.shape.cell_bytes() * rows);
  if (count == 0) return;
  std::uint8_t* out = cells.data() + offset;
  for (std::size_t i = 0; i < state.shape.layers.size(); ++i) {
    const LayerShape& layer = state.shape.layers[i];
    std::memcpy(out, state.bytes.data() + state.keys[i] + skipped * layer.key_row_bytes,
                rows * layer.key_row_bytes);
    out += rows * layer.key_row_bytes;
    const std::uint8_t* values = state.bytes.data() + state.values_at[i];
    if (state.values_transposed) {
      Transpose(values + skipped * layer.value_bytes, static_cast<std::size_t>(state.cells), out,
                layer.values, layer.values, rows);
    } else {
      std::memcpy(out, values + skipped * layer.value_row_bytes(), rows * layer.value_row_bytes());
    }
    out += rows * layer.value_row_bytes();
  }
}

void WriteState(const CellShape& shape, StateTarget target, std::span<const CellPiece> pieces,
                std::vector<std::uint8_t>& out) {
  int cells = 0;
  for (const CellPiece& piece : pieces) {
    CHECK(piece.used >= 0 && piece.used <= piece.cells &&
              piece.bytes.size() == shape.cell_bytes() * static_cast<std::size_t>(piece.cells),
          "a piece holds what it says");
    cells += piece.used;
  }
  out.clear();
  out.reserve(64 + static_cast<std::size_t>(cells) * (shape.cell_bytes() + 12) +
              24 * shape.layers.size() + 4 * target.streams);
  WriteHead(shape, target, cells, out);
  WriteKeys(shape, pieces, out);
  WriteValues(shape, target, pieces, cells, out);
  for (std::uint32_t stream = 1; stream < target.streams; ++stream) Append(out, std::uint32_t{0});
}

}  // namespace penstock::engine
