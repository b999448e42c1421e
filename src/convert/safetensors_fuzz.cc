// Property: whatever the bytes, each tensor found lies within them and has the bytes of its shape.
#include <cstdint>
#include <cstdlib>

#include "convert/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  const std::span<const std::uint8_t> file(bytes, size);
  const auto table = penstock::convert::ParseSafetensors(file);
  if (!table) return 0;
  std::size_t sum = 0;
  for (const auto& [name, view] : *table) {
    std::size_t needed = penstock::convert::SizeOf(view.type);
    for (const std::int64_t dimension : view.shape) needed *= static_cast<std::size_t>(dimension);
    if (needed != view.bytes.size()) std::abort();
    if (needed != 0 && (view.bytes.data() < bytes || view.bytes.data() + needed > bytes + size)) {
      std::abort();
    }
    sum += needed;
  }
  if (sum > size) std::abort();  // They overlap.
  return 0;
}
