// Attention on AVX-512.
//
// A tile is up to 32 rows (queries of heads that share their keys) against 64 keys: products, then
// the softmax so far, corrected as greater products come, then the sum of the values. All in
// floats.
#include "engine/llama/attention_kernel.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "engine/llama/attention_plan.h"
#include "engine/llama/attention_vectors.h"

namespace penstock::engine {

#if defined(__x86_64__)

namespace {

constexpr std::int64_t kRowsMax = kAttentionRowsMax;
constexpr std::int64_t kTileKeys = kAttentionTileKeys;
constexpr std::int64_t kLanes = 16;
constexpr std::int64_t kSizeMax = 256;
constexpr std::int64_t kRowsAtOnce = 4;
constexpr std::int64_t kRowsTurned = 4;  // So many rows are worth turning a tile's keys.
constexpr std::int64_t kVectorsAtOnce = 4;
constexpr float kLowest = -1e30F;  // Below any product, yet finite.

struct Scratch {
  alignas(64) float queries[kRowsMax * kSizeMax];
  alignas(64) float sums[kRowsMax * kSizeMax];   // Of values, by weight.
  alignas(64) float keys[kSizeMax * kTileKeys];  // [element][key]
  alignas(64) float values[kTileKeys * kSizeMax];
  alignas(64) float weights[kRowsMax * kTileKeys];
  float greatest[kRowsMax];
  float total[kRowsMax];
  const char* mask[kRowsMax];
};

// c[row] = (add ? c[row] : 0) + sum over j of a[row][j] * b[j], for kVectors vectors of c and b.
template <int kRows, int kVectors>
PENSTOCK_V4 void Multiply(const float* a, std::int64_t a_stride, const float* b,
                          std::int64_t b_stride, std::int64_t count, float* c,
                          std::int64_t c_stride, bool add) {
  __m512 sums[kRows][kVectors];
  for (int row = 0; row < kRows; ++row) {
    for (int i = 0; i < kVectors; ++i) {
      sums[row][i] = add ? _mm512_loadu_ps(c + row * c_stride + i * kLanes) : _mm512_setzero_ps();
    }
  }
  for (std::int64_t j = 0; j < count; ++j, b += b_stride) {
    __m512 right[kVectors];
#pragma unroll
    for (int i = 0; i < kVectors; ++i) right[i] = _mm512_loadu_ps(b + i * kLanes);
#pragma unroll
    for (int row = 0; row < kRows; ++row) {
      const __m512 left = _mm512_set1_ps(a[row * a_stride + j]);
#pragma unroll
      for (int i = 0; i < kVectors; ++i) {
        sums[row][i] = _mm512_fmadd_ps(left, right[i], sums[row][i]);
      }
    }
  }
  for (int row = 0; row < kRows; ++row) {
    for (int i = 0; i < kVectors; ++i) {
      _mm512_storeu_ps(c + row * c_stride + i * kLanes, sums[row][i]);
    }
  }
}

using Multiplier = void (*)(const float*, std::int64_t, const float*, std::int64_t, std::int64_t,
                            float*, std::int64_t, bool);
constexpr Multiplier kWide[kRowsAtOnce] = {Multiply<1, 4>, Multiply<2, 4>, Multiply<3, 4>,
                                           Multiply<4, 4>};
constexpr Multiplier kNarrow[kRowsAtOnce] = {Multiply<1, 1>, Multiply<2, 1>, Multiply<3, 1>,
                                             Multiply<4, 1>};

// c[rows][width] (+)= a[rows][count] * b[count][width]; `width` is a multiple of kLanes.
void MultiplyRows(std::int64_t rows, const float* a, std::int64_t a_stride, const float* b,
                  std::int64_t width, std::int64_t count, float* c, bool add) {
  for (std::int64_t row = 0; row < rows; row += kRowsAtOnce) {
    const std::int64_t kernel = std::min(kRowsAtOnce, rows - row) - 1;
    const float* const left = a + row * a_stride;
    std::int64_t at = 0;
    for (; at + kVectorsAtOnce * kLanes <= width; at += kVectorsAtOnce * kLanes) {
      kWide[kernel](left, a_stride, b + at, width, count, c + row * width + at, width, add);
    }
    for (; at < width; at += kLanes) {
      kNarrow[kernel](left, a_stride, b + at, width, count, c + row * width + at, width, add);
    }
  }
}

// The rows of the next tile lie apart, where the processor does not expect them.
PENSTOCK_V4_INLINE void Prefetch(const char* row, std::int64_t size) {
  for (std::int64_t at = 0; at < 2 * size; at += 64) _mm_prefetch(row + at, _MM_HINT_T1);
}

PENSTOCK_V4 void LoadKeys(const AttentionTask& task, const char* key, std::int64_t count,
                          std::int64_t step, Scratch& scratch) {
  for (std::int64_t first = 0; first < kTileKeys; first += kLanes) {
    for (std::int64_t i = 0; i < kLanes; ++i) {
      Prefetch(key + (first + i + step * kTileKeys) * task.key_stride, task.size);
    }
    for (std::int64_t element = 0; element < task.size; element += kLanes) {
      __m512 rows[16];
      for (std::int64_t i = 0; i < kLanes; ++i) {
        rows[i] = first + i < count ? Halves(key + (first + i) * task.key_stride + 2 * element)
                                    : _mm512_setzero_ps();
      }
      Transpose(rows);
      for (std::int64_t i = 0; i < kLanes; ++i) {
        _mm512_storeu_ps(scratch.keys + (element + i) * kTileKeys + first, rows[i]);
      }
    }
  }
}

PENSTOCK_V4 void LoadValues(const AttentionTask& task, const char* value, std::int64_t count,
                            std::int64_t step, Scratch& scratch) {
  for (std::int64_t i = 0; i < count; ++i) {
    const char* const row = value + i * task.value_stride;
    Prefetch(row + step * kTileKeys * task.value_stride, task.size);
    for (std::int64_t at = 0; at < task.size; at += kLanes) {
      _mm512_storeu_ps(scratch.values + i * task.size + at, Halves(row + 2 * at));
    }
  }
}

// One row's products with a tile's keys: for few rows, turning the keys does not pay.
PENSTOCK_V4 void MultiplyKeys(const AttentionTask& task, const char* key, std::int64_t count,
                              std::int64_t step, const float* query, float* products) {
  for (std::int64_t first = 0; first < count; first += kLanes) {
    __m512 sums[16];
    for (__m512& sum : sums) sum = _mm512_setzero_ps();
    const std::int64_t some = std::min(kLanes, count - first);
    const char* const rows = key + first * task.key_stride;
    for (std::int64_t i = 0; i < some; ++i) {
      Prefetch(rows + (i + step * kTileKeys) * task.key_stride, task.size);
    }
    for (std::int64_t at = 0; at < task.size; at += kLanes) {
      const __m512 left = _mm512_loadu_ps(query + at);
#pragma unroll
      for (std::int64_t i = 0; i < kLanes; ++i) {
        // Behind the last key, the last again: nobody looks at the product.
        const char* const row = rows + std::min(i, some - 1) * task.key_stride;
        sums[i] = _mm512_fmadd_ps(left, Halves(row + 2 * at), sums[i]);
      }
    }
    _mm512_storeu_ps(products + first, SumEach(sums));
  }
}

// Adds a tile's values to one row's sums.
template <int kVectors>
PENSTOCK_V4 void AddValues(const AttentionTask& task, const char* value, std::int64_t count,
                           const float* weights, float* sums) {
  __m512 vectors[kVectors];
  for (int i = 0; i < kVectors; ++i) vectors[i] = _mm512_loadu_ps(sums + i * kLanes);
  for (std::int64_t j = 0; j < count; ++j, value += task.value_stride) {
    const __m512 weight = _mm512_set1_ps(weights[j]);
#pragma unroll
    for (int i = 0; i < kVectors; ++i) {
      vectors[i] = _mm512_fmadd_ps(weight, Halves(value + 2 * i * kLanes), vectors[i]);
    }
  }
  for (int i = 0; i < kVectors; ++i) _mm512_storeu_ps(sums + i * kLanes, vectors[i]);
}

PENSTOCK_V4 void MultiplyValues(const AttentionTask& task, const char* value, std::int64_t count,
                                std::int64_t step, const float* weights, float* sums) {
  for (std::int64_t i = 0; i < count; ++i) {
    Prefetch(value + (i + step * kTileKeys) * task.value_stride, task.size);
  }
  std::int64_t at = 0;
  for (; at + kVectorsAtOnce * kLanes <= task.size; at += kVectorsAtOnce * kLanes) {
    AddValues<kVectorsAtOnce>(task, value + 2 * at, count, weights, sums + at);
  }
  for (; at < task.size; at += kLanes) {
    AddValues<1>(task, value + 2 * at, count, weights, sums + at);
  }
}

// Which of sixteen keys from `first` on there are.
__mmask16 LanesOf(std::int64_t first, std::int64_t count) {
  const std::int64_t lanes = std::clamp<std::int64_t>(count - first, 0, kLanes);
  return static_cast<__mmask16>((1U << lanes) - 1);
}

PENSTOCK_V4_INLINE __m256i MaskAt(const char* mask, std::int64_t first, __mmask16 lanes) {
  return _mm256_mask_loadu_epi16(_mm256_set1_epi16(static_cast<short>(0xFC00)), lanes,
                                 mask + 2 * first);
}

// Whether a row of the part sees one of `count` keys from `first` on.
PENSTOCK_V4 bool SeesAny(const Scratch& scratch, std::int64_t rows, std::int64_t first,
                         std::int64_t count) {
  const __m256i hidden = _mm256_set1_epi16(static_cast<short>(0xFC00));
  for (std::int64_t row = 0; row < rows; ++row) {
    if (scratch.mask[row] == nullptr) return true;
    if (row > 0 && scratch.mask[row] == scratch.mask[row - 1]) continue;
    for (std::int64_t at = 0; at < count; at += kLanes) {
      const __m256i seen = MaskAt(scratch.mask[row], first + at, LanesOf(at, count));
      if (_mm256_cmpneq_epi16_mask(seen, hidden) != 0) return true;
    }
  }
  return false;
}

// Turns a row's products with a tile's keys into weights, and what was summed before with it.
PENSTOCK_V4 void WeighRow(std::int64_t size, std::int64_t row, std::int64_t first,
                          std::int64_t count, Scratch& scratch) {
  float* const weights = scratch.weights + row * kTileKeys;
  __m512 products[kTileKeys / kLanes];
  __m512 most = _mm512_set1_ps(kLowest);
  for (std::int64_t i = 0; i < kTileKeys / kLanes; ++i) {
    const __mmask16 lanes = LanesOf(i * kLanes, count);
    products[i] = _mm512_mask_loadu_ps(_mm512_set1_ps(kLowest), lanes, weights + i * kLanes);
    if (scratch.mask[row] != nullptr) {
      const __m256i mask = MaskAt(scratch.mask[row], first + i * kLanes, lanes);
      products[i] = _mm512_add_ps(products[i], _mm512_cvtph_ps(mask));
    }
    most = _mm512_max_ps(most, products[i]);
  }
  const float before = scratch.greatest[row];
  const float greatest = std::max(before, _mm512_reduce_max_ps(most));
  __m512 total = _mm512_setzero_ps();
  for (std::int64_t i = 0; i < kTileKeys / kLanes; ++i) {
    // What is hidden weighs nothing, even where nothing else was seen so far.
    const __mmask16 seen = _mm512_cmp_ps_mask(products[i], _mm512_set1_ps(kLowest), _CMP_GT_OQ);
    const __m512 weight = _mm512_maskz_mov_ps(
        seen, ExpNonPositive(_mm512_sub_ps(products[i], _mm512_set1_ps(greatest))));
    _mm512_storeu_ps(weights + i * kLanes, weight);
    total = _mm512_add_ps(total, weight);
  }
  if (greatest > before) {
    const __m512 shrink = ExpNonPositive(_mm512_set1_ps(before - greatest));
    scratch.total[row] *= _mm512_cvtss_f32(shrink);
    float* const sums = scratch.sums + row * size;
    for (std::int64_t at = 0; at < size; at += kLanes) {
      _mm512_storeu_ps(sums + at, _mm512_mul_ps(_mm512_loadu_ps(sums + at), shrink));
    }
    scratch.greatest[row] = greatest;
  }
  scratch.total[row] += _mm512_reduce_add_ps(total);
}

struct RowPlace {
  std::int64_t head, query;
};

// Row `row` of the part, whose heads' rows follow each other.
RowPlace PlaceOf(const AttentionTask& task, const AttentionPart& part, std::int64_t row) {
  const std::int64_t group = HeadsOnKey(task);
  const std::int64_t key_head = part.key_head + row / part.rows;
  const std::int64_t index = part.first + row % part.rows;
  return {key_head * group + index % group, index / group};
}

void BeginPart(const AttentionTask& task, const AttentionPart& part, Scratch& scratch) {
  const std::int64_t rows = part.key_heads * part.rows;
  for (std::int64_t row = 0; row < rows; ++row) {
    const RowPlace place = PlaceOf(task, part, row);
    const char* const from = task.query + part.stream * task.query_stream_stride +
                             place.head * task.query_head_stride + place.query * task.query_stride;
    float* const to = scratch.queries + row * task.size;
    std::memcpy(to, from, static_cast<std::size_t>(task.size) * sizeof(float));
    for (std::int64_t i = 0; i < task.size; ++i) to[i] *= task.scale;
    scratch.greatest[row] = kLowest;
    scratch.total[row] = 0;
    scratch.mask[row] = task.mask == nullptr ? nullptr
                                             : task.mask + part.stream * task.mask_stream_stride +
                                                   place.query * task.mask_stride;
  }
  std::fill_n(scratch.sums, rows * task.size, 0.0F);
}

void WriteRow(const AttentionTask& task, const AttentionPart& part, std::int64_t row,
              const float* sums, float total) {
  const RowPlace place = PlaceOf(task, part, row);
  float* const to =
      task.results +
      ((part.stream * task.queries + place.query) * task.heads + place.head) * task.size;
  const float share = total > 0 ? 1 / total : 0;
  for (std::int64_t i = 0; i < task.size; ++i) to[i] = sums[i] * share;
}

// `count` keys from `first` on, of the part's head number `head`.
void AttendTile(const AttentionTask& task, const AttentionPart& part, std::int64_t head,
                std::int64_t first, std::int64_t count, Scratch& scratch) {
  const std::int64_t key_head = part.key_head + head;
  const std::int64_t row_begin = head * part.rows;
  const char* const key = task.key + part.stream * task.key_stream_stride +
                          key_head * task.key_head_stride + first * task.key_stride;
  const char* const value = task.value + part.stream * task.value_stream_stride +
                            key_head * task.value_head_stride + first * task.value_stride;
  const float* const queries = scratch.queries + row_begin * task.size;
  float* const weights = scratch.weights + row_begin * kTileKeys;
  float* const sums = scratch.sums + row_begin * task.size;
  if (part.rows < kRowsTurned) {
    for (std::int64_t row = 0; row < part.rows; ++row) {
      MultiplyKeys(task, key, count, part.step, queries + row * task.size,
                   weights + row * kTileKeys);
      WeighRow(task.size, row_begin + row, first, count, scratch);
    }
    for (std::int64_t row = 0; row < part.rows; ++row) {
      MultiplyValues(task, value, count, part.step, weights + row * kTileKeys,
                     sums + row * task.size);
    }
    return;
  }
  LoadKeys(task, key, count, part.step, scratch);
  MultiplyRows(part.rows, queries, task.size, scratch.keys, kTileKeys, task.size, weights, false);
  for (std::int64_t row = 0; row < part.rows; ++row) {
    WeighRow(task.size, row_begin + row, first, count, scratch);
  }
  LoadValues(task, value, count, part.step, scratch);
  MultiplyRows(part.rows, weights, kTileKeys, scratch.values, task.size, count, sums, true);
}

void AttendPart(const AttentionTask& task, const AttentionPart& part, Scratch& scratch) {
  BeginPart(task, part, scratch);
  for (std::int64_t first = part.tile * kTileKeys; first < task.keys;
       first += part.step * kTileKeys) {
    const std::int64_t count = std::min(kTileKeys, task.keys - first);
    if (!SeesAny(scratch, part.rows, first, count)) continue;
    for (std::int64_t head = 0; head < part.key_heads; ++head) {
      AttendTile(task, part, head, first, count, scratch);
    }
  }
}

// What a thread knows of a row: greatest product, total of weights, sums of values.
float* PartialOf(const AttentionTask& task, const AttentionTeam& team, std::int64_t stream,
                 std::int64_t thread, std::int64_t row) {
  return team.shared + (stream * team.threads + thread) * AttentionPartialFloats(task) +
         row * (task.size + 2);
}

// Joins what all threads know of a row, and writes it down.
void JoinRow(const AttentionTask& task, const AttentionTeam& team, const AttentionPart& part,
             std::int64_t row) {
  float greatest = kLowest;
  for (int i = 0; i < team.threads; ++i) {
    greatest = std::max(greatest, *PartialOf(task, team, part.stream, i, row));
  }
  float total = 0;
  float sums[kSizeMax] = {};
  for (int i = 0; i < team.threads; ++i) {
    const float* const partial = PartialOf(task, team, part.stream, i, row);
    const float weight = std::exp(partial[0] - greatest);
    total += weight * partial[1];
    for (std::int64_t j = 0; j < task.size; ++j) sums[j] += weight * partial[2 + j];
  }
  WriteRow(task, part, row, sums, total);
}

// Every thread takes its tiles of each stream; then, of what all found, its rows.
void AttendSplit(const AttentionTask& task, const AttentionTeam& team, const AttentionPlan& plan,
                 Scratch& scratch) {
  const std::int64_t rows = task.heads * task.queries;
  for (std::int64_t stream = 0; stream < task.streams; ++stream) {
    AttentionPart part = AttentionPartAt(task, plan, stream);
    part.tile = team.thread;
    part.step = team.threads;
    AttendPart(task, part, scratch);
    for (std::int64_t row = 0; row < rows; ++row) {
      float* const partial = PartialOf(task, team, stream, team.thread, row);
      partial[0] = scratch.greatest[row];
      partial[1] = scratch.total[row];
      std::copy_n(scratch.sums + row * task.size, task.size, partial + 2);
    }
  }
  team.wait(team.wait_context);
  for (std::int64_t i = team.thread; i < task.streams * rows; i += team.threads) {
    JoinRow(task, team, AttentionPartAt(task, plan, i / rows), i % rows);
  }
}

}  // namespace

bool CanAttend(std::int64_t size) {
  static const bool can = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512vl") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("f16c") &&
                          __builtin_cpu_supports("fma");
  return can && size > 0 && size <= kSizeMax && size % kLanes == 0;
}

void Attend(const AttentionTask& task, const AttentionTeam& team) {
  thread_local std::vector<Scratch> memory(1);
  Scratch& scratch = memory.front();
  const AttentionPlan plan = PlanAttention(task, team);
  if (plan.splits_keys) return AttendSplit(task, team, plan, scratch);
  const std::int64_t parts = AttentionPartCount(task, plan);
  for (std::int64_t i = team.thread; i < parts; i += team.threads) {
    const AttentionPart part = AttentionPartAt(task, plan, i);
    AttendPart(task, part, scratch);
    for (std::int64_t row = 0; row < part.key_heads * part.rows; ++row) {
      WriteRow(task, part, row, scratch.sums + row * task.size, scratch.total[row]);
    }
  }
}

#else

bool CanAttend(std::int64_t) { return false; }
void Attend(const AttentionTask&, const AttentionTeam&) {}

#endif

}  // namespace penstock::engine
