// Q8_0 on AVX-512 VNNI.
//
// The instruction multiplies unsigned bytes with signed ones: weights are shifted by 128, and each
// sum starts at what that adds too much. Sixteen rows lie in the sixteen lanes of a register, four
// values of each; so a block is eight registers, and scales are applied to sixteen rows at once.
#include "engine/llama/q8_matmul.h"

#include <algorithm>
#include <cstring>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace penstock::engine {

#if defined(__x86_64__)

#define PENSTOCK_VNNI __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni,f16c,fma")))
#define PENSTOCK_VNNI_INLINE PENSTOCK_VNNI inline __attribute__((always_inline))

namespace {

constexpr std::int64_t kTileRows = 16;
constexpr int kGroups = 8;         // Of four values, in a block.
constexpr int kColumnsAtOnce = 8;  // As registers allow.
constexpr std::int64_t kScaleBytes = 2;
// What the columns of one round may take in the second-level cache.
constexpr std::int64_t kRoundBytes = 400 << 10;
constexpr std::int64_t kLineBytes = 64;

// A block's scale and the start of its sums, of eight columns.
struct ColumnScales {
  float scale[kColumnsAtOnce];
  std::int32_t start[kColumnsAtOnce];
};

// A block of sixteen rows.
struct Tile {
  __m512i values[kGroups];
  __m512 scales;
};

// What one call needs, kept by its thread: the order of columns' scales, and packed rows.
struct Scratch {
  std::vector<ColumnScales> scales;
  std::vector<Tile> panel;
};

// Pointers to up to eight columns, from three of which the others are a stride or two away: more do
// not fit the address registers.
struct Columns {
  const std::uint8_t* base[3];
  std::int64_t stride;
};

PENSTOCK_VNNI_INLINE Columns ColumnsAt(const std::uint8_t* first, std::int64_t stride) {
  return {{first, first + 3 * stride, first + 6 * stride}, stride};
}

PENSTOCK_VNNI_INLINE __m512i FourOf(const Columns& columns, int column, std::int64_t offset) {
  const std::uint8_t* at = columns.base[column / 3] + (column % 3) * columns.stride + offset;
  std::int32_t four;
  std::memcpy(&four, at, sizeof(four));
  return _mm512_set1_epi32(four);
}

PENSTOCK_VNNI_INLINE __m512i TwoRows(const std::uint8_t* low, const std::uint8_t* high) {
  const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(low));
  const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(high));
  return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
}

PENSTOCK_VNNI_INLINE __m128i EightScales(const std::uint8_t* at, std::int64_t stride) {
  std::uint16_t half[8];
  for (int i = 0; i < 8; ++i) std::memcpy(&half[i], at + i * stride, sizeof(half[i]));
  return _mm_setr_epi16(static_cast<short>(half[0]), static_cast<short>(half[1]),
                        static_cast<short>(half[2]), static_cast<short>(half[3]),
                        static_cast<short>(half[4]), static_cast<short>(half[5]),
                        static_cast<short>(half[6]), static_cast<short>(half[7]));
}

// Brings four values of each of sixteen rows into one register, for each of a block's eight groups:
// a transposition of 16 x 8 words of four bytes.
PENSTOCK_VNNI_INLINE Tile Pack(const std::uint8_t* block, std::int64_t stride) {
  const std::uint8_t* const values = block + kScaleBytes;
  __m512i rows[8];
  for (int i = 0; i < 4; ++i) {
    rows[i] = TwoRows(values + i * stride, values + (i + 4) * stride);
    rows[i + 4] = TwoRows(values + (i + 8) * stride, values + (i + 12) * stride);
  }
  const __m512i shift = _mm512_set1_epi8(static_cast<char>(0x80));
  __m512i quarters[8];
  for (int half = 0; half < 8; half += 4) {
    const __m512i low01 = _mm512_unpacklo_epi32(rows[half], rows[half + 1]);
    const __m512i high01 = _mm512_unpackhi_epi32(rows[half], rows[half + 1]);
    const __m512i low23 = _mm512_unpacklo_epi32(rows[half + 2], rows[half + 3]);
    const __m512i high23 = _mm512_unpackhi_epi32(rows[half + 2], rows[half + 3]);
    quarters[half] = _mm512_unpacklo_epi64(low01, low23);
    quarters[half + 1] = _mm512_unpackhi_epi64(low01, low23);
    quarters[half + 2] = _mm512_unpacklo_epi64(high01, high23);
    quarters[half + 3] = _mm512_unpackhi_epi64(high01, high23);
  }
  Tile tile;
  for (int i = 0; i < 4; ++i) {
    const __m512i first = _mm512_shuffle_i64x2(quarters[i], quarters[i + 4], 0x88);
    const __m512i second = _mm512_shuffle_i64x2(quarters[i], quarters[i + 4], 0xDD);
    tile.values[i] = _mm512_xor_si512(first, shift);
    tile.values[i + 4] = _mm512_xor_si512(second, shift);
  }
  tile.scales = _mm512_cvtph_ps(
      _mm256_set_m128i(EightScales(block + 8 * stride, stride), EightScales(block, stride)));
  return tile;
}

