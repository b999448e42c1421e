// The loops over a whole vocabulary, written so that the compiler makes vector code of them.
#include "engine/sampler_kernels.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>

// One version per instruction set, chosen when the program starts. Sanitizers run before the
// resolver that chooses could, so their builds take the plain one.
#if defined(__x86_64__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)
#define PENSTOCK_VECTOR \
  __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define PENSTOCK_VECTOR
#endif

namespace penstock::engine {
namespace {

constexpr std::size_t kLanes = 32;
constexpr float kLowest = -std::numeric_limits<float>::infinity();

// exp(x) for x <= 0: 2^n by exponent bits, 2^f by a polynomial (minimax on [-0.5, 0.5]).
inline __attribute__((always_inline)) float ExpNonPositive(float x) {
  const float y = x * 1.44269504088896341f;
  const float clamped = y > -126.0f ? y : -126.0f;  // Also takes what is not a number.
  const float shifted = clamped + 12582912.0f;      // 1.5 * 2^23: rounds to the nearest integer.
  const float whole = shifted - 12582912.0f;
  const float f = clamped - whole;
  float p = 1.535336188319500e-4f;
  p = p * f + 1.339887440266574e-3f;
  p = p * f + 9.618437357674640e-3f;
  p = p * f + 5.550332471162809e-2f;
  p = p * f + 2.402264791363012e-1f;
  p = p * f + 6.931472028550421e-1f;
  p = p * f + 1.0f;
  const std::int32_t exponent = std::bit_cast<std::int32_t>(shifted) - 0x4B400000;
  const float scale = std::bit_cast<float>((exponent + 127) << 23);
  return y > -126.0f ? p * scale : 0.0f;
}

}  // namespace

PENSTOCK_VECTOR float Greatest(std::span<const float> values) {
  float lanes[kLanes];
  for (float& lane : lanes) lane = kLowest;
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    for (std::size_t j = 0; j < kLanes; ++j) {
      lanes[j] = values[i + j] > lanes[j] ? values[i + j] : lanes[j];
    }
  }
  for (; i < values.size(); ++i) lanes[0] = values[i] > lanes[0] ? values[i] : lanes[0];
  float greatest = kLowest;
  for (const float lane : lanes) greatest = lane > greatest ? lane : greatest;
  return greatest;
}

PENSTOCK_VECTOR std::size_t PositionOf(std::span<const float> values, float value) {
  std::size_t i = 0;
  for (; i + kLanes <= values.size(); i += kLanes) {
    int found = 0;
    for (std::size_t j = 0; j < kLanes; ++j) found |= values[i + j] == value ? 1 : 0;
    if (found != 0) break;
  }
  while (i < values.size() && values[i] != value) ++i;
  return i;
}

PENSTOCK_VECTOR void Weigh(std::span<const float> logits, float greatest, float scale,
                           std::span<float> weights, std::span<float> block_sums) {
  for (std::size_t block = 0; block < block_sums.size(); ++block) {
    const std::size_t begin = block * kBlock;
    const std::size_t size = std::min(kBlock, logits.size() - begin);
    const float* in = logits.data() + begin;
    float* out = weights.data() + begin;
    float lanes[kLanes] = {};
    std::size_t i = 0;
    for (; i + kLanes <= size; i += kLanes) {
      for (std::size_t j = 0; j < kLanes; ++j) {
        const float weight = ExpNonPositive((in[i + j] - greatest) * scale);
        out[i + j] = weight;
        lanes[j] += weight;
      }
    }
    for (; i < size; ++i) {
      out[i] = ExpNonPositive((in[i] - greatest) * scale);
      lanes[0] += out[i];
    }
    float sum = 0;
    for (const float lane : lanes) sum += lane;
    block_sums[block] = sum;
  }
}

PENSTOCK_VECTOR void GreatestPerBlock(std::span<const float> values,
                                      std::span<float> block_greatest) {
  for (std::size_t block = 0; block < block_greatest.size(); ++block) {
    const std::size_t begin = block * 64;
    const std::size_t end = std::min(begin + 64, values.size());
    float greatest = kLowest;
    for (std::size_t i = begin; i < end; ++i) {
      greatest = values[i] > greatest ? values[i] : greatest;
    }
    block_greatest[block] = greatest;
  }
}

}  // namespace penstock::engine
