// Random weights.
//
// Their deviation is 1/sqrt(row length), so that activations stay near 1 through all layers: far
// smaller ones make half-precision products subnormal, which costs a CPU tenfold in attention and
// would make the model slower than a trained one of its size.
//
// Plain random weights would let the model end its text, or write control tokens, about as often as
// anything else, and a load test wants texts of the length it asks for. So the first dimension of
// every ordinary token's embedding is large and alike, it survives all layers, and the output rows
// of the tokens that are no text point against it.
#include "engine/llama/synth_weights.h"

#include <ggml.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <thread>
#include <vector>

#include "base/random.h"

namespace penstock::engine {
namespace {

constexpr float kOrdinary = 4.0F;   // First dimension of an ordinary token's embedding.
constexpr float kAgainst = -10.0F;  // First dimension of an output row that shall not win.
constexpr std::int64_t kBlockValues = 1 << 18;

// The sum of four uniforms stands in for a normal value: one call of the generator each.
void FillNormal(std::span<float> values, float deviation, Random random) {
  constexpr float kUnit = 1.0F / 65536;
  const float scale = deviation * std::sqrt(3.0F) * kUnit;  // The sum's variance is 4/12.
  for (float& value : values) {
    const std::uint64_t bits = random.Next();
    const auto sum = static_cast<std::int32_t>((bits & 0xFFFF) + (bits >> 16 & 0xFFFF) +
                                               (bits >> 32 & 0xFFFF) + (bits >> 48));
    value = static_cast<float>(sum - 2 * 65535) * scale;
  }
}

struct Block {
  std::int64_t first_row;
  std::int64_t rows;
  std::vector<float> values;
  std::vector<std::uint8_t> bytes;
};

void FillBlock(const TensorPlan& plan, const SynthVocabulary& vocabulary,
               const WeightOptions& options, Block& block) {
  const std::int64_t row_length = plan.shape[0];
  block.values.resize(static_cast<std::size_t>(block.rows * row_length));
  if (plan.fill == TensorFill::kOnes || plan.fill == TensorFill::kZeros) {
    std::ranges::fill(block.values, plan.fill == TensorFill::kOnes ? 1.0F : 0.0F);
    return;
  }
  Random mixed(options.seed * 0x9E3779B97F4A7C15u + options.tensor);
  const float deviation = plan.fill == TensorFill::kEmbedding && !options.tied
                              ? 1.0F
                              : 1.0F / std::sqrt(static_cast<float>(row_length));
  const std::uint64_t place = std::rotl(static_cast<std::uint64_t>(block.first_row), 32);
  FillNormal(block.values, deviation, Random(mixed.Next() ^ place));
  if (plan.fill == TensorFill::kRandom) return;
  for (std::int64_t row = 0; row < block.rows; ++row) {
    const bool text = !vocabulary.no_text[block.first_row + row];
    float& first = block.values[row * row_length];
    if (plan.fill == TensorFill::kOutput) {
      first = text ? 0.0F : kAgainst;
    } else {
      first = text || !options.tied ? kOrdinary : -kOrdinary;
    }
  }
}

void Quantize(const TensorPlan& plan, ggml_type type, Block& block) {
  const std::int64_t row_length = plan.shape[0];
  block.bytes.resize(ggml_row_size(type, row_length) * static_cast<std::size_t>(block.rows));
  ggml_quantize_chunk(type, block.values.data(), block.bytes.data(), 0, block.rows, row_length,
                      nullptr);
}

}  // namespace

ggml_type TypeOf(const TensorPlan& plan, Quantization quantization) {
  if (!plan.quantized) return GGML_TYPE_F32;
  switch (quantization) {
    case Quantization::kF32:
      return GGML_TYPE_F32;
    case Quantization::kF16:
      return GGML_TYPE_F16;
    case Quantization::kQ4_0:
      return GGML_TYPE_Q4_0;
    case Quantization::kQ8_0:
      break;
  }
  return GGML_TYPE_Q8_0;
}

bool MakeWeights(const TensorPlan& plan, const SynthVocabulary& vocabulary,
                 const WeightOptions& options,
                 const std::function<bool(std::span<const std::uint8_t>)>& write) {
  const ggml_type type = TypeOf(plan, options.quantization);
  const std::int64_t rows = std::max<std::int64_t>(plan.shape[1], 1);
  const std::int64_t rows_per_block = std::max<std::int64_t>(1, kBlockValues / plan.shape[0]);
  const std::int64_t block_count = (rows + rows_per_block - 1) / rows_per_block;
  const auto threads = static_cast<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()));
  std::vector<Block> blocks(static_cast<std::size_t>(std::min(threads, block_count)));
  ggml_quantize_init(type);
  for (std::int64_t begin = 0; begin < block_count; begin += threads) {
    const std::int64_t count = std::min(threads, block_count - begin);
    {
      std::vector<std::jthread> workers;
      for (std::int64_t i = 0; i < count; ++i) {
        Block& block = blocks[i];
        block.first_row = (begin + i) * rows_per_block;
        block.rows = std::min(rows_per_block, rows - block.first_row);
        const auto work = [&plan, &vocabulary, &options, &block, type] {
          FillBlock(plan, vocabulary, options, block);
          Quantize(plan, type, block);
        };
        if (i + 1 < count) {
          workers.emplace_back(work);
        } else {
          work();
        }
      }
    }
    for (std::int64_t i = 0; i < count; ++i) {
      if (!write(blocks[i].bytes)) return false;
    }
  }
  return true;
}

}  // namespace penstock::engine