// The last rows where fewer than sixteen are left: the others repeat the first.
PENSTOCK_VNNI Tile PackSome(const std::uint8_t* block, std::int64_t stride, std::int64_t rows) {
  std::uint8_t copy[kTileRows * kQ8BlockBytes];
  for (std::int64_t i = 0; i < kTileRows; ++i) {
    std::memcpy(copy + i * kQ8BlockBytes, block + (i < rows ? i : 0) * stride, kQ8BlockBytes);
  }
  return Pack(copy, kQ8BlockBytes);
}

PENSTOCK_VNNI_INLINE Tile PackAny(const std::uint8_t* block, std::int64_t stride,
                                  std::int64_t rows) {
  return rows == kTileRows ? Pack(block, stride) : PackSome(block, stride, rows);
}

// The sixteen rows after these lie behind them: asks for as much of them as is read of these.
PENSTOCK_VNNI_INLINE void PrefetchNext(const std::uint8_t* tile, std::int64_t stride,
                                       std::int64_t block) {
  const std::uint8_t* const next = tile + kTileRows * stride + block * kTileRows * kQ8BlockBytes;
  for (std::int64_t at = 0; at < kTileRows * kQ8BlockBytes; at += kLineBytes) {
    _mm_prefetch(reinterpret_cast<const char*>(next + at), _MM_HINT_T1);
  }
}

// The scale of each block of the columns from `first` on, and what its sums start at.
PENSTOCK_VNNI void ReadScales(const Q8Matmul& task, std::int64_t first, std::int64_t columns,
                              std::vector<ColumnScales>& scales) {
  const std::int64_t groups = (columns + kColumnsAtOnce - 1) / kColumnsAtOnce;
  scales.resize(static_cast<std::size_t>(groups * task.blocks));
  const __m256i ones = _mm256_set1_epi8(1);
  for (std::int64_t column = 0; column < columns; ++column) {
    ColumnScales* const to = scales.data() + column / kColumnsAtOnce * task.blocks;
    const std::int64_t lane = column % kColumnsAtOnce;
    const std::uint8_t* block = task.values + (first + column) * task.values_stride;
    for (std::int64_t i = 0; i < task.blocks; ++i, block += kQ8BlockBytes) {
      std::uint16_t half;
      std::memcpy(&half, block, sizeof(half));
      const __m256i values =
          _mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + kScaleBytes));
      const __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), ones, values);
      __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
      sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4E));
      sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xB1));
      to[i].scale[lane] = _cvtsh_ss(half);
      to[i].start[lane] = -128 * _mm_cvtsi128_si32(sum);
    }
  }
}

// Adds one block of kColumns columns to their sums.
template <int kColumns>
PENSTOCK_VNNI_INLINE void AddBlock(const Tile& tile, const Columns& columns, std::int64_t offset,
                                   const ColumnScales& scales, __m512* sums) {
  __m512i dots[kColumns];
#pragma unroll
  for (int c = 0; c < kColumns; ++c) dots[c] = _mm512_set1_epi32(scales.start[c]);
#pragma unroll
  for (int group = 0; group < kGroups; ++group) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      dots[c] = _mm512_dpbusd_epi32(dots[c], tile.values[group],
                                    FourOf(columns, c, offset + kScaleBytes + 4 * group));
    }
  }
#pragma unroll
  for (int c = 0; c < kColumns; ++c) {
    const __m512 scale = _mm512_mul_ps(tile.scales, _mm512_set1_ps(scales.scale[c]));
    sums[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[c]), scale, sums[c]);
  }
}

