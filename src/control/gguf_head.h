// GgufHead: what the first bytes of a GGUF file say. The engine reads the rest, and checks it.
//
// Layout, little-endian: "GGUF", version u32, tensors u64, pairs u64, then pairs of a key (u64
// size, bytes), a value type u32, and a value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace penstock::control {

struct GgufHead {
  std::uint32_t version = 0;  // 2 or 3.
  std::uint64_t tensors = 0;  // At least 1.
  std::string architecture;   // "llama", …; "" if not plain ASCII within the first bytes.
  std::string model_name;     // "general.name", likewise.
  std::string licence;        // "general.license", likewise.
  std::optional<std::uint64_t> context_length;  // Tokens.
};

// Parses the first bytes of a file, as many as the caller has. `whole`: these are all of it, so
// running out of them is an error; otherwise it only ends the reading. Errors: kCorrupt.
Result<GgufHead> ParseGgufHead(std::string_view bytes, bool whole);

}  // namespace penstock::control
