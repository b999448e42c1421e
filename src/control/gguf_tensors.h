// GgufTensors: where a GGUF file's tensors end, so that a file that was cut is refused before an
// engine tries to load it.
//
// Layout, behind the pairs (see gguf_head.h): for each tensor a name (u64 size, bytes), dimensions
// u32, their sizes u64, a type u32, and an offset u64 from the start of the data, which begins at
// the next multiple of the alignment ("general.alignment", 32 unless told).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::control {

// The tensor whose bytes end last.
struct GgufTensorsEnd {
  std::string tensor;    // Its name, if plain ASCII.
  std::uint64_t at = 0;  // In bytes from the file's start.
  std::uint64_t unknown =
      0;  // Tensors of types newer than this program, whose size it cannot tell.
};

// Parses the first bytes of a file. nullopt: the tensors' list is longer than `bytes`. Errors:
// kCorrupt (no list, or sizes that cannot be).
Result<std::optional<GgufTensorsEnd>> FindGgufTensorsEnd(std::string_view bytes);

}  // namespace penstock::control