// Sixteen rows (or the `rows` last) from `row` on, times kColumns columns from `column` on.
// `panel`: these rows, packed; null: they are packed on the way, for no one else.
template <int kColumns>
PENSTOCK_VNNI void MultiplyTile(const Q8Matmul& task, std::int64_t row, std::int64_t column,
                                const ColumnScales* scales, const Tile* panel) {
  const std::int64_t rows = std::min(kTileRows, task.rows - row);
  const std::uint8_t* const weights = task.weights + row * task.weights_stride;
  const Columns columns = ColumnsAt(task.values + column * task.values_stride, task.values_stride);
  __m512 sums[kColumns];
  for (__m512& sum : sums) sum = _mm512_setzero_ps();
  for (std::int64_t i = 0; i < task.blocks; ++i) {
    if (panel != nullptr) {
      AddBlock<kColumns>(panel[i], columns, i * kQ8BlockBytes, scales[i], sums);
    } else {
      PrefetchNext(weights, task.weights_stride, i);
      const Tile tile = PackAny(weights + i * kQ8BlockBytes, task.weights_stride, rows);
      AddBlock<kColumns>(tile, columns, i * kQ8BlockBytes, scales[i], sums);
    }
  }
  const auto mask = static_cast<__mmask16>((1U << rows) - 1);
  float* results = task.results + column * task.results_stride + row;
#pragma unroll
  for (int c = 0; c < kColumns; ++c, results += task.results_stride) {
    _mm512_mask_storeu_ps(results, mask, sums[c]);
  }
}

using TileKernel = void (*)(const Q8Matmul&, std::int64_t, std::int64_t, const ColumnScales*,
                            const Tile*);
constexpr TileKernel kTileKernels[kColumnsAtOnce] = {
    MultiplyTile<1>, MultiplyTile<2>, MultiplyTile<3>, MultiplyTile<4>,
    MultiplyTile<5>, MultiplyTile<6>, MultiplyTile<7>, MultiplyTile<8>,
};

PENSTOCK_VNNI void PackPanel(const Q8Matmul& task, std::int64_t row, std::vector<Tile>& panel) {
  const std::int64_t rows = std::min(kTileRows, task.rows - row);
  const std::uint8_t* const weights = task.weights + row * task.weights_stride;
  panel.resize(static_cast<std::size_t>(task.blocks));
  for (std::int64_t i = 0; i < task.blocks; ++i) {
    PrefetchNext(weights, task.weights_stride, i);
    panel[static_cast<std::size_t>(i)] =
        PackAny(weights + i * kQ8BlockBytes, task.weights_stride, rows);
  }
}

// All columns, as many of them at a time as the cache holds.
void MultiplyRows(const Q8Matmul& task, std::int64_t row_begin, std::int64_t row_end,
                  Scratch& scratch) {
  const std::int64_t fit = kRoundBytes / (task.blocks * (kQ8BlockBytes + 8));
  const std::int64_t round =
      std::max<std::int64_t>(fit, 2 * kColumnsAtOnce) / kColumnsAtOnce * kColumnsAtOnce;
  for (std::int64_t begin = 0; begin < task.columns; begin += round) {
    const std::int64_t columns = std::min(round, task.columns - begin);
    ReadScales(task, begin, columns, scratch.scales);
    for (std::int64_t row = row_begin; row < row_end; row += kTileRows) {
      const bool packs = columns > kColumnsAtOnce;
      if (packs) PackPanel(task, row, scratch.panel);
      for (std::int64_t column = 0; column < columns; column += kColumnsAtOnce) {
        const std::int64_t count = std::min<std::int64_t>(kColumnsAtOnce, columns - column);
        kTileKernels[count - 1](task, row, begin + column,
                                scratch.scales.data() + column / kColumnsAtOnce * task.blocks,
                                packs ? scratch.panel.data() : nullptr);
      }
    }
  }
}

}  // namespace

bool CanMultiplyQ8() {
  static const bool can = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512vnni") && __builtin_cpu_supports("f16c") &&
                          __builtin_cpu_supports("fma");
  return can;
}

void MultiplyQ8(const Q8Matmul& task, int thread, int threads) {
  thread_local Scratch scratch;
  const std::int64_t tiles = (task.rows + kTileRows - 1) / kTileRows;
  const std::int64_t begin = tiles * thread / threads * kTileRows;
  const std::int64_t end = std::min(tiles * (thread + 1) / threads * kTileRows, task.rows);
  if (begin < end) MultiplyRows(task, begin, end, scratch);
}

#else

bool CanMultiplyQ8() { return false; }
void MultiplyQ8(const Q8Matmul&, int, int) {}

#endif

}  // namespace penstock::engine
