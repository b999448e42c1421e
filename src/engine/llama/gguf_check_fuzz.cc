// Property: whatever the bytes, ParseGguf answers; and what it accepts has sizes that can be added
// up.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "engine/llama/gguf_check.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const auto summary = penstock::engine::ParseGguf({bytes, size}, size);
  if (summary) {
    if (summary->tensor_bytes == 0 && summary->tensors < 1) std::abort();
    if (summary->layers == 0 || summary->architecture.empty()) std::abort();
  } else if (summary.error().message.empty()) {
    std::abort();
  }
  return 0;
}
