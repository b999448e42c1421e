// The loops over a whole vocabulary: greatest logit, and the weights exp((logit - greatest) *
// scale).
#pragma once

#include <cstddef>
#include <span>

namespace penstock::engine {

inline constexpr std::size_t kBlock = 256;  // Logits summed together.

// The greatest value; -infinity for none. Values that are not numbers are passed over.
float Greatest(std::span<const float> values);

// The first position of `value`, or values.size().
std::size_t PositionOf(std::span<const float> values, float value);

// Writes weights[i] = exp((logits[i] - greatest) * scale), within 2e-7 of the true value, 0 where
// the logit is -infinity or not a number; and block_sums[b], the sum of weights in block b of
// kBlock. `weights` is as long as `logits`; `block_sums` has ceil(size / kBlock) places.
void Weigh(std::span<const float> logits, float greatest, float scale, std::span<float> weights,
           std::span<float> block_sums);

// The greatest value in each block of 64: block_greatest has ceil(size / 64) places.
void GreatestPerBlock(std::span<const float> values, std::span<float> block_greatest);

}  // namespace penstock::engine
