// Safetensors: reads the head of a weights file and says where each tensor's bytes lie.
//
// Layout, little-endian: u64 size of the head, the head (a JSON object: name -> {"dtype", "shape",
// "data_offsets"}, and "__metadata__"), then the data, to which the offsets are relative. Nothing
// of the file is trusted: every tensor lies within the data, fits its shape, and overlaps no other.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace penstock::convert {

enum class ElementType { kF32, kF16, kBF16, kF64, kI64, kI32, kI16, kI8, kU8, kBool, kF8 };
std::string_view Name(ElementType type);
std::size_t SizeOf(ElementType type);  // Bytes of one element.

struct TensorView {
  ElementType type = ElementType::kF32;
  std::vector<std::int64_t> shape{};  // Outermost first, as PyTorch writes it.
  std::span<const std::uint8_t> bytes{};

  std::int64_t elements() const;
};

inline constexpr std::size_t kSafetensorsHeadMax = std::size_t{100} << 20;  // The format's own.
inline constexpr std::size_t kDimensionsMax = 8;

using TensorTable = std::map<std::string, TensorView, std::less<>>;

// `file`: all of its bytes; the views point into it. Errors: kCorrupt, naming the tensor and the
// numbers; kUnsupported for an element type that is not known.
Result<TensorTable> ParseSafetensors(std::span<const std::uint8_t> file);

}  // namespace penstock::convert
