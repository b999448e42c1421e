// Elements: numbers of a weights file as numbers of a GGUF file.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "convert/safetensors.h"

namespace penstock::convert {

// How weights are written. Vectors and what is named in tensor_names.h are always F32.
enum class OutputType { kF32, kF16, kBF16, kQ8_0 };
// "f32", "f16", "bf16", "q8_0". kInvalidArgument, naming them.
Result<OutputType> ParseOutputType(std::string_view word);
std::string_view Name(OutputType type);

inline constexpr std::int64_t kQ8Block = 32;      // Elements of a Q8_0 block.
inline constexpr std::size_t kQ8BlockBytes = 34;  // A 16-bit scale and as many bytes.

// GGUF's numbers for element types.
std::uint32_t GgufTypeOf(OutputType type);
// GGUF's general.file_type for a file that is mostly of this type.
std::uint32_t GgufFileTypeOf(OutputType type);

// Bytes of `elements` numbers; for kQ8_0 whole blocks.
std::size_t BytesOf(OutputType type, std::int64_t elements);

float FloatOfHalf(std::uint16_t half);
std::uint16_t HalfOfFloat(float value);  // Rounds to nearest, ties to even.
std::uint16_t BFloatOfFloat(float value);

// `source` as floats. REQUIRES: a floating type (see IsFloating).
void ToFloats(ElementType type, std::span<const std::uint8_t> source, std::span<float> to);
bool IsFloating(ElementType type);

// Appends `values` to `out`. REQUIRES for kQ8_0: a multiple of kQ8Block of them.
void AppendAs(OutputType type, std::span<const float> values, std::vector<std::uint8_t>& out);

}  // namespace penstock::convert
